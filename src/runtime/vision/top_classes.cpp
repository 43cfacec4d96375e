// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/top_classes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {
namespace {

// A strict weak order, NaN included: std::partial_sort goes astray without one.
bool is_better(const ClassScore& left, const ClassScore& right) {
  const bool left_nan = std::isnan(left.score);
  const bool right_nan = std::isnan(right.score);
  if (left_nan != right_nan) return right_nan;
  if (!left_nan && left.score != right.score) return left.score > right.score;
  return left.index < right.index;
}

// Probabilities of the classes in `chosen`, over all of `scores`. Of infinite scores each has an equal share.
void apply_softmax(std::span<const float> scores, std::span<ClassScore> chosen) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float largest = -kInfinity;
  for (const float score : scores) {
    if (score > largest) largest = score;  // false for NaN
  }
  const auto weight = [&](float score) -> double {
    if (std::isinf(largest)) return score == largest ? 1 : 0;
    return std::exp(static_cast<double>(score) - static_cast<double>(largest));
  };
  double sum = 0;
  for (const float score : scores) {
    if (!std::isnan(score)) sum += weight(score);
  }
  for (ClassScore& one : chosen) {
    if (!std::isnan(one.score)) one.score = static_cast<float>(weight(one.score) / sum);
  }
}

}  // namespace

std::vector<ClassScore> top_classes(std::span<const float> scores, size_t top, Activation activation) {
  std::vector<ClassScore> classes(scores.size());
  for (size_t index = 0; index < scores.size(); ++index) {
    classes[index] = {static_cast<int32_t>(index), scores[index]};
  }
  const size_t count = std::min(top, classes.size());
  std::partial_sort(classes.begin(), classes.begin() + static_cast<ptrdiff_t>(count), classes.end(),
                    is_better);
  classes.resize(count);
  // No activation changes the order, so the best come first.
  if (activation == Activation::kSoftmax) apply_softmax(scores, classes);
  if (activation == Activation::kSigmoid) {
    for (ClassScore& one : classes)
      one.score = sigmoid(one.score);
  }
  return classes;
}

}  // namespace vaccel::runtime
