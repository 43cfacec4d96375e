// SPDX-License-Identifier: Apache-2.0
//
// [detect] decoder = "ssd-postprocessed": the short list that TFLite_Detection_PostProcess makes, overlaps removed.
#pragma once

#include "runtime/vision/detections.h"

namespace vaccel::runtime {

class SsdPostprocessedDecoder final : public DetectDecoder {
 public:
  SsdPostprocessedDecoder(SsdPostprocessedOutput output, int32_t first_class)
      : output_(std::move(output)), first_class_(first_class) {}

  [[nodiscard]] std::vector<Wanted> outputs() const override {
    return {{"boxes", output_.boxes},
            {"classes", output_.classes},
            {"scores", output_.scores},
            {"count", output_.count}};
  }
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;
  /// The list's class 0 is first_class.
  void decode(std::span<const OutputView> outputs, float min_score,
              std::vector<Detection>& found) const override;

 private:
  const SsdPostprocessedOutput output_;
  const int32_t first_class_;
};

}  // namespace vaccel::runtime
