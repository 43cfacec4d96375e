// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detect_yolo.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/vision/decoder_testing.h"

namespace vaccel::runtime {
namespace {

using testing::image_input;
using testing::kInfinity;
using testing::kNan;
using testing::problem_of;
using testing::TestOutputs;

YoloOutput rows(bool objectness = false) {
  YoloOutput output;
  output.objectness = objectness;
  return output;
}

YoloOutput columns(bool objectness = false) {
  YoloOutput output = rows(objectness);
  output.in_columns = true;
  return output;
}

std::vector<Detection> decoded(const YoloOutput& output, const TestOutputs& outputs, float min_score,
                               int32_t first_class = 0) {
  const YoloDecoder decoder(output, first_class, image_input(640, 320));
  EXPECT_EQ(outputs.problem_for(decoder), "");
  std::vector<Detection> found;
  decoder.decode(outputs.views(), min_score, found);
  return found;
}

TEST(Yolo, ARowIsACentreASizeAndScores) {
  TestOutputs outputs;
  outputs.add("o", {2, 7}, {320, 160, 64, 32, 0.1F, 0.8F, 0.3F, 1, 1, 1, 1, 0.2F, 0.3F, 0.4F});
  const auto found = decoded(rows(), outputs, 0.5F);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 1);
  EXPECT_EQ(found[0].score, 0.8F);
  EXPECT_FLOAT_EQ(found[0].left, 0.45F);
  EXPECT_FLOAT_EQ(found[0].right, 0.55F);
  EXPECT_FLOAT_EQ(found[0].top, 0.45F);
  EXPECT_FLOAT_EQ(found[0].bottom, 0.55F);
  EXPECT_EQ(decoded(rows(), outputs, 0.1F, 2).at(0).index, 2)
      << "the classes before first_class do not count";
}

TEST(Yolo, ObjectnessMultiplies) {
  TestOutputs outputs;
  outputs.add("o", {2, 6}, {320, 160, 64, 32, 0.5F, 0.9F, 320, 160, 64, 32, 0.9F, 0.9F});
  const auto found = decoded(rows(true), outputs, 0.5F);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].score, 0.81F);
}

TEST(Yolo, SigmoidIsAppliedToScoresAndObjectness) {
  TestOutputs outputs;
  outputs.add("o", {1, 6}, {320, 160, 64, 32, 1, 2});
  YoloOutput output = rows(true);
  output.activation = Activation::kSigmoid;
  EXPECT_NEAR(decoded(output, outputs, 0).at(0).score, 1 / (1 + std::exp(-1.0)) / (1 + std::exp(-2.0)), 1e-6);
}

TEST(Yolo, UnitsMayBePartsOfThePicture) {
  TestOutputs outputs;
  outputs.add("o", {1, 5}, {0.5F, 0.25F, 0.5F, 0.25F, 0.9F});
  YoloOutput output = rows();
  output.in_pixels = false;
  const auto found = decoded(output, outputs, 0);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].left, 0.25F);
  EXPECT_FLOAT_EQ(found[0].bottom, 0.375F);
}

// More places than a block has, and not a multiple of it: rows and columns of the same values say the same.
TEST(Yolo, ColumnsAreRowsTurned) {
  constexpr size_t kPlaces = 700;
  constexpr size_t kValues = 5 + 80;
  auto values = testing::random_values(kPlaces * kValues, 3, 0.05F, 1);
  std::vector<float> turned(values.size());
  for (size_t place = 0; place < kPlaces; ++place) {
    for (size_t value = 0; value < kValues; ++value)
      turned[value * kPlaces + place] = values[place * kValues + value];
  }
  const auto by_hand = [&](size_t place) {
    size_t best = 5;
    for (size_t value = 5; value < kValues; ++value) {
      if (values[place * kValues + value] > values[place * kValues + best]) best = value;
    }
    return best;
  };
  TestOutputs in_rows;
  in_rows.add("o", {kPlaces, kValues}, values);
  TestOutputs in_columns;
  in_columns.add("o", {kValues, kPlaces}, turned);
  const auto found = decoded(rows(true), in_rows, 0);
  const auto same = decoded(columns(true), in_columns, 0);
  ASSERT_EQ(found.size(), kPlaces);
  ASSERT_EQ(same.size(), kPlaces);
  for (size_t place = 0; place < kPlaces; ++place) {
    const size_t best = by_hand(place);
    EXPECT_EQ(found[place].index, static_cast<int32_t>(best - 5));
    EXPECT_FLOAT_EQ(found[place].score, values[place * kValues + best] * values[place * kValues + 4]);
    EXPECT_EQ(found[place].index, same[place].index);
    EXPECT_EQ(found[place].score, same[place].score);
    EXPECT_EQ(found[place].left, same[place].left);
    EXPECT_EQ(found[place].bottom, same[place].bottom);
  }
}

TEST(Yolo, WhatIsNoNumberIsNothing) {
  TestOutputs outputs;
  outputs.add("o", {6, 6},
              {kNan, 1, 1, 1, 0.9F, 0.9F, 1, 1, kInfinity, 1, 0.9F,      0.9F, 1, 1, 1, -1, 0.9F, 0.9F,
               1,    1, 1, 1, kNan, kNan, 1, 1, 1,         1, kInfinity, 0.5F, 1, 1, 1, 1,  kNan, 0.7F});
  const auto found = decoded(rows(), outputs, 0);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 1);
  EXPECT_EQ(found[0].score, 0.7F);
  YoloOutput output = rows();
  output.activation = Activation::kSigmoid;
  EXPECT_EQ(decoded(output, outputs, 0).size(), 2u) << "an infinite score is as sure as can be";
}

TEST(Yolo, NoPlacesAreNoDetections) {
  TestOutputs none;
  none.add("o", {0, 85}, {});
  EXPECT_TRUE(decoded(rows(), none, 0).empty());
  TestOutputs no_columns;
  no_columns.add("o", {84, 0}, {});
  EXPECT_TRUE(decoded(columns(), no_columns, 0).empty());
}

TEST(Yolo, OutputsThatDoNotFitAreToldWithWhatWasSeen) {
  const YoloDecoder in_rows(rows(true), 0, image_input(640, 640));
  const YoloDecoder in_columns(columns(), 0, image_input(640, 640));
  EXPECT_EQ(problem_of(in_rows, {{25200, 85}}, {"labels.txt", 80}), "");
  EXPECT_EQ(problem_of(in_columns, {{84, 8400}}, {"labels.txt", 80}), "");
  EXPECT_EQ(problem_of(in_columns, {{-1, -1}}, {"labels.txt", 80}), "");
  EXPECT_EQ(problem_of(in_columns, {{8400, 84}}, {"labels.txt", 80}),
            "labels.txt has 80 labels, and its output 'a' has 8396 classes");
  EXPECT_EQ(problem_of(in_rows, {{25200, 5}}),
            "its output 'a' [25200, 5] has 5 values for a place: it must be [places, 5 + classes]");
  EXPECT_EQ(problem_of(in_columns, {{84}}),
            "its output 'a' [84] is none of decoder \"yolo\": it must be [4 + classes, places]");
  EXPECT_EQ(
      problem_of(YoloDecoder(rows(), 3, image_input(1, 1)), {{10, 7}}),
      "its output 'a' [10, 7] has 7 values for a place: it must be [places, 4 + classes], with more classes "
      "than first_class");
}

}  // namespace
}  // namespace vaccel::runtime
