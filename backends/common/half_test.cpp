// SPDX-License-Identifier: Apache-2.0
//
// Every 16-bit number, and the floats around the borders between them, against the compiler's own type.
#include "common/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace vaccel::half {
namespace {

float compilers(Float16 value) {
  _Float16 own;
  std::memcpy(&own, &value, sizeof own);
  return static_cast<float>(own);
}

uint16_t compilers_bits(float value) {
  const auto own = static_cast<_Float16>(value);
  uint16_t bits = 0;
  std::memcpy(&bits, &own, sizeof bits);
  return bits;
}

TEST(Float16, IsReadExactly) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 value{static_cast<uint16_t>(bits)};
    if (std::isnan(compilers(value))) {
      ASSERT_TRUE(std::isnan(to_float(value))) << bits;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(to_float(value)), std::bit_cast<uint32_t>(compilers(value))) << bits;
    }
  }
}

TEST(Float16, IsRoundedToTheNearestTiesToEven) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = compilers({static_cast<uint16_t>(bits)});
    const float next = compilers({static_cast<uint16_t>(bits + 1)});
    if (std::isnan(value) || std::isinf(value)) continue;
    const float between = std::isfinite(next) ? (value + next) / 2 : std::copysign(65520.0f, value);
    for (const float one : {value, std::nextafter(value, 1e9f), std::nextafter(value, -1e9f), between,
                            std::nextafter(between, 1e9f), std::nextafter(between, -1e9f)})
      ASSERT_EQ(to_float16(one).bits, compilers_bits(one)) << one;
  }
  for (const float one : {1e9f, -1e9f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min(), -0.0f})
    EXPECT_EQ(to_float16(one).bits, compilers_bits(one)) << one;
  EXPECT_TRUE(std::isnan(to_float(to_float16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isnan(to_float(to_float16(std::bit_cast<float>(0x7f800001u)))));
}

// A bfloat16 is a float whose lower half is zero: the nearest one is a matter of comparing distances.
TEST(BFloat16, IsRoundedToTheNearestTiesToEven) {
  for (uint32_t high = 0; high < 0x7f80; ++high) {
    for (const uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const uint32_t bits = high << 16 | low;
      const uint32_t up = low > 0x8000 || (low == 0x8000 && (high & 1) != 0) ? 1 : 0;
      ASSERT_EQ(to_bfloat16(std::bit_cast<float>(bits)).bits, high + up) << bits;
      ASSERT_EQ(to_bfloat16(std::bit_cast<float>(bits | 0x80000000u)).bits, (high + up) | 0x8000u) << bits;
    }
    ASSERT_EQ(std::bit_cast<uint32_t>(to_float(BFloat16{static_cast<uint16_t>(high)})), high << 16);
  }
  EXPECT_EQ(to_bfloat16(std::numeric_limits<float>::infinity()).bits, 0x7f80);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::bit_cast<float>(0xffffffffu)))));
}

}  // namespace
}  // namespace vaccel::half
