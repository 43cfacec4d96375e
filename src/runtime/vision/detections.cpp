// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detections.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/vision/detect_ssd.h"
#include "runtime/vision/detect_ssd_postprocessed.h"
#include "runtime/vision/detect_yolo.h"

namespace vaccel::runtime {
namespace {

float area(const Detection& box) {
  return (box.right - box.left) * (box.bottom - box.top);
}

// Intersection over union. Of two boxes without area, or with an infinite one, it is no number, and nothing is above it.
float overlap(const Detection& one, const Detection& other) {
  const float width = std::min(one.right, other.right) - std::max(one.left, other.left);
  const float height = std::min(one.bottom, other.bottom) - std::max(one.top, other.top);
  if (!(width > 0 && height > 0)) return 0;
  const float shared = width * height;
  return shared / (area(one) + area(other) - shared);
}

// In pixels, clipped; false when nothing of it is left.
bool to_image(Detection& box, const ImageMapping& mapping) {
  const auto clip = [](double value, uint32_t most) {
    return static_cast<float>(std::clamp(value, 0.0, static_cast<double>(most)));
  };
  box.left = clip(mapping.image_x(double{box.left} * mapping.input_width), mapping.image_width);
  box.right = clip(mapping.image_x(double{box.right} * mapping.input_width), mapping.image_width);
  box.top = clip(mapping.image_y(double{box.top} * mapping.input_height), mapping.image_height);
  box.bottom = clip(mapping.image_y(double{box.bottom} * mapping.input_height), mapping.image_height);
  return box.right > box.left && box.bottom > box.top;
}

}  // namespace

std::unique_ptr<DetectDecoder> make_detect_decoder(const DetectOutput& detect, const ImageInput& image) {
  if (const auto* ssd = std::get_if<SsdOutput>(&detect.decoder)) {
    return std::make_unique<SsdDecoder>(*ssd, detect.first_class, image);
  }
  if (const auto* processed = std::get_if<SsdPostprocessedOutput>(&detect.decoder)) {
    return std::make_unique<SsdPostprocessedDecoder>(*processed, detect.first_class);
  }
  return std::make_unique<YoloDecoder>(std::get<YoloOutput>(detect.decoder), detect.first_class, image);
}

void add_candidate(std::vector<Detection>& found, const Detection& candidate, float min_score) {
  const bool numbers = std::isfinite(candidate.score) && std::isfinite(candidate.left) &&
                       std::isfinite(candidate.right) && std::isfinite(candidate.top) &&
                       std::isfinite(candidate.bottom);
  if (!numbers || candidate.score < min_score) return;
  if (candidate.right < candidate.left || candidate.bottom < candidate.top) return;
  found.push_back(candidate);
}

std::vector<Detection> choose_detections(const std::vector<Detection>& candidates,
                                         const DetectionRules& rules, const ImageMapping& mapping) {
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t left, size_t right) {
    const float difference = candidates[left].score - candidates[right].score;
    return difference != 0 ? difference > 0 : left < right;
  });
  // Overlap is the same in the input and in the image, since each axis is scaled as a whole; so boxes are compared as the
  // model gave them, and only what is kept is converted.
  std::vector<Detection> kept;
  std::vector<Detection> chosen;
  for (const size_t next : order) {
    if (chosen.size() == rules.top) break;
    const Detection& candidate = candidates[next];
    const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Detection& better) {
      return (rules.across_classes || better.index == candidate.index) &&
             overlap(better, candidate) > rules.iou;
    });
    if (covered) continue;
    Detection in_image = candidate;
    if (!to_image(in_image, mapping)) continue;
    kept.push_back(candidate);
    chosen.push_back(in_image);
  }
  return chosen;
}

}  // namespace vaccel::runtime
