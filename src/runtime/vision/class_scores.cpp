// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/class_scores.h"

#include <algorithm>

#include "core/tensor.h"

namespace vaccel::runtime {

Status ClassScoresDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& labels) const {
  const OutputShape& scores = shapes[0];
  const bool known = !scores.any_rank && std::all_of(scores.dimensions.begin(), scores.dimensions.end(),
                                                     [](int64_t dimension) { return dimension >= 0; });
  if (!known) return {};
  const auto classes = element_count(scores.dimensions);
  if (!classes) return classes.error();
  return check_labels(labels, scores, static_cast<int64_t>(*classes));
}

}  // namespace vaccel::runtime
