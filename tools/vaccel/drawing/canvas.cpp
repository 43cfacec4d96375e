// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/canvas.h"

#include <algorithm>
#include <cmath>

namespace vaccel::tool {
namespace {

constexpr double kPenPerCapital = 1.0 / 6.5;  // how thick letters are

bool is_finite(Point point) {
  return std::isfinite(point.x) && std::isfinite(point.y);
}

double distance_to(Point point, Point from, Point to) {
  const Point along{to.x - from.x, to.y - from.y};
  const double length = along.x * along.x + along.y * along.y;
  double part = 0;
  if (length > 0)
    part = std::clamp(((point.x - from.x) * along.x + (point.y - from.y) * along.y) / length, 0.0, 1.0);
  return std::hypot(point.x - from.x - part * along.x, point.y - from.y - part * along.y);
}

// Of a whole picture, the pixels from `begin` up to `end` that are there.
struct Span {
  uint32_t begin;
  uint32_t end;
};

Span clipped(double begin, double end, uint32_t size) {
  const double last = size;
  return {static_cast<uint32_t>(std::clamp(begin, 0.0, last)),
          static_cast<uint32_t>(std::clamp(end, 0.0, last))};
}

uint8_t mixed(uint8_t under, uint8_t over, double opacity) {
  return static_cast<uint8_t>(std::lround(under + (over - under) * opacity));
}

}  // namespace

// How much of each pixel a shape covers, so that lines of one shape that cross are not drawn twice.
class Canvas::Mask {
 public:
  // Of what lies between these two corners, and on the canvas.
  Mask(const Canvas& canvas, Point least, Point most)
      : across_(clipped(std::floor(least.x), std::ceil(most.x), canvas.width_)),
        down_(clipped(std::floor(least.y), std::ceil(most.y), canvas.height_)),
        cover_(across_.begin < across_.end && down_.begin < down_.end
                   ? size_t{across_.end - across_.begin} * (down_.end - down_.begin)
                   : 0) {}

  [[nodiscard]] Span across() const { return across_; }
  [[nodiscard]] Span down() const { return down_; }
  [[nodiscard]] bool empty() const { return cover_.empty(); }
  // Of a pixel of the canvas within.
  [[nodiscard]] float& at(uint32_t x, uint32_t y) {
    return cover_[size_t{y - down_.begin} * (across_.end - across_.begin) + (x - across_.begin)];
  }
  [[nodiscard]] float at(uint32_t x, uint32_t y) const { return const_cast<Mask*>(this)->at(x, y); }

  void add_segment(Point from, Point to, double radius) {
    if (empty()) return;
    const double reach = radius + 1;
    const Span x_range =
        clipped(std::min(from.x, to.x) - reach, std::max(from.x, to.x) + reach + 1, across_.end);
    const Span y_range =
        clipped(std::min(from.y, to.y) - reach, std::max(from.y, to.y) + reach + 1, down_.end);
    for (uint32_t y = std::max(y_range.begin, down_.begin); y < y_range.end; ++y) {
      for (uint32_t x = std::max(x_range.begin, across_.begin); x < x_range.end; ++x) {
        const double outside = distance_to({x + 0.5, y + 0.5}, from, to) - radius;
        float& cover = at(x, y);
        cover = std::max(cover, static_cast<float>(std::clamp(0.5 - outside, 0.0, 1.0)));
      }
    }
  }

 private:
  Span across_;
  Span down_;
  std::vector<float> cover_;
};

Colour Canvas::at(uint32_t x, uint32_t y) const {
  const uint8_t* pixel = pixels_.data() + 3 * (size_t{y} * width_ + x);
  return {pixel[0], pixel[1], pixel[2]};
}

void Canvas::set(uint32_t x, uint32_t y, Colour colour) {
  uint8_t* pixel = pixels_.data() + 3 * (size_t{y} * width_ + x);
  pixel[0] = colour.red;
  pixel[1] = colour.green;
  pixel[2] = colour.blue;
}

void Canvas::blend(uint32_t x, uint32_t y, Colour colour, double opacity) {
  const Colour under = at(x, y);
  set(x, y,
      {mixed(under.red, colour.red, opacity), mixed(under.green, colour.green, opacity),
       mixed(under.blue, colour.blue, opacity)});
}

void Canvas::blend(const Mask& mask, Colour colour, double opacity) {
  if (mask.empty()) return;
  for (uint32_t y = mask.down().begin; y < mask.down().end; ++y) {
    for (uint32_t x = mask.across().begin; x < mask.across().end; ++x) {
      if (mask.at(x, y) > 0) blend(x, y, colour, opacity * static_cast<double>(mask.at(x, y)));
    }
  }
}

void Canvas::fill(const Box& box, Colour colour, double opacity) {
  if (!is_finite({box.x, box.y}) || !is_finite({box.width, box.height})) return;
  const Span across = clipped(std::ceil(box.x - 0.5), std::ceil(box.x + box.width - 0.5), width_);
  const Span down = clipped(std::ceil(box.y - 0.5), std::ceil(box.y + box.height - 0.5), height_);
  for (uint32_t y = down.begin; y < down.end; ++y) {
    for (uint32_t x = across.begin; x < across.end; ++x)
      blend(x, y, colour, opacity);
  }
}

void Canvas::outline(const Box& box, Colour colour, double thickness) {
  const double half = thickness / 2;
  const double right = box.x + box.width;
  const double bottom = box.y + box.height;
  fill({box.x - half, box.y - half, box.width + thickness, thickness}, colour);
  fill({box.x - half, bottom - half, box.width + thickness, thickness}, colour);
  fill({box.x - half, box.y + half, thickness, box.height - thickness}, colour);
  fill({right - half, box.y + half, thickness, box.height - thickness}, colour);
}

void Canvas::line(std::span<const Point> points, Colour colour, double thickness, double opacity) {
  if (points.empty() || !std::all_of(points.begin(), points.end(), is_finite)) return;
  Point least = points[0];
  Point most = points[0];
  for (const Point& point : points) {
    least = {std::min(least.x, point.x), std::min(least.y, point.y)};
    most = {std::max(most.x, point.x), std::max(most.y, point.y)};
  }
  const double reach = thickness / 2 + 1;
  Mask mask(*this, {least.x - reach, least.y - reach}, {most.x + reach, most.y + reach});
  for (size_t index = 0; index < points.size(); ++index)
    mask.add_segment(points[index], points[std::min(index + 1, points.size() - 1)], thickness / 2);
  blend(mask, colour, opacity);
}

void Canvas::dot(Point centre, double radius, Colour colour) {
  line({&centre, 1}, colour, 2 * radius);
}

void Canvas::text(Point corner, std::string_view text, double capital, Colour colour) {
  if (!is_finite(corner)) return;
  const double unit = capital / kCapitalHeight;
  const double reach = capital * kPenPerCapital + 1;
  Mask mask(
      *this, {corner.x - reach, corner.y - reach},
      {corner.x + text_width(text, capital) + reach, corner.y + (kCapitalHeight + kDescent) * unit + reach});
  const auto place = [&](Point point) { return Point{corner.x + point.x * unit, corner.y + point.y * unit}; };
  for (const std::vector<Point>& stroke : strokes(text)) {
    for (size_t index = 0; index < stroke.size(); ++index) {
      if (index > 0 && index + 1 == stroke.size()) break;
      mask.add_segment(place(stroke[index]), place(stroke[std::min(index + 1, stroke.size() - 1)]),
                       capital * kPenPerCapital / 2);
    }
  }
  blend(mask, colour, 1);
}

double text_width(std::string_view text, double capital) {
  return stroke_width(text) * capital / kCapitalHeight;
}

}  // namespace vaccel::tool
