// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detect_ssd_postprocessed.h"

#include <algorithm>

namespace vaccel::runtime {
namespace {

constexpr float kMostClasses = 1 << 20;

// How many of `most` list entries count, as the model says it in a float.
size_t counted(float count, size_t most) {
  if (!(count > 0)) return 0;  // no number is none, too
  return count < static_cast<float>(most) ? static_cast<size_t>(count) : most;
}

}  // namespace

Status SsdPostprocessedDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& labels) const {
  if (labels.count != 0 && labels.count <= static_cast<size_t>(first_class_)) {
    return failure(VACCEL_INVALID_ARGUMENT, "[detect] first_class is %d, and %s has %zu labels", first_class_,
                   std::string(labels.file).c_str(), labels.count);
  }
  const OutputShape& boxes = shapes[0];
  if (!can_be(boxes, {-1, 4})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s holds no boxes: they must be [n, 4]",
                   boxes.text().c_str());
  }
  for (const OutputShape& list : shapes.subspan(1, 2)) {
    if (can_be(list, {dimension_of(boxes, 0)})) continue;
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s does not fit its output %s: it must be [n]",
                   list.text().c_str(), boxes.text().c_str());
  }
  if (!can_be(shapes[3], {}) && !can_be(shapes[3], {1})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s must be one number, how many boxes there are",
                   shapes[3].text().c_str());
  }
  return {};
}

void SsdPostprocessedDecoder::decode(std::span<const OutputView> outputs, float min_score,
                                     std::vector<Detection>& found) const {
  const size_t count = counted(outputs[3].values[0], outputs[2].values.size());
  for (size_t one = 0; one < count; ++one) {
    const float* box = outputs[0].values.data() + one * 4;
    const float index = outputs[1].values[one];
    if (!(index >= 0 && index < kMostClasses)) continue;
    add_candidate(
        found,
        {box[1], box[0], box[3], box[2], outputs[2].values[one], static_cast<int32_t>(index) + first_class_},
        min_score);
  }
}

}  // namespace vaccel::runtime
