// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/depth_map.h"

#include <vector>

#include "runtime/vision/map_taps.h"

namespace vaccel::runtime {
namespace {

// The axis of a map's height; the width follows. Of [1, h, w] and [h, w, 1] the former, should both fit.
size_t height_axis(const OutputShape& shape) {
  return shape.dimensions.size() == 3 && shape.dimensions[0] == 1 ? 1 : 0;
}

// The value between two, `weight` of the way from the first to the second; an infinite one that counts for nothing does
// not make it no number.
float between(float first, float second, float weight) {
  return weight == 0 ? first : first + (second - first) * weight;
}

}  // namespace

Status DepthDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& /*labels*/) const {
  const OutputShape& map = shapes[0];
  if (!can_be(map, {-1, -1}) && !can_be(map, {1, -1, -1}) && !can_be(map, {-1, -1, 1})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s holds no depths: they must be [height, width]",
                   map.text().c_str());
  }
  for (const int64_t dimension : map.dimensions) {
    if (dimension == 0 && !map.any_rank) {
      return failure(VACCEL_INVALID_ARGUMENT, "its output %s is empty", map.text().c_str());
    }
  }
  return {};
}

ChannelMap DepthDecoder::map(std::span<const OutputView> outputs) const {
  const size_t axis = height_axis(outputs[0].shape);
  ChannelMap map;
  map.values = outputs[0].values.data();
  map.height = static_cast<size_t>(outputs[0].shape.dimensions[axis]);
  map.width = static_cast<size_t>(outputs[0].shape.dimensions[axis + 1]);
  map.channels = 1;
  map.row = map.width;
  map.column = 1;
  return map;
}

void depth_of_image(const ChannelMap& map, const ImageMapping& mapping, float* depth) {
  const std::vector<MapTap> columns = column_taps(mapping, map.width);
  std::vector<float> row(map.width);
  for (const MapTap& tap : row_taps(mapping, map.height)) {
    const float* above = map.values + tap.first * map.row;
    const float* below = map.values + tap.second * map.row;
    for (size_t x = 0; x < map.width; ++x)
      row[x] = between(above[x], below[x], tap.weight);
    for (const MapTap& column : columns)
      *depth++ = between(row[column.first], row[column.second], column.weight);
  }
}

}  // namespace vaccel::runtime
