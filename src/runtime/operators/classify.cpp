// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/classify.h"

#include <cstring>
#include <deque>
#include <limits>
#include <optional>

#include "core/tensor.h"
#include "runtime/backend_run.h"
#include "runtime/model.h"
#include "runtime/operators/attributes.h"
#include "runtime/scratch.h"
#include "runtime/vision/image_decode.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/top_classes.h"

namespace vaccel::runtime {
namespace {

// Memory that a thread keeps from call to call: fresh pages for each would cost more than copying into them.
struct ClassifyScratch {
  Scratch pixels;
  Scratch tensor;
  std::deque<Scratch> outputs;  // of the model, by index
};

// Takes in the model's outputs: keeps the one with the scores.
struct ScoreSink {
  ClassifyScratch& scratch;
  size_t wanted;
  size_t output_count;
  std::span<const float> scores;

  static void* get(void* context, size_t index, const char* /*name*/, vaccel_dtype dtype, int32_t /*rank*/,
                   const int64_t* /*shape*/, size_t bytes) {
    auto* self = static_cast<ScoreSink*>(context);
    if (index >= self->output_count) return nullptr;
    std::deque<Scratch>& outputs = self->scratch.outputs;
    while (outputs.size() <= index)
      outputs.emplace_back();
    std::byte* memory = outputs[index].take(bytes);
    if (index == self->wanted && dtype == VACCEL_FLOAT32 && memory != nullptr) {
      self->scores = {reinterpret_cast<const float*>(memory), bytes / sizeof(float)};
    }
    return memory;
  }
};

Status check_image_input(const RuntimeCall& call) {
  if (call.input_count != 1) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "operator 'classify' takes one input, the image file; %zu are given", call.input_count);
  }
  const vaccel_tensor& image = call.inputs[0];
  if (image.name != nullptr && image.name[0] != '\0' && std::strcmp(image.name, "image") != 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "operator 'classify' has no input '%s'; its input is 'image'",
                   printable(image.name).c_str());
  }
  if (image.dtype != VACCEL_UINT8 || image.rank != 1) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "input 'image' is %s %s; it must be uint8 [n], the bytes of a PNG, JPEG or WebP file",
                   dtype_name(image.dtype), shape_text(shape_of(image)).c_str());
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

// VACCEL_STRING of the classes' labels.
Status write_labels(const RuntimeCall& call, std::span<const ClassScore> classes,
                    const std::vector<std::string>& labels) {
  static const std::string kNone;
  const auto label_of = [&](const ClassScore& one) -> const std::string& {
    const auto index = static_cast<size_t>(one.index);
    return index < labels.size() ? labels[index] : kNone;
  };
  const size_t count = classes.size();
  size_t bytes = (count + 1) * sizeof(uint32_t);
  for (const ClassScore& one : classes)
    bytes += label_of(one).size() + 1;
  const int64_t shape[] = {static_cast<int64_t>(count)};
  const auto memory = request_output(call, 2, "label", VACCEL_STRING, shape, bytes);
  if (!memory) return memory.error();
  auto* base = static_cast<std::byte*>(*memory);
  auto offset = static_cast<uint32_t>((count + 1) * sizeof(uint32_t));
  std::memcpy(base, &offset, sizeof offset);
  for (size_t index = 0; index < count; ++index) {
    const std::string& label = label_of(classes[index]);
    std::memcpy(base + offset, label.c_str(), label.size() + 1);
    offset += static_cast<uint32_t>(label.size() + 1);
    std::memcpy(base + (index + 1) * sizeof offset, &offset, sizeof offset);
  }
  return {};
}

Status write_classes(const RuntimeCall& call, std::span<const ClassScore> classes,
                     const std::vector<std::string>& labels) {
  const int64_t shape[] = {static_cast<int64_t>(classes.size())};
  const auto indices =
      request_output(call, 0, "index", VACCEL_INT32, shape, classes.size() * sizeof(int32_t));
  if (!indices) return indices.error();
  const auto scores = request_output(call, 1, "score", VACCEL_FLOAT32, shape, classes.size() * sizeof(float));
  if (!scores) return scores.error();
  for (size_t index = 0; index < classes.size(); ++index) {
    static_cast<int32_t*>(*indices)[index] = classes[index].index;
    static_cast<float*>(*scores)[index] = classes[index].score;
  }
  return write_labels(call, classes, labels);
}

// Measures stages one after the other, if the caller wants to know.
class StageTimer {
 public:
  explicit StageTimer(vaccel_timings* timings) : timings_(timings) {
    if (timings_ != nullptr) watch_.emplace();
  }
  void done(uint64_t vaccel_timings::*stage) {
    if (timings_ != nullptr) timings_->*stage = watch_->lap_ns();
  }

 private:
  vaccel_timings* timings_;
  std::optional<Stopwatch> watch_;
};

}  // namespace

Status ClassifyOperator::run(RuntimeCall& call) const {
  if (Status status = require_model(call, "classify"); !status.ok()) return status;
  const ModelDescription& description = call.model->description();
  if (description.task != Task::kClassify) {
    return failure(VACCEL_UNIMPLEMENTED, "model '%s' does not classify; its task is \"%s\"",
                   description.name.c_str(), task_name(description.task));
  }
  const auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return attributes.error();
  if (Status status = refuse_unknown("classify", attributes->all(), {"top"}); !status.ok()) return status;
  const auto top =
      integer_attribute("classify", attributes->all(), "top", 1, std::numeric_limits<uint32_t>::max());
  if (!top) return failure(VACCEL_INVALID_ARGUMENT, "%s", top.error().message().c_str());
  if (Status status = check_image_input(call); !status.ok()) return status;
  const auto loaded = call.model->in_backend(call.backend);
  if (!loaded) return loaded.error();
  const LoadedModel& model = **loaded;

  static thread_local ClassifyScratch scratch;
  StageTimer timer(call.timings);
  const auto encoded = image_file(call.inputs[0], limits_);
  if (!encoded) return encoded.error();
  const auto picture = decode_image(*encoded, limits_, scratch.pixels);
  if (!picture) return picture.error();
  timer.done(&vaccel_timings::decode_ns);
  if (Status status = check_alive(call); !status.ok()) return status;

  const ImageInput& image = *description.image;
  const size_t tensor_bytes = size_t{3} * image.width * image.height * sizeof(float);
  auto* values = reinterpret_cast<float*>(scratch.tensor.take(tensor_bytes));
  if (values == nullptr)
    return failure(VACCEL_RESOURCE_EXHAUSTED, "no memory for a tensor of %zu bytes", tensor_bytes);
  prepare_image(*picture, image, values);
  timer.done(&vaccel_timings::prepare_ns);

  const ClassifyPlan& plan = *model.classify_plan();
  vaccel_tensor input{};
  input.name = image.input.c_str();
  input.data = values;
  input.bytes = tensor_bytes;
  input.shape = plan.shape.data();
  input.rank = static_cast<int32_t>(plan.shape.size());
  input.dtype = VACCEL_FLOAT32;
  ScoreSink sink{scratch, plan.output, model.outputs().size(), {}};
  BackendRun run(call, {&input, 1}, {}, {&sink, ScoreSink::get}, watcher_);
  Status status =
      run.outcome(model.backend().table().model_run(model.handle(), run.get()), model.backend().name());
  timer.done(&vaccel_timings::infer_ns);
  if (!status.ok()) return status;
  if (sink.scores.empty()) {
    return failure(VACCEL_INTERNAL, "model '%s' gave no float32 scores in '%s'", description.name.c_str(),
                   description.classify->output.c_str());
  }

  const std::vector<ClassScore> classes =
      top_classes(sink.scores, static_cast<size_t>(*top), description.classify->activation);
  status = write_classes(call, classes, call.model->labels());
  timer.done(&vaccel_timings::postprocess_ns);
  return status;
}

}  // namespace vaccel::runtime
