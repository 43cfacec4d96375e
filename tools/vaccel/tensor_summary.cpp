// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/tensor_summary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "core/tensor.h"

namespace vaccel::tool {
namespace {

// IEEE 754 binary16 and bfloat16 as they lie in memory; every value of both is a float.
struct Float16 {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

float value_of(Float16 half) {
  const bool is_negative = (half.bits & 0x8000) != 0;
  const int exponent = half.bits >> 10 & 0x1F;
  const int fraction = half.bits & 0x3FF;
  float magnitude = 0;
  if (exponent == 0x1F) {
    magnitude = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
  }
  return is_negative ? -magnitude : magnitude;
}

float value_of(Bfloat16 number) {
  return std::bit_cast<float>(static_cast<uint32_t>(number.bits) << 16);
}

template <typename T>
T value_of(T number) {
  return number;
}

// In which alternative of Number a value is kept without loss.
template <typename T>
Number number_of(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return value;
  } else if constexpr (std::is_signed_v<T>) {
    return int64_t{value};
  } else {
    return uint64_t{value};
  }
}

template <typename T>
void take_elements(const vaccel_tensor& tensor, uint64_t count, TensorSummary& summary) {
  using Value = decltype(value_of(T{}));
  const auto* data = static_cast<const std::byte*>(tensor.data);
  Value least{};
  Value most{};
  long double sum = 0;
  uint64_t taken = 0;
  for (uint64_t index = 0; index < count; ++index) {
    T element{};
    std::memcpy(&element, data + index * sizeof element, sizeof element);
    const Value value = value_of(element);
    if (value != value) continue;  // NaN
    least = taken == 0 ? value : std::min(least, value);
    most = taken == 0 ? value : std::max(most, value);
    sum += static_cast<long double>(value);
    ++taken;
  }
  summary.nan_count = count - taken;
  if (taken == 0) return;
  summary.min = number_of(least);
  summary.max = number_of(most);
  summary.mean = static_cast<double>(sum / static_cast<long double>(taken));
}

void take_any(const vaccel_tensor& tensor, uint64_t count, TensorSummary& summary) {
  switch (tensor.dtype) {
    case VACCEL_FLOAT32:
      return take_elements<float>(tensor, count, summary);
    case VACCEL_FLOAT64:
      return take_elements<double>(tensor, count, summary);
    case VACCEL_FLOAT16:
      return take_elements<Float16>(tensor, count, summary);
    case VACCEL_BFLOAT16:
      return take_elements<Bfloat16>(tensor, count, summary);
    case VACCEL_INT8:
      return take_elements<int8_t>(tensor, count, summary);
    case VACCEL_INT16:
      return take_elements<int16_t>(tensor, count, summary);
    case VACCEL_INT32:
      return take_elements<int32_t>(tensor, count, summary);
    case VACCEL_INT64:
      return take_elements<int64_t>(tensor, count, summary);
    case VACCEL_UINT8:
    case VACCEL_BOOL:
      return take_elements<uint8_t>(tensor, count, summary);
    case VACCEL_UINT16:
      return take_elements<uint16_t>(tensor, count, summary);
    case VACCEL_UINT32:
      return take_elements<uint32_t>(tensor, count, summary);
    case VACCEL_UINT64:
      return take_elements<uint64_t>(tensor, count, summary);
    default:
      return;  // strings have no numbers
  }
}

std::string real_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

TensorSummary summarize(const vaccel_tensor& tensor) {
  TensorSummary summary;
  summary.name = tensor.name != nullptr ? tensor.name : "";
  summary.dtype = dtype_name(tensor.dtype);
  const auto shape = shape_of(tensor);
  summary.shape.assign(shape.begin(), shape.end());
  take_any(tensor, element_count(shape).value_or(0), summary);
  return summary;
}

std::string number_text(const Number& number) {
  return std::visit(
      [](auto value) -> std::string {
        using Value = decltype(value);
        if constexpr (std::is_same_v<Value, std::monostate>) {
          return "-";
        } else if constexpr (std::is_floating_point_v<Value>) {
          return real_text(static_cast<double>(value));
        } else {
          return std::to_string(value);
        }
      },
      number);
}

}  // namespace vaccel::tool
