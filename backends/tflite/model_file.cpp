// SPDX-License-Identifier: Apache-2.0
#include "model_file.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dataflow.h"
#include "flatbuffer.h"
#include "tensors.h"

namespace vaccel::tflite {
namespace {

// Field numbers and enumerations are those of TensorFlow Lite's published schema, version 3.
constexpr std::string_view kIdentifier = "TFL3";
constexpr uint32_t kSchemaVersion = 3;
enum ModelField : unsigned {
  kVersion = 0,
  kOperatorCodes = 1,
  kSubgraphs = 2,
  kDescription = 3,
  kBuffers = 4,
  kMetadata = 6
};
enum MetadataField : unsigned { kMetadataName = 0, kMetadataBuffer = 1 };
enum SubgraphField : unsigned { kTensors = 0, kInputs = 1, kOutputs = 2, kOperators = 3 };
enum TensorField : unsigned {
  kShape = 0,
  kType = 1,
  kBuffer = 2,
  kName = 3,
  kQuantisation = 4,
  kIsVariable = 5,
  kShapeSignature = 7,
  kHasRank = 8
};
enum QuantisationField : unsigned { kScales = 2, kZeroPoints = 3 };
enum OperatorCodeField : unsigned { kShortCode = 0, kCustomName = 1, kCode = 3 };
enum OperatorField : unsigned {
  kCodeIndex = 0,
  kOperatorInputs = 1,
  kOperatorOutputs = 2,
  kOptionsType = 3,
  kOptions = 4
};
constexpr int32_t kNoTensor = -1;  // an operator's optional input that is not given
enum BuiltinOperator : int32_t {
  kCustom = 32,
  kIf = 118,
  kWhile = 119,
  kCallOnce = 129,
  kVarHandle = 142,
  kReadVariable = 143,
  kAssignVariable = 144
};
enum OptionsType : uint8_t { kIfOptions = 92, kWhileOptions = 93, kCallOnceOptions = 103 };

// TensorFlow Lite's operators count elements and bytes in an int.
constexpr uint64_t kLargestTensor = std::numeric_limits<int32_t>::max();
constexpr size_t kMostDimensions = 32;
// More is of no use to anybody who reads it.
constexpr size_t kMostMetadata = 64;
constexpr size_t kMostTextBytes = 4096;
// Subgraphs that call subgraphs take stack, which nobody else limits.
constexpr int kDeepestCall = 32;

// An operator that runs other subgraphs.
struct Caller {
  int32_t code;
  uint8_t options_type;
  unsigned subgraphs;  // its options' first fields
};
constexpr Caller kCallers[] = {
    {kIf, kIfOptions, 2}, {kWhile, kWhileOptions, 2}, {kCallOnce, kCallOnceOptions, 1}};

std::vector<int64_t> dimensions(const Table& tensor, unsigned field) {
  const Elements elements = tensor.numbers(field, sizeof(int32_t));
  if (elements.count > kMostDimensions) {
    refuse(VACCEL_INVALID_ARGUMENT, "tensor '%s' has %zu dimensions; there can be %zu at most",
           printable(tensor.text(kName)).c_str(), elements.count, kMostDimensions);
  }
  std::vector<int64_t> shape(elements.count);
  for (size_t axis = 0; axis < shape.size(); ++axis)
    shape[axis] = tensor.number_at<int32_t>(elements, axis);
  return shape;
}

// How many elements a shape has. Sizes beyond what TensorFlow Lite can count are refused here: its operators would
// compute with what is left of the number.
uint64_t count_elements(const Table& tensor, const std::vector<int64_t>& shape, size_t element_size) {
  uint64_t count = 1;
  uint64_t bytes = element_size;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      refuse(VACCEL_INVALID_ARGUMENT, "tensor '%s' has a dimension of %lld",
             printable(tensor.text(kName)).c_str(), static_cast<long long>(dimension));
    }
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(dimension), &count) ||
        __builtin_mul_overflow(count, element_size, &bytes) || bytes > kLargestTensor) {
      std::string text;
      for (const int64_t one : shape)
        text += (text.empty() ? "" : ", ") + std::to_string(one);
      refuse(VACCEL_INVALID_ARGUMENT,
             "tensor '%s' has shape [%s]; TensorFlow Lite counts up to %llu bytes a tensor",
             printable(tensor.text(kName)).c_str(), text.c_str(),
             static_cast<unsigned long long>(kLargestTensor));
    }
  }
  return count;
}

// A buffer's content if it is one line of text, which may be padded with NULs; else how large it is.
std::string metadata_value(std::span<const std::byte> content) {
  const std::string_view all(reinterpret_cast<const char*>(content.data()), content.size());
  const std::string_view text = all.substr(0, all.find_last_not_of('\0') + 1);
  const bool is_text = text.size() <= kMostTextBytes &&
                       std::all_of(text.begin(), text.end(),
                                   [](char character) { return character >= ' ' && character <= '~'; });
  return is_text ? std::string(text) : std::to_string(content.size()) + " bytes";
}

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes)
      : bytes_(bytes),
        model_(Table::root(bytes_)),
        codes_(model_.tables(kOperatorCodes)),
        subgraphs_(model_.tables(kSubgraphs)),
        buffers_(model_.tables(kBuffers)) {}

  ModelFile read() {
    check_model();
    read_codes();
    for (size_t index = 0; index < subgraphs_.count; ++index)
      read_subgraph(index);
    std::vector<int> depths(subgraphs_.count, kUnknownDepth);
    for (size_t index = 0; index < subgraphs_.count; ++index)
      (void)call_depth(index, depths, 0);
    const Table main = model_.table_at(subgraphs_, 0);
    file_.inputs = read_side(main, "input", kInputs);
    file_.outputs = read_side(main, "output", kOutputs);
    read_metadata();
    return std::move(file_);
  }

 private:
  static constexpr int kUnknownDepth = -1;
  static constexpr int kBeingCounted = -2;

  void check_model() const {
    const auto version = model_.number<uint32_t>(kVersion, 0);
    if (version != kSchemaVersion) {
      refuse(VACCEL_INVALID_ARGUMENT, "the model has schema version %u; %u is what TensorFlow Lite runs",
             version, kSchemaVersion);
    }
    if (subgraphs_.count == 0) refuse(VACCEL_INVALID_ARGUMENT, "the model has no subgraph");
    if (buffers_.count == 0) refuse(VACCEL_INVALID_ARGUMENT, "the model has no buffers");
  }

  void read_codes() {
    for (size_t index = 0; index < codes_.count; ++index) {
      const Table code = model_.table_at(codes_, index);
      // The code was a byte once; newer files have it as an integer, and the larger of the two holds.
      const int32_t number =
          std::max(int32_t{code.number<int8_t>(kShortCode, 0)}, code.number<int32_t>(kCode, 0));
      operators_.push_back(number);
      if (number == kCustom) file_.custom_operators.emplace_back(code.text(kCustomName));
      if (number >= kVarHandle && number <= kAssignVariable) {
        // What one call leaves in them the next one would find; and TensorFlow Lite's kernels do not look at their sizes.
        refuse(VACCEL_UNIMPLEMENTED,
               "the model keeps state in resource variables (operator %d), and calls of vAccel share none",
               number);
      }
    }
  }

  void read_subgraph(size_t index) {
    const Table subgraph = model_.table_at(subgraphs_, index);
    const Elements tensors = subgraph.tables(kTensors);
    std::vector<Dataflow::Source> sources;
    for (size_t tensor = 0; tensor < tensors.count; ++tensor)
      sources.push_back(read_tensor(subgraph.table_at(tensors, tensor)));
    Dataflow flow(index, std::move(sources));
    for_each(subgraph, kInputs, [&](int32_t tensor) { flow.give(tensor); });
    const Elements operators = subgraph.tables(kOperators);
    for (size_t position = 0; position < operators.count; ++position) {
      const Table node = subgraph.table_at(operators, position);
      for_each(node, kOperatorInputs, [&](int32_t tensor) {
        if (tensor != kNoTensor) flow.read(tensor);
      });
      for_each(node, kOperatorOutputs, [&](int32_t tensor) { flow.compute(tensor); });
    }
    for_each(subgraph, kOutputs, [&](int32_t tensor) { flow.read(tensor); });
    if (!flow.uses_all()) file_.computes_in_vain = true;
  }

  // Calls `visit` with each of a vector's numbers. A file whose tables share their vectors could have any number of them,
  // and an honest one has fewer than it has bytes.
  template <typename Number = int32_t, typename Visit>
  void for_each(const Table& table, unsigned field, Visit visit) {
    const Elements elements = table.numbers(field, sizeof(Number));
    visits_ += elements.count;
    if (visits_ > bytes_.size()) {
      refuse(VACCEL_INVALID_ARGUMENT,
             "the file is damaged: its %zu bytes have more numbers than that in their tables", bytes_.size());
    }
    for (size_t index = 0; index < elements.count; ++index)
      visit(table.number_at<Number>(elements, index));
  }

  // Kernels end the process where a scale makes no number of a real one.
  void check_quantisation(const Table& tensor) {
    if (!tensor.has(kQuantisation)) return;
    for_each<float>(tensor.table(kQuantisation), kScales, [&](float scale) {
      if (std::isfinite(scale) && scale >= 0) return;
      refuse(VACCEL_INVALID_ARGUMENT,
             "tensor '%s' has a quantisation scale of %g; it must be finite and not negative",
             printable(tensor.text(kName)).c_str(), static_cast<double>(scale));
    });
  }

  Dataflow::Source read_tensor(const Table& tensor) {
    check_quantisation(tensor);
    const std::vector<int64_t> shape = dimensions(tensor, kShape);
    const ElementType* type = type_in_file(tensor.number<int8_t>(kType, 0));
    const uint64_t count = count_elements(tensor, shape, type != nullptr && type->size != 0 ? type->size : 1);
    const auto buffer = tensor.number<uint32_t>(kBuffer, 0);
    if (buffer >= buffers_.count) {
      refuse(VACCEL_INVALID_ARGUMENT, "tensor '%s' refers to buffer %u; the model has %zu",
             printable(tensor.text(kName)).c_str(), buffer, buffers_.count);
    }
    const auto content = model_.table_at(buffers_, buffer).bytes(0);
    if (!content.empty()) {
      if (type != nullptr && type->dtype == VACCEL_STRING && !are_strings(content, count)) {
        refuse(VACCEL_INVALID_ARGUMENT, "tensor '%s' has %zu bytes that are not its %llu strings",
               printable(tensor.text(kName)).c_str(), content.size(), static_cast<unsigned long long>(count));
      }
      return Dataflow::Source::kConstant;
    }
    if (type != nullptr && type->dtype == VACCEL_FLOAT16) file_.computes_float16 = true;
    if (tensor.number<uint8_t>(kIsVariable, 0) != 0) {
      file_.has_variables = true;
      return Dataflow::Source::kVariable;
    }
    return count == 0 ? Dataflow::Source::kEmpty : Dataflow::Source::kNone;
  }

  void read_metadata() {
    const auto note = [&](std::string_view key, std::string value) {
      if (!key.empty() && !value.empty())
        file_.metadata.emplace_back(key.substr(0, kMostTextBytes), std::move(value));
    };
    note("description", std::string(model_.text(kDescription).substr(0, kMostTextBytes)));
    const Elements entries = model_.tables(kMetadata);
    for (size_t index = 0; index < std::min(entries.count, kMostMetadata); ++index) {
      const Table entry = model_.table_at(entries, index);
      const auto buffer = entry.number<uint32_t>(kMetadataBuffer, 0);
      if (buffer < buffers_.count)
        note(entry.text(kMetadataName), metadata_value(model_.table_at(buffers_, buffer).bytes(0)));
    }
  }

  std::vector<FileTensor> read_side(const Table& subgraph, const char* kind, unsigned field) const {
    const Elements tensors = subgraph.tables(kTensors);
    const Elements indices = subgraph.numbers(field, sizeof(int32_t));
    std::vector<FileTensor> side;
    // read_subgraph() has looked at the indices.
    for (size_t position = 0; position < indices.count; ++position) {
      const auto index = static_cast<size_t>(subgraph.number_at<int32_t>(indices, position));
      side.push_back(describe(subgraph.table_at(tensors, index), kind));
    }
    return side;
  }

  // Of a tensor as a whole. What is quantised channel by channel, as weights are, has no meaning for an input or output.
  static vaccel_quantisation quantisation_of(const Table& tensor) {
    if (!tensor.has(kQuantisation)) return {};
    const Table table = tensor.table(kQuantisation);
    const Elements scales = table.numbers(kScales, sizeof(float));
    const Elements zero_points = table.numbers(kZeroPoints, sizeof(int64_t));
    if (scales.count != 1 || zero_points.count > 1) return {};
    return {table.number_at<float>(scales, 0), 0,
            zero_points.count == 0 ? 0 : table.number_at<int64_t>(zero_points, 0)};
  }

  static FileTensor describe(const Table& tensor, const char* kind) {
    FileTensor facts{std::string(tensor.text(kName)), 0, dimensions(tensor, kShape), true,
                     quantisation_of(tensor)};
    const ElementType* type = type_in_file(tensor.number<int8_t>(kType, 0));
    if (type == nullptr) {
      refuse(VACCEL_UNIMPLEMENTED,
             "%s '%s' has an element type that vAccel has no name for (complex, resource, int4)", kind,
             printable(facts.name).c_str());
    }
    facts.dtype = type->dtype;
    const std::vector<int64_t> signature = dimensions(tensor, kShapeSignature);
    for (size_t axis = 0; axis < signature.size() && signature.size() == facts.shape.size(); ++axis) {
      if (signature[axis] == -1) facts.shape[axis] = -1;
    }
    facts.ranked = !facts.shape.empty() || tensor.number<uint8_t>(kHasRank, 0) != 0;
    return facts;
  }

  // How deep the calls go that begin in a subgraph. One that comes back to itself would never end.
  int call_depth(size_t subgraph, std::vector<int>& depths, int above) const {
    if (depths[subgraph] >= 0) return depths[subgraph];
    if (depths[subgraph] == kBeingCounted || above > kDeepestCall) {
      refuse(VACCEL_INVALID_ARGUMENT, "subgraph %zu calls itself, or calls go deeper than %d", subgraph,
             kDeepestCall);
    }
    depths[subgraph] = kBeingCounted;
    int deepest = 0;
    const Table table = model_.table_at(subgraphs_, subgraph);
    const Elements operators = table.tables(kOperators);
    for (size_t index = 0; index < operators.count; ++index) {
      for (const size_t called : called_by(table.table_at(operators, index)))
        deepest = std::max(deepest, 1 + call_depth(called, depths, above + 1));
    }
    if (deepest > kDeepestCall) {
      refuse(VACCEL_INVALID_ARGUMENT, "calls from subgraph %zu go deeper than %d", subgraph, kDeepestCall);
    }
    return depths[subgraph] = deepest;
  }

  [[nodiscard]] std::vector<size_t> called_by(const Table& node) const {
    const auto code = node.number<uint32_t>(kCodeIndex, 0);
    if (code >= operators_.size()) {
      refuse(VACCEL_INVALID_ARGUMENT, "an operator has code %u; the model has %zu", code, operators_.size());
    }
    std::vector<size_t> called;
    for (const Caller& caller : kCallers) {
      if (caller.code != operators_[code]) continue;
      // Options of another type count as none, and then every field is 0.
      const bool has_options =
          node.number<uint8_t>(kOptionsType, 0) == caller.options_type && node.has(kOptions);
      for (unsigned field = 0; field < caller.subgraphs; ++field) {
        const int32_t index = has_options ? node.table(kOptions).number<int32_t>(field, 0) : 0;
        if (index < 0 || static_cast<size_t>(index) >= subgraphs_.count) {
          refuse(VACCEL_INVALID_ARGUMENT, "an operator calls subgraph %d; the model has %zu", index,
                 subgraphs_.count);
        }
        called.push_back(static_cast<size_t>(index));
      }
    }
    return called;
  }

  Bytes bytes_;
  Table model_;
  Elements codes_;
  Elements subgraphs_;
  Elements buffers_;
  std::vector<int32_t> operators_;  // what the codes stand for
  size_t visits_ = 0;
  ModelFile file_;
};

}  // namespace

bool FileTensor::is_dynamic() const {
  return std::find(shape.begin(), shape.end(), -1) != shape.end();
}

bool ModelFile::is_dynamic() const {
  return std::any_of(inputs.begin(), inputs.end(),
                     [](const FileTensor& input) { return input.is_dynamic(); });
}

ModelFile ModelFile::read(std::span<const std::byte> bytes) {
  constexpr size_t kIdentifierAt = 4;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.size() < kIdentifierAt + kIdentifier.size() ||
      text.substr(kIdentifierAt, kIdentifier.size()) != kIdentifier) {
    refuse(VACCEL_INVALID_ARGUMENT,
           "the file is no TensorFlow Lite model: of its %zu bytes, those from the fifth on are not \"TFL3\"",
           bytes.size());
  }
  return Reader(bytes).read();
}

}  // namespace vaccel::tflite
