// SPDX-License-Identifier: Apache-2.0
//
// A model's scores to its best classes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/model_description.h"

namespace vaccel::runtime {

struct ClassScore {
  int32_t index;
  float score;
};

/// The `top` best of `scores`, best first (all of them, if there are not as many); equal ones by index. A
/// score that is not a number comes last, whatever its sign. With kSoftmax or kSigmoid, scores become
/// probabilities.
std::vector<ClassScore> top_classes(std::span<const float> scores, size_t top, Activation activation);

}  // namespace vaccel::runtime
