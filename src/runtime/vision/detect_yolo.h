// SPDX-License-Identifier: Apache-2.0
//
// [detect] decoder = "yolo": one output with a row (or a column) for each place: centre x, centre y, width, height, in
// some versions whether anything is there, and a score for each class.
#pragma once

#include "runtime/vision/detections.h"

namespace vaccel::runtime {

class YoloDecoder final : public DetectDecoder {
 public:
  YoloDecoder(YoloOutput output, int32_t first_class, const ImageInput& image);

  [[nodiscard]] std::vector<Wanted> outputs() const override { return {{"output", output_.output}}; }
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;
  /// A place's class is the one with the highest score.
  void decode(std::span<const OutputView> outputs, float min_score,
              std::vector<Detection>& found) const override;

 private:
  const YoloOutput output_;
  const size_t first_class_;
  const float unit_x_;
  const float unit_y_;
};

}  // namespace vaccel::runtime
