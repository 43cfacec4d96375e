// SPDX-License-Identifier: Apache-2.0
//
// What a vision operator found in a photo, and what of it is worth saying in a few lines: shares of classes, ranges of depth.
// Knows nothing of how it is shown.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/vaccel/owned.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

using Found = std::variant<Owned<vaccel_classes>, Owned<vaccel_detections>, Owned<vaccel_segmentation>,
                           Owned<vaccel_poses>, Owned<vaccel_depth_map>>;

/// Of its call.
const vaccel_timings& timings_of(const Found& found);
uint64_t copied_bytes_of(const Found& found);

/// How much of a picture belongs to a class.
struct ClassShare {
  size_t index;
  size_t pixels;
  double part;  ///< Of all pixels.
};

/// The class at a pixel, counted row by row.
inline size_t class_at(const vaccel_segmentation& map, size_t pixel) {
  return map.element_bytes == 1 ? static_cast<const uint8_t*>(map.classes)[pixel]
                                : static_cast<const uint16_t*>(map.classes)[pixel];
}

/// The classes that a picture shows, the largest first.
std::vector<ClassShare> class_shares(const vaccel_segmentation& map);

/// Whether a class is what remains when every object is taken away: "background".
bool is_background(std::string_view label);

/// A name as models write it ("left_elbow", "leftElbow", "Left elbow") in one way: "leftelbow".
std::string plain_name(std::string_view name);

/// "person"; of a class without a name "class 7".
std::string label_or_number(const char* label, size_t index);

/// Between which numbers a depth map lies.
struct DepthRange {
  float least;
  float
      low;  ///< 2 % of the numbers are less. Of a large map, this and the next two are of a part of its pixels.
  float median;
  float high;  ///< 2 % are more.
  float most;
};

/// Nothing: no number in it is finite.
std::optional<DepthRange> depth_range(const vaccel_depth_map& map);

/// "metric"
const char* depth_kind_name(int kind);

}  // namespace vaccel::tool
