// SPDX-License-Identifier: Apache-2.0
//
// [depth]: one number for each place of a map over the picture.
#pragma once

#include "runtime/vision/channel_map.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

class DepthDecoder final : public OutputDecoder {
 public:
  explicit DepthDecoder(DepthOutput output) : output_(std::move(output)) {}

  [[nodiscard]] std::vector<Wanted> outputs() const override { return {{"output", output_.output}}; }
  /// [height, width], with a dimension of 1 before or behind if need be.
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;
  /// The map, as one with a single channel.
  [[nodiscard]] ChannelMap map(std::span<const OutputView> outputs) const;

 private:
  const DepthOutput output_;
};

/// Resizes a map of one channel to the image, bilinearly: `depth` has room for its height x width.
void depth_of_image(const ChannelMap& map, const ImageMapping& mapping, float* depth);

}  // namespace vaccel::runtime
