// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/segmentation.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "runtime/vision/map_taps.h"

namespace vaccel::runtime {
namespace {

constexpr int64_t kMostClasses = 65536;

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// The four places of a map around a pixel and how much each counts.
struct Corners {
  const float* places[4];
  float weights[4];
};

// The class whose score, between the four corners, is the highest.
size_t best_between(const Corners& corners, size_t channels, size_t plane) {
  float best = kLowest;
  size_t index = 0;
  for (size_t channel = 0; channel < channels; ++channel) {
    const size_t at = channel * plane;
    const float score =
        corners.places[0][at] * corners.weights[0] + corners.places[1][at] * corners.weights[1] +
        corners.places[2][at] * corners.weights[2] + corners.places[3][at] * corners.weights[3];
    if (score > best) {
      best = score;
      index = channel;
    }
  }
  return index;
}

// Classes of a row of places, channel after channel over the whole row: a loop that the compiler vectorises where the
// channels are planes.
template <typename Class>
void classes_of_row(const float* row, const ChannelMap& scores, std::vector<float>& best, Class* classes) {
  std::fill(best.begin(), best.end(), kLowest);
  std::fill_n(classes, scores.width, Class{0});
  for (size_t channel = 0; channel < scores.channels; ++channel) {
    const float* values = row + channel * scores.plane;
    for (size_t x = 0; x < scores.width; ++x) {
      const float score = values[x * scores.column];
      const bool better = score > best[x];
      best[x] = better ? score : best[x];
      classes[x] = better ? static_cast<Class>(channel) : classes[x];
    }
  }
}

}  // namespace

Status SegmentDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& labels) const {
  const OutputShape& scores = shapes[0];
  const char* right =
      output_.layout == Layout::kNchw ? "[classes, height, width]" : "[height, width, classes]";
  if (!can_be(scores, {-1, -1, -1})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s holds no scores of a map: they must be %s",
                   scores.text().c_str(), right);
  }
  for (size_t axis = 0; axis < 3; ++axis) {
    if (dimension_of(scores, axis) != 0) continue;
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s is empty", scores.text().c_str());
  }
  const int64_t classes = channels_of(scores, output_.layout);
  if (classes > kMostClasses) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "its output %s has %lld classes as %s; at most %lld are supported", scores.text().c_str(),
                   static_cast<long long>(classes), right, static_cast<long long>(kMostClasses));
  }
  return check_labels(labels, scores, classes);
}

template <typename Class>
void classes_of_model(const ChannelMap& scores, Class* classes) {
  std::vector<float> best(scores.width);
  for (size_t y = 0; y < scores.height; ++y)
    classes_of_row(scores.values + y * scores.row, scores, best, classes + y * scores.width);
}

template <typename Class>
void classes_of_image(const ChannelMap& scores, const Class* model_classes, const ImageMapping& mapping,
                      Class* classes) {
  const std::vector<MapTap> columns = column_taps(mapping, scores.width);
  for (const MapTap& row : row_taps(mapping, scores.height)) {
    const Class* above = model_classes + row.first * scores.width;
    const Class* below = model_classes + row.second * scores.width;
    for (const MapTap& column : columns) {
      // A class that scores best at all four corners does so everywhere between them. That is nearly every pixel.
      const Class first = above[column.first];
      if (first == above[column.second] && first == below[column.first] && first == below[column.second]) {
        *classes++ = first;
        continue;
      }
      const float* upper = scores.values + row.first * scores.row;
      const float* lower = scores.values + row.second * scores.row;
      const Corners corners{{upper + column.first * scores.column, upper + column.second * scores.column,
                             lower + column.first * scores.column, lower + column.second * scores.column},
                            {(1 - row.weight) * (1 - column.weight), (1 - row.weight) * column.weight,
                             row.weight * (1 - column.weight), row.weight * column.weight}};
      *classes++ = static_cast<Class>(best_between(corners, scores.channels, scores.plane));
    }
  }
}

template void classes_of_model(const ChannelMap&, uint8_t*);
template void classes_of_model(const ChannelMap&, uint16_t*);
template void classes_of_image(const ChannelMap&, const uint8_t*, const ImageMapping&, uint8_t*);
template void classes_of_image(const ChannelMap&, const uint16_t*, const ImageMapping&, uint16_t*);

}  // namespace vaccel::runtime
