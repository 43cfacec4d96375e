// SPDX-License-Identifier: Apache-2.0
//
// How the integers of a quantised tensor stand for numbers. A model's file says it, or its model.toml, or both, and then they
// must agree; vision_plan.cpp asks for it where a picture goes in or a decoder's values come out.
#pragma once

#include <cstdint>
#include <string>

#include "core/status.h"

namespace vaccel::runtime {

/// number = scale * (stored - zero_point)
struct Quantisation {
  float scale = 1;
  int64_t zero_point = 0;

  /// "0.0078125 * (stored - 128)"
  [[nodiscard]] std::string text() const;
  /// Whether both mean the same: scales to the six digits that people write, zero points exactly.
  [[nodiscard]] bool agrees_with(const Quantisation& other) const;
};

/// Whether tensors of this type may be quantised ones: uint8 and int8.
bool is_quantised_dtype(int dtype);

/// The least and the largest number that one of them stores.
int64_t least_stored(int dtype);
int64_t largest_stored(int dtype);

/// OK where the scale is a number above 0 and the zero point one that `dtype` stores; INVALID_ARGUMENT with both.
Status check_quantisation(const Quantisation& quantisation, int dtype);

}  // namespace vaccel::runtime
