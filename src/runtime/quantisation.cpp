// SPDX-License-Identifier: Apache-2.0
#include "runtime/quantisation.h"

#include <cmath>
#include <cstdio>

#include "core/tensor.h"

namespace vaccel::runtime {
namespace {

constexpr double kScaleTolerance = 1e-5;  // relative: what rounding to six digits changes, and no more

}  // namespace

std::string Quantisation::text() const {
  char text[80];
  std::snprintf(text, sizeof text, "%g * (stored - %lld)", static_cast<double>(scale),
                static_cast<long long>(zero_point));
  return text;
}

bool Quantisation::agrees_with(const Quantisation& other) const {
  const double difference = std::abs(static_cast<double>(scale) - static_cast<double>(other.scale));
  return zero_point == other.zero_point && difference <= kScaleTolerance * static_cast<double>(scale);
}

bool is_quantised_dtype(int dtype) {
  return dtype == VACCEL_UINT8 || dtype == VACCEL_INT8;
}

int64_t least_stored(int dtype) {
  return dtype == VACCEL_INT8 ? -128 : 0;
}

int64_t largest_stored(int dtype) {
  return dtype == VACCEL_INT8 ? 127 : 255;
}

Status check_quantisation(const Quantisation& quantisation, int dtype) {
  if (std::isfinite(quantisation.scale) && quantisation.scale > 0 &&
      quantisation.zero_point >= least_stored(dtype) && quantisation.zero_point <= largest_stored(dtype)) {
    return {};
  }
  return failure(
      VACCEL_INVALID_ARGUMENT,
      "its scale is %g and its zero point %lld; they must be a number above 0, and one of %s, from "
      "%lld to %lld",
      static_cast<double>(quantisation.scale), static_cast<long long>(quantisation.zero_point),
      dtype_name(dtype), static_cast<long long>(least_stored(dtype)),
      static_cast<long long>(largest_stored(dtype)));
}

}  // namespace vaccel::runtime
