// SPDX-License-Identifier: Apache-2.0
//
// [segment] decoder = "classes": the number of the best class for each place, as a model gives it that ends in an ArgMax.
// There are no scores to resize, so a pixel of the image has the class of the nearest place.
#pragma once

#include <cstdint>

#include "runtime/vision/channel_map.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

class ClassMapDecoder final : public OutputDecoder {
 public:
  explicit ClassMapDecoder(SegmentClasses output) : output_(std::move(output)) {}

  [[nodiscard]] std::vector<Wanted> outputs() const override {
    return {{"output", output_.output, Values::kClasses}};
  }
  /// [height, width], with a dimension of 1 before or behind if need be.
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;
  /// How many classes there are, of which `labels` are the names; 0: none has one.
  [[nodiscard]] size_t classes(size_t labels) const { return output_.classes > 0 ? output_.classes : labels; }
  /// The map, as one with a single channel.
  [[nodiscard]] ChannelMap map(std::span<const OutputView> outputs) const {
    return single_channel(outputs[0]);
  }

 private:
  const SegmentClasses output_;
};

/// Writes the class of each place to `classes`, which has room for height x width; Class is uint8_t or uint16_t.
/// INVALID_ARGUMENT: a number that is none of the `count` classes, with its place.
template <typename Class>
Status classes_of_map(const ChannelMap& map, size_t count, Class* classes);

/// The class of the nearest place for each pixel of the image: `classes` has room for its height x width.
template <typename Class>
void nearest_classes(const ChannelMap& map, const Class* model_classes, const ImageMapping& mapping,
                     Class* classes);

}  // namespace vaccel::runtime
