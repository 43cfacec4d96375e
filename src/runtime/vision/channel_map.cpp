// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/channel_map.h"

namespace vaccel::runtime {
namespace {

// The axis of a map's height; the width follows. Of [1, h, w] and [h, w, 1] the former, should both fit.
size_t height_axis(const OutputShape& shape) {
  return shape.dimensions.size() == 3 && shape.dimensions[0] == 1 ? 1 : 0;
}

}  // namespace

Status check_single_channel(const OutputShape& shape, const char* what) {
  if (!can_be(shape, {-1, -1}) && !can_be(shape, {1, -1, -1}) && !can_be(shape, {-1, -1, 1})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s holds no %s: they must be [height, width]",
                   shape.text().c_str(), what);
  }
  for (const int64_t dimension : shape.dimensions) {
    if (dimension == 0 && !shape.any_rank) {
      return failure(VACCEL_INVALID_ARGUMENT, "its output %s is empty", shape.text().c_str());
    }
  }
  return {};
}

ChannelMap single_channel(const OutputView& output) {
  const size_t axis = height_axis(output.shape);
  ChannelMap map;
  map.values = output.values.data();
  map.height = static_cast<size_t>(output.shape.dimensions[axis]);
  map.width = static_cast<size_t>(output.shape.dimensions[axis + 1]);
  map.channels = 1;
  map.row = map.width;
  map.column = 1;
  return map;
}

}  // namespace vaccel::runtime
