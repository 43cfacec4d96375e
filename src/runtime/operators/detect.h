// SPDX-License-Identifier: Apache-2.0
//
// "detect": which things a picture shows, and where.
//
//   inputs      images; see vision_operator.h
//   attributes  "min_score"  float 0..1: what scores less is left out (the model's own value)
//               "iou"        float 0..1: of two boxes that overlap more than this the lesser is left out (likewise)
//               "top"        integer 1..1000: how many at most (100)
//   outputs     "box" float32 [n, 4]: x and y of the top left corner, width and height, in pixels of the image and clipped
//               to it; "index" int32 [n], "score" float32 [n], "label" string [n], best first;
//               "size" int32 [2]: the image's width and height
#pragma once

#include "runtime/operators/vision_operator.h"

namespace vaccel::runtime {

class DetectOperator final : public VisionOperator {
 public:
  DetectOperator(const ImageLimits& limits, CancelWatcher& watcher)
      : VisionOperator(Task::kDetect, limits, watcher) {}
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  Result<VisionSettings> read_settings(std::span<const vaccel_attribute> attributes,
                                       const ModelDescription& model) const override;
  Status write_results(const VisionImage& image, ResultWriter& results) const override;
};

}  // namespace vaccel::runtime
