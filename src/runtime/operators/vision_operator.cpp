// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/vision_operator.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <vector>

#include "core/pool.h"
#include "core/tensor.h"
#include "runtime/backend_run.h"
#include "runtime/operators/attributes.h"
#include "runtime/operators/model_outputs.h"
#include "runtime/vision/image_decode.h"
#include "runtime/vision/output_values.h"

namespace vaccel::runtime {
namespace {

// A batch's input tensor takes no more than this (or one image's, if that is more).
constexpr size_t kMostBatchBytes = size_t{128} << 20;

// Memory that is kept from call to call.
struct VisionScratch {
  Scratch pixels;
  Scratch tensor;
  Scratch results;
  ModelOutputs outputs;
  std::vector<ImageMapping> mappings;
  std::deque<Scratch> numbers;  // for each output that is not float32
  std::vector<OutputShape> shapes;
  std::vector<OutputView> views;

  void rest() {
    for (Scratch* scratch : {&pixels, &tensor, &results})
      scratch->rest();
    for (Scratch& scratch : numbers)
      scratch.rest();
    outputs.rest();
  }
};

// Not destroyed: threads may be in calls when a program ends.
Pool<VisionScratch>& scratches() {
  static auto& pool = *new Pool<VisionScratch>;
  return pool;
}

// Adds up stages as they follow each other, if the caller wants to know.
class StageTimer {
 public:
  explicit StageTimer(vaccel_timings* timings) : timings_(timings) {
    if (timings_ == nullptr) return;
    timings_->decode_ns = 0;
    timings_->prepare_ns = 0;
    timings_->infer_ns = 0;
    timings_->postprocess_ns = 0;
    watch_.emplace();
  }
  void done(uint64_t vaccel_timings::*stage) {
    if (timings_ != nullptr) timings_->*stage += watch_->lap_ns();
  }

 private:
  vaccel_timings* timings_;
  std::optional<Stopwatch> watch_;
};

// "input 'image'", or "image 3" of several.
std::string place_of(size_t image, size_t count) {
  return count == 1 ? "input 'image'" : "image " + std::to_string(image);
}

Status check_images(const RuntimeCall& call, const char* name) {
  if (call.input_count < 1 || call.input_count > kMaxImages) {
    return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' takes 1 to %zu images; %zu inputs are given", name,
                   kMaxImages, call.input_count);
  }
  for (size_t index = 0; index < call.input_count; ++index) {
    const vaccel_tensor& image = call.inputs[index];
    const bool named = image.name != nullptr && image.name[0] != '\0';
    if (named && (call.input_count > 1 || std::strcmp(image.name, "image") != 0)) {
      return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' has no input '%s'; %s", name,
                     printable(image.name).c_str(),
                     call.input_count == 1 ? "its input is 'image'" : "several images have no names");
    }
    if (image.dtype != VACCEL_UINT8 || image.rank != 1) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "%s is %s %s; it must be uint8 [n], the bytes of a PNG, JPEG or WebP file",
                     place_of(index, call.input_count).c_str(), dtype_name(image.dtype),
                     shape_text(shape_of(image)).c_str());
    }
  }
  return {};
}

// The image file. It is parsed where it lies: RuntimeCall::inputs promises that nobody changes it meanwhile.
Result<std::span<const std::byte>> image_file(const vaccel_tensor& image, const ImageLimits& limits) {
  const auto size = static_cast<size_t>(image.shape[0]);
  if (size == 0) return fail(VACCEL_INVALID_ARGUMENT, "the image is empty: it has 0 bytes");
  if (size > limits.max_encoded_bytes) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "the image file has %zu bytes; at most %llu are accepted", size,
                static_cast<unsigned long long>(limits.max_encoded_bytes));
  }
  return std::span<const std::byte>{static_cast<const std::byte*>(image.data), size};
}

}  // namespace

Status write_size(const ImageMapping& mapping, ResultWriter& results) {
  const auto size = results.tensor<int32_t>("size", {2});
  if (!size) return size.error();
  (*size)[0] = static_cast<int32_t>(mapping.image_width);
  (*size)[1] = static_cast<int32_t>(mapping.image_height);
  return {};
}

// One call, from its images to its results.
class VisionOperator::Run {
 public:
  Run(const VisionOperator& vision, RuntimeCall& call, const LoadedModel& loaded,
      const VisionSettings& settings, VisionScratch& scratch)
      : vision_(vision),
        call_(call),
        loaded_(loaded),
        plan_(*loaded.vision_plan()),
        settings_(settings),
        scratch_(scratch),
        coming_(loaded.batcher()),
        timer_(call.timings),
        results_(call) {}

  Status all() {
    const size_t group = plan_.batches ? std::max<size_t>(1, kMostBatchBytes / image_bytes()) : 1;
    for (size_t first = 0; first < call_.input_count; first += group) {
      const size_t count = std::min(group, call_.input_count - first);
      if (Status status = prepare(first, count); !status.ok()) return status;
      if (Status status = infer(count); !status.ok()) return status;
      if (Status status = write(first, count); !status.ok()) return status;
    }
    return {};
  }

 private:
  [[nodiscard]] const ModelDescription& description() const { return call_.model->description(); }
  [[nodiscard]] size_t image_bytes() const {
    return size_t{3} * description().image->width * description().image->height * element_size(plan_.dtype);
  }

  // Fills the input tensor with images first .. first + count - 1.
  Status prepare(size_t first, size_t count) {
    tensor_ = scratch_.tensor.take(count * image_bytes());
    if (tensor_ == nullptr) {
      return failure(VACCEL_RESOURCE_EXHAUSTED, "no memory for a tensor of %zu bytes", count * image_bytes());
    }
    scratch_.mappings.clear();
    for (size_t index = 0; index < count; ++index) {
      Status status = prepare_one(call_.inputs[first + index], tensor_ + index * image_bytes());
      if (!status.ok())
        return call_.input_count == 1 ? status : status.within("image " + std::to_string(first + index));
      if (status = check_alive(call_); !status.ok()) return status;
    }
    return {};
  }

  Status prepare_one(const vaccel_tensor& input, std::byte* tensor) {
    const auto encoded = image_file(input, vision_.limits_);
    if (!encoded) return encoded.error();
    const auto picture = decode_image(*encoded, vision_.limits_, scratch_.pixels);
    if (!picture) return picture.error();
    timer_.done(&vaccel_timings::decode_ns);
    if (Status status = check_alive(call_); !status.ok()) return status;
    const ImageInput& image = *description().image;
    scratch_.mappings.push_back(map_image(picture->width, picture->height, image));
    if (plan_.dtype == VACCEL_UINT8) {
      prepare_image(*picture, image, plan_.quantisation, reinterpret_cast<uint8_t*>(tensor));
    } else if (plan_.dtype == VACCEL_INT8) {
      prepare_image(*picture, image, plan_.quantisation, reinterpret_cast<int8_t*>(tensor));
    } else {
      prepare_image(*picture, image, reinterpret_cast<float*>(tensor));
    }
    timer_.done(&vaccel_timings::prepare_ns);
    return {};
  }

  Status infer(size_t count) {
    std::array<int64_t, 4> shape{};
    std::copy_n(plan_.shape.begin(), shape.size(), shape.begin());
    shape[0] = static_cast<int64_t>(count);
    vaccel_tensor input{};
    input.name = description().image->input.c_str();
    input.data = tensor_;
    input.bytes = count * image_bytes();
    input.shape = shape.data();
    input.rank = static_cast<int32_t>(shape.size());
    input.dtype = plan_.dtype;
    scratch_.outputs.begin(loaded_.outputs().size());
    Status status =
        loaded_.batcher().run(call_, {&input, 1}, scratch_.outputs.sink(), vision_.watcher_, &coming_);
    timer_.done(&vaccel_timings::infer_ns);
    return status.ok() ? check_alive(call_) : status;
  }

  Status write(size_t first, size_t count) {
    for (size_t index = 0; index < count; ++index) {
      if (Status status = view_outputs(index, count); !status.ok()) return status;
      results_.begin_image(first + index);
      const VisionImage image{*call_.model,   *plan_.decoder,  settings_, scratch_.mappings[index],
                              scratch_.views, scratch_.results};
      Status status = vision_.write_results(image, results_);
      timer_.done(&vaccel_timings::postprocess_ns);
      if (status.ok()) status = check_alive(call_);
      if (!status.ok()) return status;
    }
    return {};
  }

  // One image's share of the outputs that the decoder reads.
  Status view_outputs(size_t index, size_t count) {
    scratch_.shapes.clear();
    scratch_.views.clear();
    for (const VisionPlan::Output& planned : plan_.outputs) {
      const ModelOutputs::Output& output = scratch_.outputs[planned.index];
      const std::string& name = loaded_.outputs()[planned.index].name;
      const int32_t dtype = loaded_.outputs()[planned.index].dtype;
      const auto bytes = dense_bytes(dtype, output.shape());
      if (output.dtype != dtype || !bytes || *bytes != output.bytes.size()) {
        return failure(VACCEL_INTERNAL, "model '%s' gave no %s values in '%s'", description().name.c_str(),
                       dtype_name(dtype), printable(name).c_str());
      }
      if (count > 1 && (output.rank == 0 || output.dimensions[0] != static_cast<int64_t>(count))) {
        return failure(VACCEL_INTERNAL, "model '%s' gave %s in '%s' for %zu images",
                       description().name.c_str(), shape_text(output.shape()).c_str(),
                       printable(name).c_str(), count);
      }
      const size_t share = static_cast<size_t>(*bytes) / count;
      if (scratch_.numbers.size() == scratch_.views.size()) scratch_.numbers.emplace_back();
      const auto values = read_values(dtype, output.bytes.subspan(index * share, share), planned.quantisation,
                                      scratch_.numbers[scratch_.views.size()]);
      if (!values) return values.error();
      const OutputShape shape{name, without_batch(output.shape(), static_cast<int64_t>(count)), false};
      scratch_.shapes.push_back(shape);
      scratch_.views.push_back({shape, *values});
    }
    const LabelFacts labels{description().labels.file, call_.model->labels().size()};
    const Status status = plan_.decoder->check(scratch_.shapes, labels);
    if (status.ok()) return {};
    return failure(VACCEL_INTERNAL, "model '%s' gave what its model.toml does not describe: %s",
                   description().name.c_str(), status.message().c_str());
  }

  const VisionOperator& vision_;
  RuntimeCall& call_;
  const LoadedModel& loaded_;
  const VisionPlan& plan_;
  const VisionSettings& settings_;
  VisionScratch& scratch_;
  Batcher::Coming coming_;
  StageTimer timer_;
  ResultWriter results_;
  std::byte* tensor_ = nullptr;
};

OperatorFacts VisionOperator::vision_facts(const char* description, std::vector<PartFacts> own) const {
  own.insert(own.begin(), {VACCEL_OPERATOR_INPUT, "image", "uint8 [n]",
                           "a whole PNG, JPEG or WebP file; or 1 to " + std::to_string(kMaxImages) +
                               " without names, and the results of image I >= 1 are called I.name"});
  return {.name = name(),
          .description = description,
          .parts = std::move(own),
          .offers = {},
          .works_on_model = true};
}

Status VisionOperator::run(RuntimeCall& call) const {
  if (Status status = require_model(call, name().c_str()); !status.ok()) return status;
  const ModelDescription& description = call.model->description();
  if (description.task != task_) {
    return failure(VACCEL_UNIMPLEMENTED, "operator '%s' cannot use model '%s'; its task is \"%s\"",
                   name().c_str(), description.name.c_str(), task_name(description.task));
  }
  const auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return attributes.error();
  const auto settings = read_settings(attributes->all(), description);
  if (!settings) return settings.error();
  if (Status status = check_images(call, name().c_str()); !status.ok()) return status;
  const auto loaded = call.model->in_backend(call.backend);
  if (!loaded) return loaded.error();
  const auto scratch = scratches().take();
  Status status = Run(*this, call, **loaded, *settings, *scratch).all();
  scratch->rest();
  return status;
}

void forget_vision_scratch() {
  scratches().clear();
}

}  // namespace vaccel::runtime
