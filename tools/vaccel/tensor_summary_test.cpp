// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/tensor_summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace vaccel::tool {
namespace {

template <typename T>
TensorSummary summary_of(int32_t dtype, std::vector<T> values) {
  const int64_t shape[] = {static_cast<int64_t>(values.size())};
  vaccel_tensor tensor{};
  tensor.name = "x";
  tensor.data = values.data();
  tensor.bytes = values.size() * sizeof(T);
  tensor.shape = shape;
  tensor.rank = 1;
  tensor.dtype = dtype;
  return summarize(tensor);
}

TEST(TensorSummary, SaysTypeShapeAndRange) {
  const TensorSummary summary = summary_of<float>(VACCEL_FLOAT32, {1, -2, 4});
  EXPECT_EQ(summary.name, "x");
  EXPECT_STREQ(summary.dtype, "float32");
  EXPECT_EQ(summary.shape, std::vector<int64_t>{3});
  EXPECT_EQ(summary.min, Number(-2.0f));
  EXPECT_EQ(summary.max, Number(4.0f));
  EXPECT_EQ(summary.mean, Number(1.0));
  EXPECT_EQ(summary.nan_count, 0u);
}

TEST(TensorSummary, KeepsIntegersExact) {
  const uint64_t most = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(summary_of<uint64_t>(VACCEL_UINT64, {most - 1, most}).max, Number(most));
  const int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(number_text(summary_of<int64_t>(VACCEL_INT64, {least, 0}).min), "-9223372036854775808");
  EXPECT_EQ(summary_of<uint8_t>(VACCEL_BOOL, {0, 1}).mean, Number(0.5));
  EXPECT_EQ(summary_of<int8_t>(VACCEL_INT8, {-128, 127}).min, Number(int64_t{-128}));
}

TEST(TensorSummary, ReadsHalfPrecision) {
  // 1, -2, the least subnormal, infinity
  const TensorSummary half = summary_of<uint16_t>(VACCEL_FLOAT16, {0x3C00, 0xC000, 0x0001, 0x7C00});
  EXPECT_EQ(half.min, Number(-2.0f));
  EXPECT_EQ(half.max, Number(std::numeric_limits<float>::infinity()));
  EXPECT_EQ(summary_of<uint16_t>(VACCEL_FLOAT16, {0x0001}).max, Number(std::ldexp(1.0f, -24)));
  EXPECT_EQ(summary_of<uint16_t>(VACCEL_FLOAT16, {0x7BFF}).max, Number(65504.0f));
  EXPECT_EQ(summary_of<uint16_t>(VACCEL_FLOAT16, {0x7E00}).nan_count, 1u);
  EXPECT_EQ(summary_of<uint16_t>(VACCEL_BFLOAT16, {0x3FC0}).max, Number(1.5f));
}

TEST(TensorSummary, LeavesNanOut) {
  const TensorSummary some = summary_of<double>(VACCEL_FLOAT64, {NAN, 3, NAN, 5});
  EXPECT_EQ(some.nan_count, 2u);
  EXPECT_EQ(some.min, Number(3.0));
  EXPECT_EQ(some.mean, Number(4.0));
  EXPECT_EQ(summary_of<float>(VACCEL_FLOAT32, {NAN}).min, Number());
}

TEST(TensorSummary, EmptyTensorsHaveNoNumbers) {
  const TensorSummary empty = summary_of<float>(VACCEL_FLOAT32, {});
  EXPECT_EQ(empty.min, Number());
  EXPECT_EQ(number_text(empty.mean), "-");
}

TEST(NumberText, IsShort) {
  EXPECT_EQ(number_text(Number(0.1f)), "0.1");
  EXPECT_EQ(number_text(Number(1e-7)), "1e-07");
  EXPECT_EQ(number_text(Number(-INFINITY)), "-inf");
  EXPECT_EQ(number_text(Number(uint64_t{7})), "7");
}

}  // namespace
}  // namespace vaccel::tool
