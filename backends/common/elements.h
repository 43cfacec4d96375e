// SPDX-License-Identifier: Apache-2.0
//
// The element types of linear algebra, for templates over them: what a type's sums are kept in, and how it is read and
// written. dispatch() goes from a dtype to such a type.
#pragma once

#include <cstring>
#include <type_traits>

#include "common/half.h"
#include "vaccel/types.h"

namespace vaccel::elements {

using half::BFloat16;
using half::Float16;

/// 16-bit types are accumulated in float32.
template <typename Element>
using Sum = std::conditional_t<std::is_same_v<Element, double>, double, float>;

inline float load(float value) {
  return value;
}
inline double load(double value) {
  return value;
}
inline float load(Float16 value) {
  return half::to_float(value);
}
inline float load(BFloat16 value) {
  return half::to_float(value);
}

template <typename Element>
Element store(Sum<Element> value) {
  if constexpr (std::is_same_v<Element, Float16>) {
    return half::to_float16(value);
  } else if constexpr (std::is_same_v<Element, BFloat16>) {
    return half::to_bfloat16(value);
  } else {
    return value;
  }
}

/// Whether dispatch() takes it.
constexpr bool is_element(int dtype) {
  return dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64 || dtype == VACCEL_FLOAT16 ||
         dtype == VACCEL_BFLOAT16;
}

/// Calls body(Element{}) for the type that `dtype`, one that is_element(), stands for.
template <typename Body>
decltype(auto) dispatch(int dtype, Body body) {
  switch (dtype) {
    case VACCEL_FLOAT64:
      return body(double{});
    case VACCEL_FLOAT16:
      return body(Float16{});
    case VACCEL_BFLOAT16:
      return body(BFloat16{});
    default:
      return body(float{});
  }
}

/// The element at `from`, of a type that dispatch() takes.
inline double read(int dtype, const void* from) {
  return dispatch(dtype, [&](auto element) {
    std::memcpy(&element, from, sizeof element);
    return static_cast<double>(load(element));
  });
}

/// Puts `value` there, rounded as the type's sums are.
inline void write(int dtype, double value, void* to) {
  dispatch(dtype, [&](auto element) {
    using Element = decltype(element);
    element = store<Element>(static_cast<Sum<Element>>(value));
    std::memcpy(to, &element, sizeof element);
  });
}

}  // namespace vaccel::elements
