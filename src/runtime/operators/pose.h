// SPDX-License-Identifier: Apache-2.0
//
// "pose": where the parts of the bodies in a picture are.
//
//   inputs      images; see vision_operator.h
//   attributes  "min_score"  float 0..1: poses that score less are left out (the model's own value)
//               "top"        integer 1..100: how many at most (10)
//   outputs     "keypoint" float32 [poses, k, 3]: x and y in pixels of the image, and a score of 0..1; a part that cannot be
//               seen is where the model supposes it, perhaps outside of the image, with a low score;
//               "score" float32 [poses], best first; "name" string [k]: of the keypoints;
//               "size" int32 [2]: the image's width and height
#pragma once

#include "runtime/operators/vision_operator.h"

namespace vaccel::runtime {

class PoseOperator final : public VisionOperator {
 public:
  PoseOperator(const ImageLimits& limits, CancelWatcher& watcher)
      : VisionOperator(Task::kPose, limits, watcher) {}
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  Result<VisionSettings> read_settings(std::span<const vaccel_attribute> attributes,
                                       const ModelDescription& model) const override;
  Status write_results(const VisionImage& image, ResultWriter& results) const override;
};

}  // namespace vaccel::runtime
