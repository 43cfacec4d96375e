// SPDX-License-Identifier: Apache-2.0
#include "core/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <limits>
#include <vector>

namespace vaccel {
namespace {

vaccel_tensor view(int dtype, const std::vector<int64_t>& shape, void* data, size_t bytes) {
  vaccel_tensor tensor{};
  tensor.name = "t";
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(shape.size());
  tensor.shape = shape.data();
  tensor.data = data;
  tensor.bytes = bytes;
  return tensor;
}

TEST(ElementCount, RefusesWhatOverflows) {
  const std::array<int64_t, 3> huge = {int64_t{1} << 31, int64_t{1} << 31, 4};
  EXPECT_FALSE(element_count(huge).has_value());
  const std::array<int64_t, 2> negative = {2, -1};
  EXPECT_FALSE(element_count(negative).has_value());
  const std::array<int64_t, 9> deep = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT_FALSE(element_count(deep).has_value());
}

TEST(ElementCount, ZeroAnywhereIsEmptyButStillChecked) {
  const std::array<int64_t, 3> empty = {5, 0, 7};
  EXPECT_EQ(element_count(empty).value(), 0u);
  const std::array<int64_t, 3> empty_and_huge = {0, std::numeric_limits<int64_t>::max(), 8};
  EXPECT_FALSE(element_count(empty_and_huge).has_value());
  EXPECT_EQ(element_count({}).value(), 1u);  // a scalar
}

TEST(CheckView, NamesTheTensorAndTheSizes) {
  std::array<float, 6> data{};
  const std::vector<int64_t> shape = {2, 4};
  const Status status = check_view(view(VACCEL_FLOAT32, shape, data.data(), sizeof data));
  EXPECT_EQ(status.code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), "tensor 't', float32 [2, 4], needs 32 bytes and has 24");
}

TEST(CheckView, RefusesReservedFieldsBadTypesAndRanks) {
  std::array<float, 8> data{};
  const std::vector<int64_t> shape = {8};
  vaccel_tensor tensor = view(VACCEL_FLOAT32, shape, data.data(), sizeof data);
  EXPECT_TRUE(check_view(tensor).ok());
  tensor.reserved[1] = 1;
  EXPECT_FALSE(check_view(tensor).ok());
  tensor = view(77, shape, data.data(), sizeof data);
  EXPECT_FALSE(check_view(tensor).ok());
  tensor = view(VACCEL_FLOAT32, shape, data.data(), sizeof data);
  tensor.rank = -1;
  EXPECT_FALSE(check_view(tensor).ok());
  tensor.rank = 9;
  EXPECT_FALSE(check_view(tensor).ok());
  tensor = view(VACCEL_FLOAT32, shape, nullptr, 32);
  EXPECT_FALSE(check_view(tensor).ok());
}

TEST(CheckView, StridedViewsMayNotReachBeyondTheirBytes) {
  std::array<float, 12> data{};
  const std::vector<int64_t> shape = {3, 2};
  const std::array<int64_t, 2> strides = {4, 1};
  vaccel_tensor tensor =
      view(VACCEL_FLOAT32, shape, data.data(), 40);  // last element ends at (2*4 + 1 + 1) * 4 = 40
  tensor.strides = strides.data();
  EXPECT_TRUE(check_view(tensor).ok());
  tensor.bytes = 39;
  EXPECT_FALSE(check_view(tensor).ok());
  const std::array<int64_t, 2> wild = {std::numeric_limits<int64_t>::max(), 1};
  tensor.strides = wild.data();
  EXPECT_FALSE(check_view(tensor).ok());
  const std::array<int64_t, 2> backwards = {-4, 1};
  tensor.strides = backwards.data();
  EXPECT_FALSE(check_view(tensor).ok());
}

TEST(Pack, GathersTransposedData) {
  std::array<int16_t, 6> data = {0, 1, 2, 3, 4, 5};  // [2, 3], seen as its transpose [3, 2]
  const std::vector<int64_t> shape = {3, 2};
  const std::array<int64_t, 2> strides = {1, 3};
  vaccel_tensor tensor = view(VACCEL_INT16, shape, data.data(), sizeof data);
  tensor.strides = strides.data();
  ASSERT_TRUE(check_view(tensor).ok());
  EXPECT_FALSE(is_dense(tensor));
  std::array<int16_t, 6> packed{};
  pack(tensor, reinterpret_cast<std::byte*>(packed.data()));
  EXPECT_EQ(packed, (std::array<int16_t, 6>{0, 3, 1, 4, 2, 5}));
}

std::vector<std::byte> strings(const std::vector<std::string>& texts) {
  std::vector<std::byte> data((texts.size() + 1) * 4);
  for (size_t index = 0; index <= texts.size(); ++index) {
    const auto offset = static_cast<uint32_t>(data.size());
    std::memcpy(data.data() + index * 4, &offset, 4);
    if (index == texts.size()) break;
    for (const char character : texts[index])
      data.push_back(std::byte(character));
    data.push_back(std::byte{0});
  }
  return data;
}

TEST(CheckStrings, TakesWellFormedOnesOnly) {
  EXPECT_TRUE(check_strings(strings({"a", "", "Egyptian cat"}), 3).ok());
  EXPECT_TRUE(check_strings(strings({}), 0).ok());
  EXPECT_FALSE(check_strings(strings({"a"}), 2).ok());
  EXPECT_FALSE(check_strings({}, 0).ok());
  auto data = strings({"abc", "d"});
  data.back() = std::byte{'x'};  // no NUL
  EXPECT_FALSE(check_strings(data, 2).ok());
  data = strings({"abc", "d"});
  data[4] = std::byte{0xff};  // the offset points outside
  EXPECT_FALSE(check_strings(data, 2).ok());
  EXPECT_FALSE(check_strings(strings({"abc"}), ~uint64_t{0} / 4).ok());
}

}  // namespace
}  // namespace vaccel
