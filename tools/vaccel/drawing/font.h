// SPDX-License-Identifier: Apache-2.0
//
// Our own letters, as the strokes of a pen: they need no font file, and look the same at every size.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace vaccel::tool {

struct Point {
  double x;
  double y;
};

/// Heights above and below the line that capital letters take, in the units of strokes().
inline constexpr double kCapitalHeight = 8;
inline constexpr double kDescent = 3;

/// The lines of a pen that writes `text`, which begins at x = 0 and whose capitals reach from y = 0 down to kCapitalHeight; a
/// line of one point is a dot. What is no printable ASCII is a box.
std::vector<std::vector<Point>> strokes(std::string_view text);

/// How far the pen gets, in the same units, without the space behind the last letter.
double stroke_width(std::string_view text);

}  // namespace vaccel::tool
