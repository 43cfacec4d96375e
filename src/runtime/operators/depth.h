// SPDX-License-Identifier: Apache-2.0
//
// "depth": how far away what a picture shows is.
//
//   inputs   images; see vision_operator.h
//   outputs  "depth" float32 [height, width] of the image; "model_depth" float32 [h, w], the model's own map;
//            "kind" string [1]: "metric" (metres), "relative" (larger is farther) or "inverse" (larger is nearer)
//
// A pixel that the model did not see, since [image] crops, has the depth of the nearest one that it saw.
#pragma once

#include "runtime/operators/vision_operator.h"

namespace vaccel::runtime {

class DepthOperator final : public VisionOperator {
 public:
  DepthOperator(const ImageLimits& limits, CancelWatcher& watcher)
      : VisionOperator(Task::kDepth, limits, watcher) {}
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  Result<VisionSettings> read_settings(std::span<const vaccel_attribute> attributes,
                                       const ModelDescription& model) const override;
  Status write_results(const VisionImage& image, ResultWriter& results) const override;
};

}  // namespace vaccel::runtime
