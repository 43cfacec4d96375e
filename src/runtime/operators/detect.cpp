// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/detect.h"

#include <vector>

#include "runtime/operators/attributes.h"
#include "runtime/vision/detections.h"

namespace vaccel::runtime {

OperatorFacts DetectOperator::facts() const {
  return vision_facts(
      "Finds the things in a picture, with a model of task detect",
      {{VACCEL_OPERATOR_OUTPUT, "box", "float32 [n, 4]",
        "x and y of the top left corner, width and height, in pixels of the image"},
       {VACCEL_OPERATOR_OUTPUT, "index", "int32 [n]", "class numbers, best first"},
       {VACCEL_OPERATOR_OUTPUT, "score", "float32 [n]", "0 to 1"},
       {VACCEL_OPERATOR_OUTPUT, "label", "string [n]", "the classes' names"},
       {VACCEL_OPERATOR_OUTPUT, "size", "int32 [2]", "the image's width and height"},
       {VACCEL_OPERATOR_ATTRIBUTE, "min_score", "number 0 to 1",
        "what scores less is left out; default: the model's"},
       {VACCEL_OPERATOR_ATTRIBUTE, "iou", "number 0 to 1",
        "of two boxes that overlap more the lesser is left out; default: the model's"},
       {VACCEL_OPERATOR_ATTRIBUTE, "top", "integer 1 to 1000", "how many at most; default: 100"}});
}

Result<VisionSettings> DetectOperator::read_settings(std::span<const vaccel_attribute> attributes,
                                                     const ModelDescription& model) const {
  if (Status status = refuse_unknown("detect", attributes, {"iou", "min_score", "top"}); !status.ok()) {
    return Unexpected{status};
  }
  const auto min_score = real_attribute("detect", attributes, "min_score", 0, 1, model.detect->min_score);
  if (!min_score) return Unexpected{min_score.error()};
  const auto iou = real_attribute("detect", attributes, "iou", 0, 1, model.detect->iou);
  if (!iou) return Unexpected{iou.error()};
  const auto top = integer_attribute_or("detect", attributes, "top", 1, 1000, 100);
  if (!top) return Unexpected{top.error()};
  return VisionSettings{static_cast<size_t>(*top), static_cast<float>(*min_score), static_cast<float>(*iou)};
}

Status DetectOperator::write_results(const VisionImage& image, ResultWriter& results) const {
  const auto& decoder = static_cast<const DetectDecoder&>(image.decoder);
  std::vector<Detection> candidates;
  decoder.decode(image.outputs, image.settings.min_score, candidates);
  const bool across_classes = image.model.description().detect->across_classes;
  const std::vector<Detection> found =
      choose_detections(candidates, {image.settings.iou, across_classes, image.settings.top}, image.mapping);

  const auto boxes = results.tensor<float>("box", {found.size(), 4});
  if (!boxes) return boxes.error();
  const auto indices = results.tensor<int32_t>("index", {found.size()});
  if (!indices) return indices.error();
  const auto scores = results.tensor<float>("score", {found.size()});
  if (!scores) return scores.error();
  std::vector<std::string_view> labels(found.size());
  for (size_t one = 0; one < found.size(); ++one) {
    const Detection& detection = found[one];
    float* box = *boxes + one * 4;
    box[0] = detection.left;
    box[1] = detection.top;
    box[2] = detection.right - detection.left;
    box[3] = detection.bottom - detection.top;
    (*indices)[one] = detection.index;
    (*scores)[one] = detection.score;
    labels[one] = label_of(image.model.labels(), detection.index);
  }
  if (Status status = results.strings("label", labels); !status.ok()) return status;
  return write_size(image.mapping, results);
}

}  // namespace vaccel::runtime
