// SPDX-License-Identifier: Apache-2.0
//
// From the pixels of an image to the places of a model's map, one axis at a time: what resizing a map to the image's size,
// letterbox and crop undone, needs to know.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/vision/image_prepare.h"

namespace vaccel::runtime {

/// The two places of a map between which a pixel's centre lies, and how much the second counts, 0..1.
struct MapTap {
  uint32_t first;
  uint32_t second;
  float weight;
};

/// One for each column (row) of the image, for a map of `width` (`height`) >= 1 places over the model's input. A pixel that
/// the input did not show (a crop left it out) gets the nearest place that did.
std::vector<MapTap> column_taps(const ImageMapping& mapping, size_t width);
std::vector<MapTap> row_taps(const ImageMapping& mapping, size_t height);

}  // namespace vaccel::runtime
