// SPDX-License-Identifier: Apache-2.0
//
// "segment": what each pixel of a picture shows.
//
//   inputs   images; see vision_operator.h
//   outputs  "classes" uint8 [height, width] of the image (uint16 above 256 classes): the class of each pixel;
//            "model_classes" likewise, of the model's own map: coarser, and of what the model saw;
//            "label" string [classes]: line i is class i; "" where the model has no labels
//
// A model gives scores, which are resized, or class numbers, of which the nearest counts; see segmentation.h and class_map.h.
// A pixel that the model did not see, since [image] crops, has the class of the nearest one that it saw.
#pragma once

#include "runtime/operators/vision_operator.h"

namespace vaccel::runtime {

class SegmentOperator final : public VisionOperator {
 public:
  SegmentOperator(const ImageLimits& limits, CancelWatcher& watcher)
      : VisionOperator(Task::kSegment, limits, watcher) {}
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  Result<VisionSettings> read_settings(std::span<const vaccel_attribute> attributes,
                                       const ModelDescription& model) const override;
  Status write_results(const VisionImage& image, ResultWriter& results) const override;
};

}  // namespace vaccel::runtime
