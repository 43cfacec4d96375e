// SPDX-License-Identifier: Apache-2.0
//
// An output that is a map over the picture with several values at each place, whichever way they are laid out.
#pragma once

#include <cstddef>

#include "runtime/model_description.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

/// A view of a map: element (y, x, channel) is values[y * row + x * column + channel * plane].
struct ChannelMap {
  const float* values = nullptr;
  size_t height = 0;
  size_t width = 0;
  size_t channels = 0;
  size_t row = 0;
  size_t column = 0;
  size_t plane = 0;

  [[nodiscard]] float at(size_t y, size_t x, size_t channel) const {
    return values[y * row + x * column + channel * plane];
  }
};

/// [channels, height, width] or [height, width, channels]; it must have been checked that it is one.
inline ChannelMap channel_map(const OutputView& output, Layout layout) {
  const auto size = [&](size_t axis) { return static_cast<size_t>(output.shape.dimensions[axis]); };
  ChannelMap map;
  map.values = output.values.data();
  if (layout == Layout::kNchw) {
    map.channels = size(0);
    map.height = size(1);
    map.width = size(2);
    map.row = map.width;
    map.column = 1;
    map.plane = map.height * map.width;
  } else {
    map.height = size(0);
    map.width = size(1);
    map.channels = size(2);
    map.row = map.width * map.channels;
    map.column = map.channels;
    map.plane = 1;
  }
  return map;
}

/// How many channels such an output has; -1 when it is not known.
inline int64_t channels_of(const OutputShape& shape, Layout layout) {
  return dimension_of(shape, layout == Layout::kNchw ? 0 : 2);
}

/// OK where an output is a map with one value at each place, [height, width] with a dimension of 1 before or behind if need
/// be; INVALID_ARGUMENT otherwise. `what` they are ("depths") is for the sentence.
Status check_single_channel(const OutputShape& shape, const char* what);

/// Such an output, which must have been checked.
ChannelMap single_channel(const OutputView& output);

}  // namespace vaccel::runtime
