// SPDX-License-Identifier: Apache-2.0
//
// [detect] decoder = "ssd": for each of many fixed places a box and a score for each class. Boxes are relative to
// anchors, which model.toml gives the parameters of, or ready corners.
#pragma once

#include "runtime/vision/detections.h"

namespace vaccel::runtime {

/// A box around which an SSD's output is coded, in parts of the picture.
struct Anchor {
  float y;  ///< Of the centre.
  float x;
  float height;
  float width;
};

/// All anchors, in the order of the output: map by map, row by row, cell by cell.
std::vector<Anchor> make_anchors(const SsdAnchors& anchors);

class SsdDecoder final : public DetectDecoder {
 public:
  SsdDecoder(SsdOutput output, int32_t first_class, const ImageInput& image);

  [[nodiscard]] std::vector<Wanted> outputs() const override {
    return {{"boxes", output_.boxes}, {"scores", output_.scores}};
  }
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;
  /// A place's class is the one with the highest score of those that are not background.
  void decode(std::span<const OutputView> outputs, float min_score,
              std::vector<Detection>& found) const override;

 private:
  // The edges of the box at a place.
  void decode_box(const float* box, size_t place, Detection& detection) const;

  const SsdOutput output_;
  const size_t first_class_;
  const float unit_x_;  // what corners are divided by
  const float unit_y_;
  std::vector<Anchor> anchors_;
};

}  // namespace vaccel::runtime
