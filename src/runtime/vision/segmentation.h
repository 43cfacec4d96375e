// SPDX-License-Identifier: Apache-2.0
//
// [segment] decoder = "argmax": a score for each class and place; the class of a place is the one with the highest.
#pragma once

#include <cstdint>

#include "runtime/vision/channel_map.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

class SegmentDecoder final : public OutputDecoder {
 public:
  explicit SegmentDecoder(SegmentScores output) : output_(std::move(output)) {}

  [[nodiscard]] std::vector<Wanted> outputs() const override {
    return {{"output", output_.output, Values::kOrder}};
  }
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;
  [[nodiscard]] ChannelMap scores(std::span<const OutputView> outputs) const {
    return channel_map(outputs[0], output_.layout);
  }

 private:
  const SegmentScores output_;
};

/// The class of each place of the model's own map: `classes` has room for height x width. Of equal scores the first class
/// counts; one that is no number never does. Class: uint8_t, or uint16_t for more than 256 classes.
template <typename Class>
void classes_of_model(const ChannelMap& scores, Class* classes);

/// The class of each pixel of the image: `classes` has room for its height x width. The scores are resized, bilinearly, and
/// then compared: a border between two classes runs where their scores are equal, and not along the squares that resized
/// classes would give; between two classes no third one appears that scores low on both sides.
/// @param model_classes  what classes_of_model() made of the same scores.
template <typename Class>
void classes_of_image(const ChannelMap& scores, const Class* model_classes, const ImageMapping& mapping,
                      Class* classes);

}  // namespace vaccel::runtime
