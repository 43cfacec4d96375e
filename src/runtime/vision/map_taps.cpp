// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/map_taps.h"

#include <algorithm>
#include <cmath>

namespace vaccel::runtime {
namespace {

// `begin` and `length`: where the picture lies in the input. A place beyond it shows a letterbox's bar; it counts for no
// pixel, however near it is.
template <typename ToInput>
std::vector<MapTap> taps(uint32_t pixels, uint32_t input, size_t begin, size_t length, size_t places,
                         ToInput&& to_input) {
  const double step = static_cast<double>(places) / input;
  const auto last = static_cast<double>(places - 1);
  // The places whose centres lie within the picture; at least one.
  const double low = std::clamp(std::ceil(static_cast<double>(begin) * step - 0.5), 0.0, last);
  const double high = std::clamp(std::floor(static_cast<double>(begin + length) * step - 0.5), low, last);
  std::vector<MapTap> result(pixels);
  for (uint32_t pixel = 0; pixel < pixels; ++pixel) {
    const double at = std::clamp(to_input(pixel + 0.5) * step - 0.5, low, high);
    const auto first = static_cast<uint32_t>(at);
    result[pixel] = {first, std::min(first + 1, static_cast<uint32_t>(high)), static_cast<float>(at - first)};
  }
  return result;
}

}  // namespace

std::vector<MapTap> column_taps(const ImageMapping& mapping, size_t width) {
  return taps(mapping.image_width, mapping.input_width, mapping.left, mapping.width, width,
              [&](double x) { return mapping.input_x(x); });
}

std::vector<MapTap> row_taps(const ImageMapping& mapping, size_t height) {
  return taps(mapping.image_height, mapping.input_height, mapping.top, mapping.height, height,
              [&](double y) { return mapping.input_y(y); });
}

}  // namespace vaccel::runtime
