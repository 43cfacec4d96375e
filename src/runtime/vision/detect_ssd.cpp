// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detect_ssd.h"

#include <cmath>
#include <limits>

namespace vaccel::runtime {
namespace {

// The size and the width over height of each box in one cell of a map.
std::vector<std::pair<float, float>> boxes_in_cell(const SsdAnchors& anchors, size_t map) {
  const size_t last = anchors.maps.size() - 1;
  const auto size_of = [&](size_t index) {
    if (index > last) return 1.0F;
    const float part = last == 0 ? 0.0F : static_cast<float>(index) / static_cast<float>(last);
    return anchors.smallest + (anchors.largest - anchors.smallest) * part;
  };
  const float size = size_of(map);
  if (map == 0 && anchors.fewer_in_first) return {{0.1F, 1.0F}, {size, 2.0F}, {size, 0.5F}};
  std::vector<std::pair<float, float>> boxes;
  for (const float ratio : anchors.aspect_ratios)
    boxes.emplace_back(size, ratio);
  if (anchors.between) boxes.emplace_back(std::sqrt(size * size_of(map + 1)), 1.0F);
  return boxes;
}

// The probability of one class; `values` are the scores of a place.
float activated(float score, Activation activation, std::span<const float> values) {
  if (activation == Activation::kSigmoid) return sigmoid(score);
  if (activation != Activation::kSoftmax) return score;
  float largest = score;
  for (const float value : values)
    largest = value > largest ? value : largest;
  float sum = 0;
  for (const float value : values)
    sum += std::exp(value - largest);
  return std::exp(score - largest) / sum;
}

}  // namespace

std::vector<Anchor> make_anchors(const SsdAnchors& anchors) {
  std::vector<Anchor> made;
  for (size_t map = 0; map < anchors.maps.size(); ++map) {
    const auto boxes = boxes_in_cell(anchors, map);
    const uint32_t side = anchors.maps[map];
    for (uint32_t y = 0; y < side; ++y) {
      for (uint32_t x = 0; x < side; ++x) {
        for (const auto& [size, ratio] : boxes) {
          const float root = std::sqrt(ratio);
          made.push_back({(static_cast<float>(y) + 0.5F) / static_cast<float>(side),
                          (static_cast<float>(x) + 0.5F) / static_cast<float>(side), size / root,
                          size * root});
        }
      }
    }
  }
  return made;
}

SsdDecoder::SsdDecoder(SsdOutput output, int32_t first_class, const ImageInput& image)
    : output_(std::move(output)),
      first_class_(static_cast<size_t>(first_class)),
      unit_x_(output_.in_pixels ? static_cast<float>(image.width) : 1.0F),
      unit_y_(output_.in_pixels ? static_cast<float>(image.height) : 1.0F) {
  if (output_.anchors) anchors_ = make_anchors(*output_.anchors);
}

Status SsdDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& labels) const {
  const OutputShape& boxes = shapes[0];
  const OutputShape& scores = shapes[1];
  if (!can_be(boxes, {-1, 4})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s holds no boxes: they must be [places, 4]",
                   boxes.text().c_str());
  }
  const int64_t places = dimension_of(boxes, 0);
  if (!can_be(scores, {places, -1})) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "its output %s holds no scores of the boxes in %s: they must be %s", scores.text().c_str(),
                   boxes.text().c_str(), "[places, classes]");
  }
  if (output_.anchors && places != -1 && static_cast<uint64_t>(places) != anchors_.size()) {
    return failure(VACCEL_INVALID_ARGUMENT, "[detect.anchors] makes %zu boxes, and its output %s has %lld",
                   anchors_.size(), boxes.text().c_str(), static_cast<long long>(places));
  }
  const int64_t classes = dimension_of(scores, 1);
  if (classes != -1 && static_cast<uint64_t>(classes) <= first_class_) {
    return failure(VACCEL_INVALID_ARGUMENT, "[detect] first_class is %zu, and its output %s has %lld classes",
                   first_class_, scores.text().c_str(), static_cast<long long>(classes));
  }
  return check_labels(labels, scores, classes);
}

void SsdDecoder::decode_box(const float* box, size_t place, Detection& detection) const {
  if (!output_.anchors) {
    const size_t x = output_.corners_begin_with_x ? 0 : 1;
    detection.left = box[x] / unit_x_;
    detection.top = box[1 - x] / unit_y_;
    detection.right = box[2 + x] / unit_x_;
    detection.bottom = box[3 - x] / unit_y_;
    return;
  }
  const Anchor& anchor = anchors_[place];
  const std::array<float, 4>& scale = output_.anchors->scale;
  const float y = box[0] / scale[0] * anchor.height + anchor.y;
  const float x = box[1] / scale[1] * anchor.width + anchor.x;
  const float half_height = std::exp(box[2] / scale[2]) * anchor.height / 2;
  const float half_width = std::exp(box[3] / scale[3]) * anchor.width / 2;
  detection.left = x - half_width;
  detection.top = y - half_height;
  detection.right = x + half_width;
  detection.bottom = y + half_height;
}

void SsdDecoder::decode(std::span<const OutputView> outputs, float min_score,
                        std::vector<Detection>& found) const {
  const float* boxes = outputs[0].values.data();
  const auto places = static_cast<size_t>(outputs[1].shape.dimensions[0]);
  const auto classes = static_cast<size_t>(outputs[1].shape.dimensions[1]);
  for (size_t place = 0; place < places; ++place) {
    const std::span<const float> scores = outputs[1].values.subspan(place * classes, classes);
    float best = -std::numeric_limits<float>::infinity();
    size_t index = 0;
    for (size_t one = first_class_; one < classes; ++one) {
      if (scores[one] > best) {  // false for what is no number
        best = scores[one];
        index = one;
      }
    }
    if (best == -std::numeric_limits<float>::infinity()) continue;
    Detection detection{};
    detection.score = activated(best, output_.activation, scores);
    if (!(detection.score >= min_score)) continue;
    detection.index = static_cast<int32_t>(index);
    decode_box(boxes + place * 4, place, detection);
    add_candidate(found, detection, min_score);
  }
}

}  // namespace vaccel::runtime
