// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detections.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/vision/decoder_testing.h"

namespace vaccel::runtime {
namespace {

using testing::image_input;
using testing::kInfinity;
using testing::kNan;

ImageMapping plain(uint32_t width, uint32_t height) {
  return map_image(width, height, image_input(100, 100));
}

std::vector<float> scores_of(const std::vector<Detection>& detections) {
  std::vector<float> scores;
  for (const Detection& one : detections)
    scores.push_back(one.score);
  return scores;
}

TEST(ChooseDetections, TheBestComeFirstInPixelsOfTheImage) {
  const auto chosen = choose_detections({{0.1F, 0.2F, 0.3F, 0.4F, 0.6F, 1}, {0.5F, 0.5F, 1, 1, 0.9F, 2}}, {},
                                        plain(200, 400));
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].index, 2);
  EXPECT_FLOAT_EQ(chosen[0].left, 100);
  EXPECT_FLOAT_EQ(chosen[0].bottom, 400);
  EXPECT_EQ(chosen[1].index, 1);
  EXPECT_FLOAT_EQ(chosen[1].left, 20);
  EXPECT_FLOAT_EQ(chosen[1].top, 80);
  EXPECT_FLOAT_EQ(chosen[1].right, 60);
  EXPECT_FLOAT_EQ(chosen[1].bottom, 160);
}

TEST(ChooseDetections, WhatOverlapsABetterOneGoes) {
  // Two squares of side 0.4, 0.1 apart: they share 0.3 x 0.4 of 2 x 0.16 - 0.12, which is 0.6.
  const Detection better{0.1F, 0.1F, 0.5F, 0.5F, 0.9F, 1};
  const Detection lesser{0.2F, 0.1F, 0.6F, 0.5F, 0.8F, 1};
  Detection other = lesser;
  other.index = 2;
  const auto count = [&](const Detection& second, float iou, bool across) {
    return choose_detections({better, second}, {iou, across, 100}, plain(10, 10)).size();
  };
  EXPECT_EQ(count(lesser, 0.59F, false), 1u);
  EXPECT_EQ(count(lesser, 0.61F, false), 2u);
  EXPECT_EQ(count(other, 0.59F, false), 2u);
  EXPECT_EQ(count(other, 0.59F, true), 1u);
}

TEST(ChooseDetections, WhatWasLeftOutHidesNothing) {
  // Three in a row, each overlapping the next by 0.6: the second goes, and with it what hid the third.
  const auto chosen = choose_detections({{0.1F, 0.1F, 0.5F, 0.5F, 0.9F, 1},
                                         {0.2F, 0.1F, 0.6F, 0.5F, 0.8F, 1},
                                         {0.3F, 0.1F, 0.7F, 0.5F, 0.7F, 1}},
                                        {0.5F, false, 100}, plain(10, 10));
  EXPECT_EQ(scores_of(chosen), (std::vector<float>{0.9F, 0.7F}));
}

TEST(ChooseDetections, AgreesWithComparingEveryPair) {
  const auto values = testing::random_values(5 * 300, 7, 0, 1);
  std::vector<Detection> candidates;
  for (size_t index = 0; index < values.size(); index += 5) {
    const float* value = values.data() + index;
    candidates.push_back({value[0], value[1], value[0] + value[2] / 3, value[1] + value[3] / 3, value[4],
                          static_cast<int32_t>(index / 5 % 3)});
  }
  const auto chosen = choose_detections(candidates, {0.3F, false, 1000}, plain(1000, 1000));
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& left, const auto& right) { return left.score > right.score; });
  std::vector<bool> gone(candidates.size(), false);
  std::vector<float> expected;
  for (size_t one = 0; one < candidates.size(); ++one) {
    if (gone[one]) continue;
    const Detection& a = candidates[one];
    if (a.left < 1 && a.top < 1) expected.push_back(a.score);
    for (size_t other = one + 1; other < candidates.size(); ++other) {
      const Detection& b = candidates[other];
      const double width =
          std::max(0.0, std::min<double>(a.right, b.right) - std::max<double>(a.left, b.left));
      const double height =
          std::max(0.0, std::min<double>(a.bottom, b.bottom) - std::max<double>(a.top, b.top));
      const double both = (double{a.right} - a.left) * (double{a.bottom} - a.top) +
                          (double{b.right} - b.left) * (double{b.bottom} - b.top);
      if (a.index == b.index && width * height / (both - width * height) > 0.3F) gone[other] = true;
    }
  }
  EXPECT_EQ(scores_of(chosen), expected);
  EXPECT_LT(chosen.size(), candidates.size());
}

TEST(ChooseDetections, TopCountsWhatIsChosen) {
  std::vector<Detection> candidates;
  for (int one = 0; one < 20; ++one) {
    const auto left = static_cast<float>(one / 2) / 10;
    candidates.push_back({left, 0, left + 0.05F, 1, 1 - static_cast<float>(one) / 100, 0});
  }
  EXPECT_EQ(scores_of(choose_detections(candidates, {0.5F, false, 3}, plain(10, 10))),
            (std::vector<float>{1, 0.98F, 0.96F}));
  EXPECT_TRUE(choose_detections({}, {}, plain(10, 10)).empty());
}

TEST(ChooseDetections, EqualScoresKeepTheirOrder) {
  const auto chosen = choose_detections(
      {{0, 0, 0.1F, 0.1F, 0.5F, 4}, {0.5F, 0, 0.6F, 0.1F, 0.5F, 2}, {0, 0.5F, 0.1F, 0.6F, 0.5F, 3}}, {},
      plain(10, 10));
  ASSERT_EQ(chosen.size(), 3u);
  EXPECT_EQ(chosen[0].index, 4);
  EXPECT_EQ(chosen[1].index, 2);
  EXPECT_EQ(chosen[2].index, 3);
}

TEST(ChooseDetections, BoxesAreClippedAndThoseOutsideLeftOut) {
  const auto chosen = choose_detections({{-0.5F, 0.5F, 0.5F, 2, 0.9F, 0},
                                         {1.1F, 0.1F, 1.5F, 0.5F, 0.8F, 1},
                                         {0.2F, -3, 0.3F, -2, 0.7F, 2},
                                         {-1e30F, -1e30F, 1e30F, 1e30F, 0.6F, 3}},
                                        {}, plain(50, 40));
  ASSERT_EQ(chosen.size(), 2u);
  EXPECT_EQ(chosen[0].left, 0);
  EXPECT_EQ(chosen[0].right, 25);
  EXPECT_EQ(chosen[0].top, 20);
  EXPECT_EQ(chosen[0].bottom, 40);
  EXPECT_EQ(chosen[1].index, 3);
  EXPECT_EQ(chosen[1].left, 0);
  EXPECT_EQ(chosen[1].right, 50);
  EXPECT_EQ(chosen[1].bottom, 40);
}

TEST(ChooseDetections, LetterboxAndCropAreUndone) {
  // 200 x 100 in 100 x 100: 25 rows of black, 50 of picture, 25 of black.
  auto chosen = choose_detections({{0.5F, 0.25F, 1, 0.5F, 0.9F, 0}, {0, 0, 1, 0.2F, 0.8F, 1}}, {},
                                  map_image(200, 100, image_input(100, 100, ResizeMode::kLetterbox)));
  ASSERT_EQ(chosen.size(), 1u) << "what lies in the bar is not in the picture";
  EXPECT_FLOAT_EQ(chosen[0].left, 100);
  EXPECT_FLOAT_EQ(chosen[0].right, 200);
  EXPECT_FLOAT_EQ(chosen[0].top, 0);
  EXPECT_FLOAT_EQ(chosen[0].bottom, 50);
  // Of 200 x 100 the middle 100 x 100.
  chosen = choose_detections({{0, 0.25F, 0.5F, 0.5F, 0.9F, 0}}, {},
                             map_image(200, 100, image_input(50, 50, ResizeMode::kCrop)));
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_FLOAT_EQ(chosen[0].left, 50);
  EXPECT_FLOAT_EQ(chosen[0].right, 100);
  EXPECT_FLOAT_EQ(chosen[0].top, 25);
  EXPECT_FLOAT_EQ(chosen[0].bottom, 50);
}

TEST(AddCandidate, TakesNumbersOnly) {
  std::vector<Detection> found;
  const Detection good{0.1F, 0.1F, 0.2F, 0.2F, 0.5F, 1};
  for (float Detection::*field :
       {&Detection::left, &Detection::top, &Detection::right, &Detection::bottom, &Detection::score}) {
    for (const float bad : {kNan, kInfinity, -kInfinity}) {
      Detection detection = good;
      detection.*field = bad;
      add_candidate(found, detection, 0);
    }
  }
  add_candidate(found, {0.2F, 0.1F, 0.1F, 0.2F, 0.5F, 1}, 0);
  add_candidate(found, {0.1F, 0.2F, 0.2F, 0.1F, 0.5F, 1}, 0);
  add_candidate(found, good, 0.51F);
  EXPECT_TRUE(found.empty());
  add_candidate(found, good, 0.5F);
  EXPECT_EQ(found.size(), 1u);
}

}  // namespace
}  // namespace vaccel::runtime
