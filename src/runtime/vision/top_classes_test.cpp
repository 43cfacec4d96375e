// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/top_classes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace vaccel::runtime {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int32_t> indices(const std::vector<ClassScore>& classes) {
  std::vector<int32_t> result;
  for (const ClassScore& one : classes)
    result.push_back(one.index);
  return result;
}

TEST(TopClasses, AreTheBestInOrder) {
  const std::vector<float> scores = {0.1F, 0.7F, 0.05F, 0.15F};
  const auto top = top_classes(scores, 2, Activation::kNone);
  EXPECT_EQ(indices(top), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(top[0].score, 0.7F);
  EXPECT_EQ(top[1].score, 0.15F);
}

TEST(TopClasses, AreNoMoreThanThereAre) {
  EXPECT_EQ(top_classes(std::vector<float>{1, 2}, 10, Activation::kNone).size(), 2u);
  EXPECT_TRUE(top_classes({}, 10, Activation::kSoftmax).empty());
}

TEST(TopClasses, OfEqualScoresTheFirstCounts) {
  EXPECT_EQ(indices(top_classes(std::vector<float>{1, 2, 2, 2}, 3, Activation::kNone)),
            (std::vector<int32_t>{1, 2, 3}));
}

TEST(TopClasses, WhatIsNoNumberComesLast) {
  const std::vector<float> scores = {kNan, 0.5F, -kNan, -kInfinity, kInfinity};
  const auto top = top_classes(scores, 5, Activation::kNone);
  EXPECT_EQ(indices(top), (std::vector<int32_t>{4, 1, 3, 0, 2}));
  const std::vector<float> all(1001, kNan);
  EXPECT_EQ(indices(top_classes(all, 3, Activation::kNone)), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_TRUE(std::isnan(top_classes(all, 3, Activation::kSoftmax)[0].score));
}

TEST(TopClasses, ManyScoresMixedWithNaNStayInOrder) {
  std::vector<float> scores(5000);
  for (size_t index = 0; index < scores.size(); ++index) {
    scores[index] = index % 7 == 0 ? kNan : static_cast<float>((index * 7919) % 1000);
  }
  const auto top = top_classes(scores, scores.size(), Activation::kNone);
  for (size_t index = 1; index < top.size(); ++index) {
    const bool nan = std::isnan(top[index].score);
    EXPECT_TRUE(nan || top[index].score <= top[index - 1].score) << index;  // false where NaN came before
  }
}

TEST(Softmax, GivesProbabilities) {
  const auto top = top_classes(std::vector<float>{1, 2, 3}, 3, Activation::kSoftmax);
  const double sum = std::exp(-2.0) + std::exp(-1.0) + 1;
  EXPECT_EQ(indices(top), (std::vector<int32_t>{2, 1, 0}));
  EXPECT_NEAR(top[0].score, 1 / sum, 1e-6);
  EXPECT_NEAR(top[1].score, std::exp(-1.0) / sum, 1e-6);
  EXPECT_NEAR(top[2].score, std::exp(-2.0) / sum, 1e-6);
}

TEST(Softmax, BearsLargeAndInfiniteScores) {
  EXPECT_NEAR(top_classes(std::vector<float>{1e30F, 0}, 1, Activation::kSoftmax)[0].score, 1, 1e-6);
  const auto two = top_classes(std::vector<float>{kInfinity, 5, kInfinity, kNan}, 4, Activation::kSoftmax);
  EXPECT_EQ(two[0].score, 0.5F);
  EXPECT_EQ(two[1].score, 0.5F);
  EXPECT_EQ(two[2].score, 0.0F);
  EXPECT_TRUE(std::isnan(two[3].score));
  EXPECT_EQ(top_classes(std::vector<float>{-kInfinity, -kInfinity}, 1, Activation::kSoftmax)[0].score, 0.5F);
}

TEST(Sigmoid, MakesEachScoreAProbabilityOfItsOwn) {
  const std::vector<float> scores = {-1, 2, 0};
  const auto classes = top_classes(scores, 3, Activation::kSigmoid);
  ASSERT_EQ(classes.size(), 3u);
  EXPECT_EQ(classes[0].index, 1);
  EXPECT_NEAR(classes[0].score, 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_EQ(classes[1].score, 0.5F);
  EXPECT_NEAR(classes[2].score, 1 / (1 + std::exp(1.0)), 1e-6);
}

}  // namespace
}  // namespace vaccel::runtime
