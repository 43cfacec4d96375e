// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision_plan.h"

#include "core/tensor.h"
#include "runtime/vision/class_map.h"
#include "runtime/vision/class_scores.h"
#include "runtime/vision/depth_map.h"
#include "runtime/vision/detections.h"
#include "runtime/vision/poses.h"
#include "runtime/vision/segmentation.h"

namespace vaccel::runtime {
namespace {

// What the integers of a tensor stand for, which somebody must have said.
Result<Quantisation> quantisation_of(const TensorFacts& tensor, const char* kind, const char* advice) {
  if (!is_quantised_dtype(tensor.dtype)) return Quantisation{};
  if (!tensor.quantisation) {
    return fail(
        VACCEL_INVALID_ARGUMENT,
        "its %s '%s' is %s, and nothing says what the integers stand for: give name, dtype, scale and "
        "zero_point in [[%ss]]%s",
        kind, printable(tensor.name).c_str(), tensor.text().c_str(), kind, advice);
  }
  const Status status = check_quantisation(*tensor.quantisation, tensor.dtype);
  if (!status.ok()) {
    return fail(VACCEL_INVALID_ARGUMENT, "its %s '%s' cannot be quantised as its file says: %s", kind,
                printable(tensor.name).c_str(), status.message().c_str());
  }
  return *tensor.quantisation;
}

// Shape and type of the input tensor that [image] describes, if the model's input can take it.
Status plan_input(const ModelDescription& model, std::span<const TensorFacts> inputs, VisionPlan& plan) {
  const ImageInput& image = *model.image;
  const TensorFacts* input = find_named(inputs, image.input);
  if (input == nullptr) {
    return failure(VACCEL_INVALID_ARGUMENT, "[image] input is '%s', and its inputs are %s",
                   printable(image.input).c_str(), names_of(inputs).c_str());
  }
  if (inputs.size() != 1) {
    return failure(VACCEL_INVALID_ARGUMENT, "it has %zu inputs (%s); a model of task \"%s\" has one",
                   inputs.size(), names_of(inputs).c_str(), task_name(model.task));
  }
  const int64_t height = image.height;
  const int64_t width = image.width;
  const std::vector<int64_t> shape = image.layout == Layout::kNchw
                                         ? std::vector<int64_t>{1, 3, height, width}
                                         : std::vector<int64_t>{1, height, width, 3};
  const bool known_type = input->dtype == VACCEL_FLOAT32 || is_quantised_dtype(input->dtype);
  bool fits = known_type && (input->any_rank || input->shape.size() == shape.size());
  for (size_t axis = 0; fits && !input->any_rank && axis < shape.size(); ++axis) {
    fits = input->shape[axis] == -1 || input->shape[axis] == shape[axis];
  }
  if (!fits) {
    return failure(VACCEL_INVALID_ARGUMENT, "[image] makes %s %s, and its input '%s' is %s",
                   known_type ? dtype_name(input->dtype) : "float32, uint8 or int8",
                   shape_text(shape).c_str(), printable(image.input).c_str(), input->text().c_str());
  }
  const auto quantisation =
      quantisation_of(*input, "input", "; 1 and 0 where it takes what [image] makes, rounded");
  if (!quantisation) return quantisation.error();
  plan.shape = shape;
  plan.dtype = input->dtype;
  plan.quantisation = *quantisation;
  return {};
}

std::unique_ptr<const OutputDecoder> make_decoder(const ModelDescription& model) {
  switch (model.task) {
    case Task::kClassify:
      return std::make_unique<ClassScoresDecoder>(*model.classify);
    case Task::kDetect:
      return make_detect_decoder(*model.detect, *model.image);
    case Task::kSegment:
      if (const auto* classes = std::get_if<SegmentClasses>(&*model.segment))
        return std::make_unique<ClassMapDecoder>(*classes);
      return std::make_unique<SegmentDecoder>(std::get<SegmentScores>(*model.segment));
    case Task::kPose:
      return std::make_unique<PoseDecoder>(*model.pose, *model.image);
    case Task::kDepth:
      return std::make_unique<DepthDecoder>(*model.depth);
    case Task::kInfer:
      break;
  }
  return nullptr;
}

// The types that can_hold() knows, as a sentence says them.
const char* types_for(OutputDecoder::Values values) {
  switch (values) {
    case OutputDecoder::Values::kNumbers:
      break;
    case OutputDecoder::Values::kOrder:
      return "float32, uint8 or int8; decoder \"classes\" takes class numbers";
    case OutputDecoder::Values::kClasses:
      return "uint8, int32 or int64";
  }
  return "float32, uint8 or int8";
}

bool can_hold(const TensorFacts& output, OutputDecoder::Values values) {
  if (values == OutputDecoder::Values::kClasses)
    return output.dtype == VACCEL_UINT8 || output.dtype == VACCEL_INT32 || output.dtype == VACCEL_INT64;
  return output.dtype == VACCEL_FLOAT32 || is_quantised_dtype(output.dtype);
}

// Finds the decoder's outputs among the model's.
Result<std::vector<VisionPlan::Output>> find_outputs(const ModelDescription& model,
                                                     const OutputDecoder& decoder,
                                                     std::span<const TensorFacts> outputs) {
  std::vector<VisionPlan::Output> found;
  for (const OutputDecoder::Wanted& wanted : decoder.outputs()) {
    const TensorFacts* output = find_named(outputs, wanted.name);
    if (output == nullptr) {
      return fail(VACCEL_INVALID_ARGUMENT, "[%s] %s is '%s', and its outputs are %s", task_name(model.task),
                  wanted.key, printable(wanted.name).c_str(), names_of(outputs).c_str());
    }
    if (!can_hold(*output, wanted.values)) {
      return fail(VACCEL_INVALID_ARGUMENT, "its output '%s' is %s; '%s' of [%s] must be %s",
                  printable(wanted.name).c_str(), output->text().c_str(), wanted.key, task_name(model.task),
                  types_for(wanted.values));
    }
    Quantisation quantisation;
    if (wanted.values == OutputDecoder::Values::kNumbers) {
      const auto said = quantisation_of(*output, "output", "");
      if (!said) return Unexpected{said.error()};
      quantisation = *said;
    }
    found.push_back({static_cast<size_t>(output - outputs.data()), quantisation});
  }
  return found;
}

bool is_free(const TensorFacts& tensor) {
  return tensor.any_rank || (!tensor.shape.empty() && tensor.shape.front() == -1);
}

}  // namespace

std::span<const int64_t> without_batch(std::span<const int64_t> shape, int64_t images) {
  const bool has_batch = !shape.empty() && (shape.front() == images || shape.front() == -1);
  return has_batch ? shape.subspan(1) : shape;
}

Result<VisionPlan> plan_vision(const ModelDescription& model, std::span<const TensorFacts> inputs,
                               std::span<const TensorFacts> outputs, size_t label_count) {
  VisionPlan plan;
  if (Status status = plan_input(model, inputs, plan); !status.ok()) return Unexpected{std::move(status)};
  plan.decoder = make_decoder(model);
  auto found = find_outputs(model, *plan.decoder, outputs);
  if (!found) return Unexpected{found.error()};
  plan.outputs = std::move(*found);
  plan.batches = is_free(inputs.front());
  std::vector<OutputShape> shapes;
  for (const VisionPlan::Output& planned : plan.outputs) {
    const TensorFacts& output = outputs[planned.index];
    shapes.push_back({output.name, without_batch(output.shape, 1), output.any_rank});
    plan.batches = plan.batches && is_free(output);
  }
  if (Status status = plan.decoder->check(shapes, {model.labels.file, label_count}); !status.ok()) {
    return Unexpected{std::move(status)};
  }
  return plan;
}

}  // namespace vaccel::runtime
