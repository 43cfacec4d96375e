// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/colour.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vaccel::tool {
namespace {

struct Linear {
  double red;
  double green;
  double blue;
};

double linear_of(uint8_t value) {
  const double encoded = value / 255.0;
  return encoded <= 0.04045 ? encoded / 12.92 : std::pow((encoded + 0.055) / 1.055, 2.4);
}

uint8_t encoded_of(double linear) {
  const double value = std::clamp(linear, 0.0, 1.0);
  const double encoded = value <= 0.0031308 ? value * 12.92 : 1.055 * std::pow(value, 1 / 2.4) - 0.055;
  return static_cast<uint8_t>(std::lround(encoded * 255));
}

// OKLab's matrices, as its author publishes them (bottosson.github.io/posts/oklab).
Linear linear_of(const Lab& lab) {
  const double l = std::pow(lab.lightness + 0.3963377774 * lab.a + 0.2158037573 * lab.b, 3);
  const double m = std::pow(lab.lightness - 0.1055613458 * lab.a - 0.0638541728 * lab.b, 3);
  const double s = std::pow(lab.lightness - 0.0894841775 * lab.a - 1.2914855480 * lab.b, 3);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

bool can_be_shown(const Linear& linear) {
  constexpr double kSlack = 1e-4;  // less than a step of 8 bits
  const auto [least, most] = std::minmax({linear.red, linear.green, linear.blue});
  return least >= -kSlack && most <= 1 + kSlack;
}

// Of a hue in degrees.
Lab lab_of_hue(double lightness, double chroma, double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  return {lightness, chroma * std::cos(angle), chroma * std::sin(angle)};
}

std::array<Colour, 256> make_scale() {
  // From violet over blue and green to yellow, at the chroma that a screen can show all along: lightness and hue then
  // change evenly. The light end, where there is room, is a little more vivid.
  constexpr double kFirstHue = 315;
  constexpr double kLastHue = 105;
  std::array<Colour, 256> colours;
  for (size_t index = 0; index < colours.size(); ++index) {
    const double part = static_cast<double>(index) / 255;
    const double chroma = 0.095 + 0.045 * std::pow(part, 4);
    colours[index] =
        colour_of(lab_of_hue(0.22 + 0.70 * part, chroma, kFirstHue + (kLastHue - kFirstHue) * part));
  }
  return colours;
}

}  // namespace

Lab lab_of(Colour colour) {
  const double red = linear_of(colour.red);
  const double green = linear_of(colour.green);
  const double blue = linear_of(colour.blue);
  const double l = std::cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
  const double m = std::cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
  const double s = std::cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
  return {0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
          1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
          0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s};
}

Colour colour_of(const Lab& lab) {
  Lab shown = lab;
  while (!can_be_shown(linear_of(shown)) && std::hypot(shown.a, shown.b) > 1e-3) {
    shown.a *= 0.98;
    shown.b *= 0.98;
  }
  const Linear linear = linear_of(shown);
  return {encoded_of(linear.red), encoded_of(linear.green), encoded_of(linear.blue)};
}

Colour class_colour(size_t index) {
  // The golden angle never comes near a hue that was there shortly before.
  constexpr double kGoldenAngle = 137.50776405003785;
  const double hue = std::fmod(40 + kGoldenAngle * static_cast<double>(index), 360);
  return colour_of(lab_of_hue(index % 2 == 0 ? 0.74 : 0.66, 0.18, hue));
}

Colour text_colour_on(Colour background) {
  return lab_of(background).lightness > 0.62 ? kBlack : kWhite;
}

const std::array<Colour, 256>& scale_colours() {
  static const std::array<Colour, 256> kScale = make_scale();
  return kScale;
}

}  // namespace vaccel::tool
