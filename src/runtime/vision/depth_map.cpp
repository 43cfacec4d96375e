// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/depth_map.h"

#include <vector>

#include "runtime/vision/map_taps.h"

namespace vaccel::runtime {
namespace {

// The value between two, `weight` of the way from the first to the second; an infinite one that counts for nothing does
// not make it no number.
float between(float first, float second, float weight) {
  return weight == 0 ? first : first + (second - first) * weight;
}

}  // namespace

Status DepthDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& /*labels*/) const {
  return check_single_channel(shapes[0], "depths");
}

ChannelMap DepthDecoder::map(std::span<const OutputView> outputs) const {
  return single_channel(outputs[0]);
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
