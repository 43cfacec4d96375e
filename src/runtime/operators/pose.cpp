// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/pose.h"

#include <vector>

#include "runtime/operators/attributes.h"
#include "runtime/vision/poses.h"

namespace vaccel::runtime {

OperatorFacts PoseOperator::facts() const {
  return vision_facts(
      "Finds the parts of the bodies in a picture, with a model of task pose",
      {{VACCEL_OPERATOR_OUTPUT, "keypoint", "float32 [poses, k, 3]",
        "x and y in pixels of the image, and a score of 0 to 1"},
       {VACCEL_OPERATOR_OUTPUT, "score", "float32 [poses]", "of each pose, best first"},
       {VACCEL_OPERATOR_OUTPUT, "name", "string [k]", "of the keypoints"},
       {VACCEL_OPERATOR_OUTPUT, "size", "int32 [2]", "the image's width and height"},
       {VACCEL_OPERATOR_ATTRIBUTE, "min_score", "number 0 to 1",
        "poses that score less are left out; default: the model's"},
       {VACCEL_OPERATOR_ATTRIBUTE, "top", "integer 1 to 100", "how many at most; default: 10"}});
}

Result<VisionSettings> PoseOperator::read_settings(std::span<const vaccel_attribute> attributes,
                                                   const ModelDescription& model) const {
  if (Status status = refuse_unknown("pose", attributes, {"min_score", "top"}); !status.ok()) {
    return Unexpected{status};
  }
  const auto min_score = real_attribute("pose", attributes, "min_score", 0, 1, model.pose->min_score);
  if (!min_score) return Unexpected{min_score.error()};
  const auto top = integer_attribute_or("pose", attributes, "top", 1, 100, 10);
  if (!top) return Unexpected{top.error()};
  return VisionSettings{static_cast<size_t>(*top), static_cast<float>(*min_score), 0};
}

Status PoseOperator::write_results(const VisionImage& image, ResultWriter& results) const {
  const auto& decoder = static_cast<const PoseDecoder&>(image.decoder);
  std::vector<Pose> poses = decoder.decode(image.outputs, image.settings.min_score, image.settings.top);
  to_image(poses, image.mapping);
  const std::vector<std::string>& keypoints = image.model.description().pose->keypoints;
  const auto points = results.tensor<float>("keypoint", {poses.size(), keypoints.size(), 3});
  if (!points) return points.error();
  const auto scores = results.tensor<float>("score", {poses.size()});
  if (!scores) return scores.error();
  float* next = *points;
  for (size_t one = 0; one < poses.size(); ++one) {
    (*scores)[one] = poses[one].score;
    for (const Keypoint& keypoint : poses[one].keypoints) {
      *next++ = keypoint.x;
      *next++ = keypoint.y;
      *next++ = keypoint.score;
    }
  }
  const std::vector<std::string_view> names(keypoints.begin(), keypoints.end());
  if (Status status = results.strings("name", names); !status.ok()) return status;
  return write_size(image.mapping, results);
}

}  // namespace vaccel::runtime
