// SPDX-License-Identifier: Apache-2.0
//
// "classify": what a picture shows.
//
//   inputs     images; see vision_operator.h
//   attribute  "top"  integer >= 1: how many classes at most
//   outputs    "index" int32 [k], "score" float32 [k], "label" string [k], best first
#pragma once

#include "runtime/operators/vision_operator.h"

namespace vaccel::runtime {

class ClassifyOperator final : public VisionOperator {
 public:
  ClassifyOperator(const ImageLimits& limits, CancelWatcher& watcher)
      : VisionOperator(Task::kClassify, limits, watcher) {}
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  Result<VisionSettings> read_settings(std::span<const vaccel_attribute> attributes,
                                       const ModelDescription& model) const override;
  Status write_results(const VisionImage& image, ResultWriter& results) const override;
};

}  // namespace vaccel::runtime
