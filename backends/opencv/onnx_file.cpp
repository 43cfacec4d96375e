// SPDX-License-Identifier: Apache-2.0
//
// Field numbers are those of onnx.proto. Where protobuf lets a field that is there once come twice (the last counts, or
// both are merged), a file that does so is refused: what is checked here must be what OpenCV reads.
#include "onnx_file.h"

#include <algorithm>
#include <limits>
#include <set>

#include "common/protobuf_reader.h"
#include "failure.h"

namespace vaccel::opencv {
namespace {

using backends::ProtobufReader;

constexpr int kDeepestGraph = 16;  // graphs within attributes of nodes of graphs

struct ElementType {
  const char* name;
  size_t size;          // of one value as raw data; 0: it cannot be
  uint32_t data_field;  // of TensorProto: where values of the type may lie instead
};

constexpr uint32_t kFloatData = 4, kInt32Data = 5, kInt64Data = 7, kDoubleData = 10, kUint64Data = 11;

// By TensorProto.DataType.
constexpr ElementType kElementTypes[] = {
    {"none", 0, 0},
    {"float32", 4, kFloatData},
    {"uint8", 1, kInt32Data},
    {"int8", 1, kInt32Data},
    {"uint16", 2, kInt32Data},
    {"int16", 2, kInt32Data},
    {"int32", 4, kInt32Data},
    {"int64", 8, kInt64Data},
    {"string", 0, 0},
    {"bool", 1, kInt32Data},
    {"float16", 2, kInt32Data},
    {"float64", 8, kDoubleData},
    {"uint32", 4, kUint64Data},
    {"uint64", 8, kUint64Data},
    {"complex64", 0, 0},
    {"complex128", 0, 0},
    {"bfloat16", 2, kInt32Data},
};

// Notes that a field has come, and refuses it the second time.
class Once {
 public:
  explicit Once(const char* what) : what_(what) {}
  void operator()() {
    if (seen_)
      refuse(VACCEL_INVALID_ARGUMENT, "the file is no ONNX model, or damaged: %s comes twice", what_);
    seen_ = true;
  }
  [[nodiscard]] bool seen() const { return seen_; }

 private:
  const char* what_;
  bool seen_ = false;
};

// What is gathered of a TensorProto before it can be judged.
struct Tensor {
  std::string_view name;
  std::vector<uint64_t> dimensions;
  uint64_t element = 0;
  uint64_t raw_bytes = 0;
  uint64_t counts[kUint64Data + 1] = {};  // of values, by data field
  bool external = false;

  /// How much of the name is shown in a sentence.
  [[nodiscard]] int shown() const { return static_cast<int>(std::min<size_t>(name.size(), 200)); }
};

Tensor gather_tensor(std::string_view message) {
  Tensor tensor;
  Once raw("a tensor's data");
  Once type("a tensor's type");
  for (ProtobufReader field(message); field.next();) {
    switch (field.field()) {
      case 1:
        field.for_each_number([&](uint64_t size) { tensor.dimensions.push_back(size); });
        break;
      case 2:
        type(), tensor.element = field.number();
        break;
      case kFloatData:
        tensor.counts[kFloatData] += field.count_fixed(4);
        break;
      case kDoubleData:
        tensor.counts[kDoubleData] += field.count_fixed(8);
        break;
      case kInt32Data:
      case kInt64Data:
      case kUint64Data:
        field.for_each_number([&](uint64_t) { ++tensor.counts[field.field()]; });
        break;
      case 8:
        tensor.name = field.bytes();
        break;
      case 9:
        raw(), tensor.raw_bytes = field.bytes().size();
        break;
      case 13:
        tensor.external = true;
        break;
      case 14:
        tensor.external = tensor.external || field.number() != 0;
        break;
      default:
        break;
    }
  }
  return tensor;
}

// The number of values that the dimensions make; sizes of OpenCV are ints.
uint64_t count_values(const Tensor& tensor) {
  constexpr uint64_t kMost = std::numeric_limits<int32_t>::max();
  uint64_t count = 1;
  for (const uint64_t size : tensor.dimensions) {
    if (size > kMost || (count *= size) > kMost) {
      refuse(VACCEL_INVALID_ARGUMENT,
             "the file is damaged or too large: tensor '%.*s' has a dimension or a size over %llu",
             tensor.shown(), tensor.name.data(), static_cast<unsigned long long>(kMost));
    }
  }
  return count;
}

void check_tensor(std::string_view message) {
  const Tensor tensor = gather_tensor(message);
  if (tensor.external) {
    refuse(
        VACCEL_INVALID_ARGUMENT,
        "the model keeps weights ('%.*s') in other files ('external data'), which are not loaded; save it as "
        "one file (onnx.save with save_as_external_data=False)",
        tensor.shown(), tensor.name.data());
  }
  if (tensor.element == 0 || tensor.element >= std::size(kElementTypes)) {
    refuse(VACCEL_INVALID_ARGUMENT, "tensor '%.*s' is of type %llu, which OpenCV does not know",
           tensor.shown(), tensor.name.data(), static_cast<unsigned long long>(tensor.element));
  }
  const ElementType& type = kElementTypes[tensor.element];
  const uint64_t count = count_values(tensor);
  if (type.size == 0) return;  // strings and complex numbers, which OpenCV refuses by itself
  const uint64_t listed = tensor.counts[type.data_field];
  const bool fits = listed != 0 ? listed == count : tensor.raw_bytes == count * type.size;
  if (fits) return;
  refuse(VACCEL_INVALID_ARGUMENT,
         "the file is damaged: tensor '%.*s' has %llu values of %s by its dimensions, and its data %llu "
         "bytes or %llu "
         "values",
         tensor.shown(), tensor.name.data(), static_cast<unsigned long long>(count), type.name,
         static_cast<unsigned long long>(tensor.raw_bytes), static_cast<unsigned long long>(listed));
}

void read_dimension(std::string_view message, OnnxValue& value) {
  int64_t size = -1;
  for (ProtobufReader field(message); field.next();) {
    if (field.field() == 1) size = static_cast<int64_t>(field.number());
    if (field.field() == 2) size = -1;  // a name for any size
  }
  value.shape.push_back(size < 0 ? -1 : size);
}

void read_tensor_type(std::string_view message, OnnxValue& value) {
  Once shape("a shape");
  for (ProtobufReader field(message); field.next();) {
    if (field.field() == 1) value.element = static_cast<int32_t>(std::min<uint64_t>(field.number(), 1000));
    if (field.field() != 2) continue;
    shape();
    value.any_rank = false;
    for (ProtobufReader dimension(field.bytes()); dimension.next();) {
      if (dimension.field() == 1) read_dimension(dimension.bytes(), value);
    }
  }
}

OnnxValue read_value(std::string_view message) {
  OnnxValue value;
  Once type("a type");
  for (ProtobufReader field(message); field.next();) {
    if (field.field() == 1) value.name = field.bytes();
    if (field.field() != 2) continue;
    type();
    Once tensor("a tensor type");
    for (ProtobufReader kind(field.bytes()); kind.next();) {
      if (kind.field() != 1) continue;  // a sequence, a map, ...
      tensor();
      read_tensor_type(kind.bytes(), value);
    }
  }
  return value;
}

struct Graph {
  std::vector<OnnxValue> inputs;
  std::vector<OnnxValue> outputs;
  std::set<std::string, std::less<>> initialised;
};

Graph read_graph(std::string_view message, int depth);

// Tensors and graphs in a node's attributes.
void check_node(std::string_view message, int depth) {
  for (ProtobufReader field(message); field.next();) {
    if (field.field() != 5) continue;
    Once tensor("an attribute's tensor");
    Once graph("an attribute's graph");
    for (ProtobufReader attribute(field.bytes()); attribute.next();) {
      switch (attribute.field()) {
        case 5:
          tensor(), check_tensor(attribute.bytes());
          break;
        case 6:
          graph(), (void)read_graph(attribute.bytes(), depth + 1);
          break;
        case 10:
          check_tensor(attribute.bytes());
          break;
        case 11:
          (void)read_graph(attribute.bytes(), depth + 1);
          break;
        default:
          break;
      }
    }
  }
}

void note_initialised(std::string_view message, Graph& graph) {
  for (ProtobufReader field(message); field.next();) {
    if (field.field() == 8) graph.initialised.emplace(field.bytes());
  }
}

Graph read_graph(std::string_view message, int depth) {
  if (depth > kDeepestGraph) {
    refuse(VACCEL_INVALID_ARGUMENT, "the model has graphs within graphs, more than %d deep", kDeepestGraph);
  }
  Graph graph;
  for (ProtobufReader field(message); field.next();) {
    switch (field.field()) {
      case 1:
        check_node(field.bytes(), depth);
        break;
      case 5:
        check_tensor(field.bytes());
        note_initialised(field.bytes(), graph);
        break;
      case 11:
        graph.inputs.push_back(read_value(field.bytes()));
        break;
      case 12:
        graph.outputs.push_back(read_value(field.bytes()));
        break;
      default:
        break;
    }
  }
  return graph;
}

// The opset of ONNX's own operators, whose domain is empty or "ai.onnx"; 0: it is another one's.
int64_t read_opset(std::string_view message) {
  std::string_view domain;
  uint64_t version = 0;
  for (ProtobufReader field(message); field.next();) {
    if (field.field() == 1) domain = field.bytes();
    if (field.field() == 2) version = field.number();
  }
  return domain.empty() || domain == "ai.onnx" ? static_cast<int64_t>(std::min<uint64_t>(version, 1'000'000))
                                               : 0;
}

}  // namespace

OnnxFile read_onnx_file(std::string_view file) {
  OnnxFile read;
  Graph graph;
  Once once("the graph");
  for (ProtobufReader field(file); field.next();) {
    if (field.field() == 8) read.opset = std::max(read.opset, read_opset(field.bytes()));
    if (field.field() != 7) continue;
    once();
    graph = read_graph(field.bytes(), 0);
  }
  if (!once.seen()) refuse(VACCEL_INVALID_ARGUMENT, "the file is no ONNX model: it has no graph");
  // Files of old versions list their weights among the inputs.
  std::erase_if(graph.inputs, [&](const OnnxValue& value) { return graph.initialised.contains(value.name); });
  read.inputs = std::move(graph.inputs);
  read.outputs = std::move(graph.outputs);
  return read;
}

std::string onnx_element_name(int32_t element) {
  if (element > 0 && static_cast<size_t>(element) < std::size(kElementTypes)) {
    return kElementTypes[element].name;
  }
  return "type " + std::to_string(element);
}

}  // namespace vaccel::opencv
