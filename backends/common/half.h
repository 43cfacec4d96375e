// SPDX-License-Identifier: Apache-2.0
//
// The 16-bit floating-point types for backends whose framework does not know them: each value of them is a float
// exactly, and a float is rounded to the nearest one, ties to even. Without branches where that matters, so that loops
// over them are vectorised.
#pragma once

#include <bit>
#include <cstdint>

namespace vaccel::half {

/// IEEE 754 binary16: VACCEL_FLOAT16.
struct Float16 {
  uint16_t bits;
};
/// The upper half of a binary32: VACCEL_BFLOAT16.
struct BFloat16 {
  uint16_t bits;
};

inline float to_float(Float16 value) {
  const uint32_t sign = (value.bits & 0x8000u) << 16;
  const uint32_t magnitude = value.bits & 0x7fffu;
  // The exponent's bias is 112 more in a float; the product also makes subnormal ones normal, exactly.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const uint32_t infinite = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | infinite | sign);
}

inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}

inline Float16 to_float16(float value) {
  constexpr uint32_t kInfinity = 0x7f800000u;
  constexpr uint32_t kRoundsToInfinity = 0x477ff000u;  // 65520
  constexpr uint32_t kLeastNormal = 0x38800000u;       // 2^-14
  const auto all = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = all & 0x7fffffffu;
  // Added to 0.5, a subnormal one's bits are rounded to where they belong in the sum's lowest bits.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t normal = (magnitude - 0x38000000u + 0xfffu + odd) >> 13;
  uint32_t bits = magnitude < kLeastNormal ? subnormal : normal;
  bits = magnitude >= kRoundsToInfinity ? 0x7c00u : bits;
  bits = magnitude > kInfinity ? 0x7e00u : bits;
  return {static_cast<uint16_t>(bits | (all >> 16 & 0x8000u))};
}

inline BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
  return {static_cast<uint16_t>((is_nan ? bits | 0x400000u : rounded) >> 16)};
}

}  // namespace vaccel::half
