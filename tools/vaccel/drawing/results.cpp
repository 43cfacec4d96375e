// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/results.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include "tools/vaccel/found.h"

namespace vaccel::tool {
namespace {

// Sizes that follow the picture's, in pixels.
struct Measures {
  explicit Measures(const Canvas& canvas)
      : capital(std::clamp(std::min(canvas.width(), canvas.height()) / 40.0, 8.5, 60.0)),
        padding(capital * 0.55),
        line(std::round(std::max(2.0, capital / 4))) {}

  double capital;  // the height of a capital letter
  double padding;  // around text
  double line;     // a line's thickness

  [[nodiscard]] double row() const { return capital + 2 * padding; }
};

Status check_size(uint32_t width, uint32_t height, const Canvas& canvas) {
  if (width == canvas.width() && height == canvas.height()) return {};
  return failure(VACCEL_INTERNAL,
                 "what was found belongs to an image of %u x %u pixels; this one has %u x %u", width, height,
                 canvas.width(), canvas.height());
}

std::string printed(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// Text on a plate of a colour. The plate's upper left corner is at `corner`, or where it is on the picture.
void draw_plate(Canvas& canvas, const Measures& measures, Point corner, const std::string& text,
                Colour colour) {
  const double width = text_width(text, measures.capital) + 2 * measures.padding;
  const double x = std::max(0.0, std::min(corner.x, canvas.width() - width));
  const double y = std::max(0.0, std::min(corner.y, canvas.height() - measures.row()));
  canvas.fill({x, y, width, measures.row()}, colour);
  canvas.text({x + measures.padding, y + measures.padding}, text, measures.capital, text_colour_on(colour));
}

// On whole pixels, so that all four lines look the same.
Box box_of(const vaccel_detection& item) {
  const double left = std::round(item.x);
  const double top = std::round(item.y);
  return {left, top, std::round(item.x + item.width) - left, std::round(item.y + item.height) - top};
}

// ---- Segmentation

void tint(const vaccel_segmentation& map, const std::vector<std::optional<Colour>>& colours, Canvas& canvas) {
  constexpr double kWithin = 0.5;
  constexpr double kAtEdge = 0.95;
  for (uint32_t y = 0; y < map.height; ++y) {
    for (uint32_t x = 0; x < map.width; ++x) {
      const size_t at = size_t{y} * map.width + x;
      const size_t here = class_at(map, at);
      if (!colours[here]) continue;
      const bool at_edge = (x > 0 && class_at(map, at - 1) != here) ||
                           (x + 1 < map.width && class_at(map, at + 1) != here) ||
                           (y > 0 && class_at(map, at - map.width) != here) ||
                           (y + 1 < map.height && class_at(map, at + map.width) != here);
      canvas.blend(x, y, *colours[here], at_edge ? kAtEdge : kWithin);
    }
  }
}

struct LegendRow {
  Colour colour;
  std::string text;
};

// A dark plate with a row each in the lower left corner.
void draw_legend(Canvas& canvas, const Measures& measures, const std::vector<LegendRow>& rows) {
  if (rows.empty()) return;
  const double pad = measures.padding;
  const double pitch = measures.capital + 1.4 * pad;
  double width = 0;
  for (const LegendRow& row : rows)
    width = std::max(width, text_width(row.text, measures.capital));
  const double height = static_cast<double>(rows.size()) * pitch + 0.6 * pad;
  const Point corner{pad, canvas.height() - pad - height};
  canvas.fill({corner.x, corner.y, width + measures.capital + 3 * pad, height}, kBlack, 0.7);
  double y = corner.y + pad;
  for (const LegendRow& row : rows) {
    canvas.fill({corner.x + pad, y, measures.capital, measures.capital}, row.colour);
    canvas.text({corner.x + measures.capital + 2 * pad, y}, row.text, measures.capital, kWhite);
    y += pitch;
  }
}

// ---- Poses

constexpr const char* kBones[][2] = {{"nose", "lefteye"},
                                     {"lefteye", "leftear"},
                                     {"nose", "righteye"},
                                     {"righteye", "rightear"},
                                     {"leftshoulder", "leftelbow"},
                                     {"leftelbow", "leftwrist"},
                                     {"rightshoulder", "rightelbow"},
                                     {"rightelbow", "rightwrist"},
                                     {"leftshoulder", "rightshoulder"},
                                     {"leftshoulder", "lefthip"},
                                     {"rightshoulder", "righthip"},
                                     {"lefthip", "righthip"},
                                     {"lefthip", "leftknee"},
                                     {"leftknee", "leftankle"},
                                     {"righthip", "rightknee"},
                                     {"rightknee", "rightankle"}};

constexpr Colour kLeft{255, 159, 28};
constexpr Colour kRight{64, 196, 255};
constexpr Colour kMiddle{240, 240, 240};

Colour side_of(std::string_view one, std::string_view other) {
  const auto both_begin = [&](std::string_view with) {
    return one.starts_with(with) && other.starts_with(with);
  };
  const auto any_begins = [&](std::string_view with) {
    return one.starts_with(with) || other.starts_with(with);
  };
  if (both_begin("left") || (any_begins("left") && !any_begins("right"))) return kLeft;
  if (both_begin("right") || (any_begins("right") && !any_begins("left"))) return kRight;
  return kMiddle;
}

void draw_pose(Canvas& canvas, const Measures& measures, std::span<const vaccel_keypoint> keypoints) {
  const auto shown = [](const vaccel_keypoint& point) { return point.score >= kLeastKeypointScore; };
  const auto place = [](const vaccel_keypoint& point) {
    return Point{static_cast<double>(point.x), static_cast<double>(point.y)};
  };
  const auto find = [&](std::string_view name) {
    return std::find_if(keypoints.begin(), keypoints.end(), [&](const vaccel_keypoint& point) {
      return shown(point) && plain_name(point.name) == name;
    });
  };
  // A dark rim first, so that the lines are seen on any picture.
  for (const bool rim : {true, false}) {
    for (const auto& [one, other] : kBones) {
      const auto from = find(one);
      const auto to = find(other);
      if (from == keypoints.end() || to == keypoints.end()) continue;
      const Point ends[] = {place(*from), place(*to)};
      canvas.line(ends, rim ? kBlack : side_of(one, other), rim ? 2.4 * measures.line : 1.4 * measures.line,
                  rim ? 0.6 : 1);
    }
  }
  for (const vaccel_keypoint& point : keypoints) {
    if (!shown(point)) continue;
    const std::string name = plain_name(point.name);
    canvas.dot(place(point), 1.8 * measures.line, kBlack);
    canvas.dot(place(point), 1.3 * measures.line, side_of(name, name));
  }
}

// ---- Depth

void draw_scale(Canvas& canvas, const Measures& measures, const std::string& far, const std::string& near) {
  const double pad = measures.padding;
  const double far_width = text_width(far, measures.capital);
  const double near_width = text_width(near, measures.capital);
  const double bar = std::max(10 * measures.capital, 0.25 * canvas.width());
  const double height = measures.row();
  const Box plate{pad, canvas.height() - pad - height, far_width + near_width + bar + 4 * pad, height};
  canvas.fill(plate, kBlack, 0.7);
  double x = plate.x + pad;
  const double y = plate.y + pad;
  canvas.text({x, y}, far, measures.capital, kWhite);
  x += far_width + pad;
  for (size_t step = 0; step < 256; ++step) {
    canvas.fill({x + bar * static_cast<double>(step) / 256, y, bar / 256, measures.capital},
                scale_colours()[step]);
  }
  canvas.text({x + bar + pad, y}, near, measures.capital, kWhite);
}

}  // namespace

Status draw(const vaccel_detections& detections, Canvas& canvas) {
  if (Status status = check_size(detections.image_width, detections.image_height, canvas); !status.ok())
    return status;
  const Measures measures(canvas);
  const std::span items(detections.items, detections.count);
  const auto colour = [](const vaccel_detection& item) {
    return class_colour(static_cast<size_t>(std::max(item.index, 0)));
  };
  // The best ones on top, and no line through a label.
  for (const vaccel_detection& item : std::views::reverse(items)) {
    canvas.outline(box_of(item), kBlack, measures.line + 2);
    canvas.outline(box_of(item), colour(item), measures.line);
  }
  for (const vaccel_detection& item : std::views::reverse(items)) {
    const Box box = box_of(item);
    const bool room_above = box.y >= measures.row();
    const Point corner{box.x - measures.line / 2, room_above ? box.y - measures.row() : box.y};
    const std::string label = label_or_number(item.label, static_cast<size_t>(std::max(item.index, 0)));
    draw_plate(canvas, measures, corner, label + printed(" %.2f", static_cast<double>(item.score)),
               colour(item));
  }
  return {};
}

Status draw(const vaccel_segmentation& segmentation, Canvas& canvas) {
  if (Status status = check_size(segmentation.width, segmentation.height, canvas); !status.ok())
    return status;
  const Measures measures(canvas);
  std::vector<std::optional<Colour>> colours(segmentation.label_count);
  std::vector<LegendRow> rows;
  const size_t most_rows =
      static_cast<size_t>(std::max(1.0, canvas.height() / 2.0 / (measures.capital + 1.4 * measures.padding)));
  for (const ClassShare& share : class_shares(segmentation)) {
    if (is_background(segmentation.labels[share.index])) continue;
    colours[share.index] = class_colour(share.index);
    if (rows.size() < most_rows) {
      rows.push_back({*colours[share.index],
                      label_or_number(segmentation.labels[share.index], share.index) +
                          printed(share.part >= 0.001 ? " %.1f%%" : " < 0.1%%", 100 * share.part)});
    }
  }
  tint(segmentation, colours, canvas);
  draw_legend(canvas, measures, rows);
  return {};
}

Status draw(const vaccel_poses& poses, Canvas& canvas) {
  if (Status status = check_size(poses.image_width, poses.image_height, canvas); !status.ok()) return status;
  const Measures measures(canvas);
  for (size_t rank = poses.count; rank-- > 0;)
    draw_pose(canvas, measures, {poses.items[rank].keypoints, poses.items[rank].keypoint_count});
  return {};
}

Status draw(const vaccel_depth_map& map, Canvas& canvas) {
  if (Status status = check_size(map.width, map.height, canvas); !status.ok()) return status;
  // A few wild numbers must not make the rest look alike.
  const auto range = depth_range(map);
  const double low = range ? static_cast<double>(range->low) : 0;
  const double high = range ? static_cast<double>(range->high) : 0;
  const bool larger_is_nearer = map.kind == VACCEL_DEPTH_INVERSE;
  for (uint32_t y = 0; y < map.height; ++y) {
    for (uint32_t x = 0; x < map.width; ++x) {
      const double value = static_cast<double>(map.depth[size_t{y} * map.width + x]);
      if (!std::isfinite(value)) {
        canvas.set(x, y, kBlack);
        continue;
      }
      double part = high > low ? (value - low) / (high - low) : 0.5;
      if (!larger_is_nearer) part = 1 - part;
      canvas.set(x, y, scale_colours()[static_cast<size_t>(std::lround(std::clamp(part, 0.0, 1.0) * 255))]);
    }
  }
  if (!range) return {};
  const bool metric = map.kind == VACCEL_DEPTH_METRIC;
  draw_scale(canvas, Measures(canvas), metric ? printed("%.1f m", high) : "far",
             metric ? printed("%.1f m", low) : "near");
  return {};
}

}  // namespace vaccel::tool
