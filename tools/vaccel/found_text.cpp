// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/found_text.h"

#include <cstdio>
#include <span>
#include <string>

namespace vaccel::tool {
namespace {

std::string decimal(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string score_text(float score) {
  return decimal(static_cast<double>(score), 4);
}

std::string pixel_text(float coordinate) {
  return decimal(static_cast<double>(coordinate), 1);
}

std::string size_text(uint32_t width, uint32_t height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

void print(const vaccel_classes& classes, Output& output) {
  Table table({{"rank", Align::kRight}, {"score", Align::kRight}, {"label"}, {"index", Align::kRight}});
  for (size_t rank = 0; rank < classes.count; ++rank) {
    const vaccel_class& item = classes.items[rank];
    table.add({std::to_string(rank + 1), score_text(item.score), item.label, std::to_string(item.index)});
  }
  output.table(table);
}

void print(const vaccel_detections& detections, Output& output) {
  if (detections.count == 0) return output.line("nothing was found; --min-score says how sure it must be");
  Table table({{"rank", Align::kRight},
               {"score", Align::kRight},
               {"label"},
               {"index", Align::kRight},
               {"x", Align::kRight},
               {"y", Align::kRight},
               {"width", Align::kRight},
               {"height", Align::kRight}});
  for (size_t rank = 0; rank < detections.count; ++rank) {
    const vaccel_detection& item = detections.items[rank];
    table.add({std::to_string(rank + 1), score_text(item.score), item.label, std::to_string(item.index),
               pixel_text(item.x), pixel_text(item.y), pixel_text(item.width), pixel_text(item.height)});
  }
  output.table(table);
}

void print(const vaccel_segmentation& segmentation, Output& output) {
  Table table({{"share", Align::kRight}, {"label"}, {"index", Align::kRight}});
  for (const ClassShare& share : class_shares(segmentation)) {
    table.add(
        {decimal(100 * share.part, 2) + " %", segmentation.labels[share.index], std::to_string(share.index)});
  }
  output.table(table);
}

void print(const vaccel_poses& poses, Output& output) {
  if (poses.count == 0) return output.line("no body was found; --min-score says how sure it must be");
  Table table({{"pose", Align::kRight},
               {"keypoint"},
               {"score", Align::kRight},
               {"x", Align::kRight},
               {"y", Align::kRight}});
  for (size_t rank = 0; rank < poses.count; ++rank) {
    const vaccel_pose_item& pose = poses.items[rank];
    table.add({std::to_string(rank + 1), "", score_text(pose.score), "", ""});
    for (const vaccel_keypoint& point : std::span(pose.keypoints, pose.keypoint_count))
      table.add({"", point.name, score_text(point.score), pixel_text(point.x), pixel_text(point.y)});
  }
  output.table(table);
}

void print(const vaccel_depth_map& map, Output& output) {
  const char* meaning = map.kind == VACCEL_DEPTH_METRIC     ? "metres"
                        : map.kind == VACCEL_DEPTH_RELATIVE ? "larger is farther"
                                                            : "larger is nearer";
  Table table({{"depth"},
               {"image"},
               {"model"},
               {"min", Align::kRight},
               {"median", Align::kRight},
               {"max", Align::kRight}});
  const auto range = depth_range(map);
  const auto number = [&](float DepthRange::*which) {
    return range ? decimal(static_cast<double>((*range).*which), 3) : std::string("-");
  };
  table.add({std::string(depth_kind_name(map.kind)) + ", " + meaning, size_text(map.width, map.height),
             size_text(map.model_width, map.model_height), number(&DepthRange::least),
             number(&DepthRange::median), number(&DepthRange::most)});
  output.table(table);
}

}  // namespace

void print_found(const Found& found, Output& output) {
  std::visit([&](const auto& result) { print(*result, output); }, found);
}

}  // namespace vaccel::tool
