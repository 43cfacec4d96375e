// SPDX-License-Identifier: Apache-2.0
//
// A picture and a pen: shapes with smooth edges, drawn over 8-bit RGB. Coordinates are in pixels from the top left corner,
// and may be any numbers, infinite ones and NaN included: they come from an agent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tools/vaccel/drawing/colour.h"
#include "tools/vaccel/drawing/font.h"

namespace vaccel::tool {

struct Box {
  double x;
  double y;
  double width;
  double height;
};

class Canvas {
 public:
  /// Black.
  Canvas(uint32_t width, uint32_t height)
      : width_(width), height_(height), pixels_(size_t{3} * width * height) {}
  /// @param pixels  RGB, 3 x width x height bytes.
  Canvas(uint32_t width, uint32_t height, std::vector<uint8_t> pixels)
      : width_(width), height_(height), pixels_(std::move(pixels)) {}

  [[nodiscard]] uint32_t width() const { return width_; }
  [[nodiscard]] uint32_t height() const { return height_; }
  [[nodiscard]] std::span<const uint8_t> pixels() const { return pixels_; }

  // Of a pixel that is there.
  [[nodiscard]] Colour at(uint32_t x, uint32_t y) const;
  void set(uint32_t x, uint32_t y, Colour colour);
  /// @param opacity  0 .. 1.
  void blend(uint32_t x, uint32_t y, Colour colour, double opacity);

  /// The pixels whose centres lie in the box.
  void fill(const Box& box, Colour colour, double opacity = 1);
  /// The edge of a box, of that thickness, half within it.
  void outline(const Box& box, Colour colour, double thickness);
  /// A line through points, with round ends and corners; one point is a dot.
  void line(std::span<const Point> points, Colour colour, double thickness, double opacity = 1);
  void dot(Point centre, double radius, Colour colour);
  /// Text whose capitals are `capital` pixels high, their upper left corner at `corner`.
  void text(Point corner, std::string_view text, double capital, Colour colour);

 private:
  class Mask;
  void blend(const Mask& mask, Colour colour, double opacity);

  uint32_t width_;
  uint32_t height_;
  std::vector<uint8_t> pixels_;
};

/// The width that Canvas::text() takes.
double text_width(std::string_view text, double capital);

}  // namespace vaccel::tool
