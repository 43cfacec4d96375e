// SPDX-License-Identifier: Apache-2.0
//
// Colours: of classes, which must be told apart, and of numbers, which must be compared. Both are made in OKLab, where
// equal distances look about equal.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vaccel::tool {

/// 8-bit sRGB.
struct Colour {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;

  friend bool operator==(const Colour&, const Colour&) = default;
};

inline constexpr Colour kBlack{0, 0, 0};
inline constexpr Colour kWhite{255, 255, 255};

/// A colour by how it looks: lightness 0 (black) .. 1 (white), and the two axes green-red and blue-yellow.
struct Lab {
  double lightness;
  double a;
  double b;
};

Lab lab_of(Colour colour);

/// The nearest colour that a screen can show: less colourful, if need be.
Colour colour_of(const Lab& lab);

/// A bright colour for a class; neighbours in number are far apart in hue.
Colour class_colour(size_t index);

/// Black or white, whichever is read better on `background`.
Colour text_colour_on(Colour background);

/// From dark violet to light yellow in 256 steps that look alike: lightness grows evenly, so that it reads the same without
/// colour.
const std::array<Colour, 256>& scale_colours();

}  // namespace vaccel::tool
