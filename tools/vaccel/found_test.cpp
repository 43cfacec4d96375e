// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/found.h"

#include <gtest/gtest.h>

#include <limits>

namespace vaccel::tool {
namespace {

TEST(ClassShares, AreOfTheLargestFirst) {
  const std::vector<uint16_t> classes{0, 2, 2, 0, 2, 300};
  vaccel_segmentation map{};
  map.width = 3;
  map.height = 2;
  map.classes = classes.data();
  map.element_bytes = 2;
  map.label_count = 301;
  const auto shares = class_shares(map);
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_EQ(shares[0].index, 2u);
  EXPECT_EQ(shares[0].pixels, 3u);
  EXPECT_DOUBLE_EQ(shares[0].part, 0.5);
  EXPECT_EQ(shares[1].index, 0u);
  EXPECT_EQ(shares[2].index, 300u);
}

std::optional<DepthRange> range_of(const std::vector<float>& depth) {
  vaccel_depth_map map{};
  map.width = static_cast<uint32_t>(depth.size());
  map.height = 1;
  map.depth = depth.data();
  return depth_range(map);
}

TEST(DepthRange, LeavesOutWhatIsNoNumber) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(range_of({kNan, kInfinity, -kInfinity}));
  std::vector<float> depth{kNan, -kInfinity};
  for (int value = 100; value >= 0; --value)
    depth.push_back(static_cast<float>(value));
  const auto range = range_of(depth);
  ASSERT_TRUE(range);
  EXPECT_EQ(range->least, 0);
  EXPECT_EQ(range->low, 2);
  EXPECT_EQ(range->median, 50);
  EXPECT_EQ(range->high, 98);
  EXPECT_EQ(range->most, 100);
}

TEST(DepthRange, OfALargeMapHasItsEnds) {
  std::vector<float> depth(3'000'001, 5);
  depth[1] = 1;  // not among those that are sorted
  depth[2] = 9;
  const auto range = range_of(depth);
  ASSERT_TRUE(range);
  EXPECT_EQ(range->least, 1);
  EXPECT_EQ(range->median, 5);
  EXPECT_EQ(range->most, 9);
}

TEST(Names, AreComparedByTheirLetters) {
  EXPECT_EQ(plain_name("left_elbow"), "leftelbow");
  EXPECT_EQ(plain_name("Left Elbow 2"), "leftelbow");
  EXPECT_EQ(plain_name("leftElbow"), "leftelbow");
  EXPECT_TRUE(is_background("Background"));
  EXPECT_FALSE(is_background("background noise"));
  EXPECT_EQ(label_or_number("cat", 3), "cat");
  EXPECT_EQ(label_or_number("", 3), "class 3");
}

}  // namespace
}  // namespace vaccel::tool
