// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/output_values.h"

#include <gtest/gtest.h>

#include <limits>
#include <span>
#include <vector>

#include "vaccel/types.h"

namespace vaccel::runtime {
namespace {

// The numbers in memory of exactly their size.
template <typename Stored>
std::vector<float> read(int dtype, const std::vector<Stored>& stored, const Quantisation& quantisation = {}) {
  Scratch scratch;
  const auto values = read_values(dtype, std::as_bytes(std::span(stored)), quantisation, scratch);
  EXPECT_TRUE(values);
  return values ? std::vector<float>(values->begin(), values->end()) : std::vector<float>();
}

TEST(ReadValues, IntegersAreTakenForWhatTheyStandFor) {
  const Quantisation quantisation{0.25F, 10};
  std::vector<uint8_t> bytes(256);
  std::vector<int8_t> signed_bytes(256);
  for (int value = 0; value < 256; ++value) {
    bytes[static_cast<size_t>(value)] = static_cast<uint8_t>(value);
    signed_bytes[static_cast<size_t>(value)] = static_cast<int8_t>(value - 128);
  }
  const std::vector<float> numbers = read(VACCEL_UINT8, bytes, quantisation);
  const std::vector<float> signed_numbers = read(VACCEL_INT8, signed_bytes, quantisation);
  ASSERT_EQ(numbers.size(), 256u);
  ASSERT_EQ(signed_numbers.size(), 256u);
  for (size_t value = 0; value < 256; ++value) {
    EXPECT_EQ(numbers[value], (static_cast<float>(value) - 10) / 4);
    EXPECT_EQ(signed_numbers[value], (static_cast<float>(value) - 138) / 4);
  }
}

TEST(ReadValues, ClassNumbersAreExact) {
  EXPECT_EQ(read<int32_t>(VACCEL_INT32, {0, 65535, -1}), (std::vector<float>{0, 65535, -1}));
  EXPECT_EQ(read<int64_t>(VACCEL_INT64, {7, 16777216, -3}), (std::vector<float>{7, 16777216, -3}));
  // What is no class stays far from all of them.
  const auto far = read<int64_t>(VACCEL_INT64, {std::numeric_limits<int64_t>::max(),
                                                std::numeric_limits<int64_t>::min(), int64_t{1} << 32});
  EXPECT_GT(far[0], 1e18F);
  EXPECT_LT(far[1], -1e18F);
  EXPECT_EQ(far[2], 4294967296.0F);
}

TEST(ReadValues, FloatsStayWhereTheyAre) {
  const std::vector<float> stored = {1.5F, -2};
  Scratch scratch;
  const auto values = read_values(VACCEL_FLOAT32, std::as_bytes(std::span(stored)), {3, 1}, scratch);
  ASSERT_TRUE(values);
  EXPECT_EQ(values->data(), stored.data());
  EXPECT_EQ(values->size(), 2u);
}

TEST(ReadValues, NothingGivesNothing) {
  EXPECT_TRUE(read<uint8_t>(VACCEL_UINT8, {}).empty());
}

}  // namespace
}  // namespace vaccel::runtime
