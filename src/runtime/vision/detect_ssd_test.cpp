// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detect_ssd.h"

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

// SSD MobileNet's.
SsdAnchors known_anchors() {
  SsdAnchors anchors;
  anchors.maps = {19, 10, 5, 3, 2, 1};
  anchors.smallest = 0.2F;
  anchors.largest = 0.95F;
  anchors.aspect_ratios = {1, 2, 0.5F, 3, 0.3333F};
  anchors.scale = {10, 10, 5, 5};
  return anchors;
}

SsdOutput with_anchors() {
  SsdOutput output;
  output.boxes = "boxes";
  output.scores = "scores";
  output.anchors = known_anchors();
  return output;
}

SsdOutput with_corners(bool begin_with_x = false, bool in_pixels = false) {
  SsdOutput output;
  output.corners_begin_with_x = begin_with_x;
  output.in_pixels = in_pixels;
  return output;
}

std::vector<Detection> decoded(const SsdDecoder& decoder, const TestOutputs& outputs, float min_score) {
  EXPECT_EQ(outputs.problem_for(decoder), "");
  std::vector<Detection> found;
  decoder.decode(outputs.views(), min_score, found);
  return found;
}

TEST(Anchors, AreThoseOfTheSingleShotDetector) {
  const auto anchors = make_anchors(known_anchors());
  ASSERT_EQ(anchors.size(), 19u * 19 * 3 + (10 * 10 + 5 * 5 + 3 * 3 + 2 * 2 + 1) * 6);
  const auto expect = [&](size_t index, double y, double x, double height, double width) {
    EXPECT_NEAR(anchors[index].y, y, 1e-6) << index;
    EXPECT_NEAR(anchors[index].x, x, 1e-6) << index;
    EXPECT_NEAR(anchors[index].height, height, 1e-6) << index;
    EXPECT_NEAR(anchors[index].width, width, 1e-6) << index;
  };
  expect(0, 0.5 / 19, 0.5 / 19, 0.1, 0.1);
  expect(1, 0.5 / 19, 0.5 / 19, 0.2 / std::sqrt(2.0), 0.2 * std::sqrt(2.0));
  expect(2, 0.5 / 19, 0.5 / 19, 0.2 * std::sqrt(2.0), 0.2 / std::sqrt(2.0));
  expect(3, 0.5 / 19, 1.5 / 19, 0.1, 0.1);  // along the row first
  // The second map's cell in row 2, column 7: 0.35, and between it and 0.5.
  const size_t cell = 19 * 19 * 3 + (2 * 10 + 7) * 6;
  expect(cell, 0.25, 0.75, 0.35, 0.35);
  expect(cell + 3, 0.25, 0.75, 0.35 / std::sqrt(3.0), 0.35 * std::sqrt(3.0));
  expect(cell + 5, 0.25, 0.75, std::sqrt(0.35 * 0.5), std::sqrt(0.35 * 0.5));
  // After the last map comes 1.
  expect(anchors.size() - 1, 0.5, 0.5, std::sqrt(0.95), std::sqrt(0.95));
}

TEST(Anchors, WithoutTheExtrasACellHasItsRatios) {
  SsdAnchors anchors = known_anchors();
  anchors.maps = {2};
  anchors.between = false;
  anchors.fewer_in_first = false;
  const auto made = make_anchors(anchors);
  ASSERT_EQ(made.size(), 4u * 5);
  EXPECT_NEAR(made[0].height, 0.2, 1e-6);
}

TEST(Ssd, BoxesAreRelativeToTheirAnchors) {
  const SsdDecoder decoder(with_anchors(), 1, image_input(300, 300));
  const auto anchors = make_anchors(known_anchors());
  constexpr size_t kPlace = 1500;
  std::vector<float> boxes(anchors.size() * 4, 0);
  std::vector<float> scores(anchors.size() * 3, 0.1F);
  // Codes a box around (0.4, 0.7) of 0.2 x 0.3 (height, width), as training does.
  const Anchor& anchor = anchors[kPlace];
  boxes[kPlace * 4 + 0] = (0.4F - anchor.y) / anchor.height * 10;
  boxes[kPlace * 4 + 1] = (0.7F - anchor.x) / anchor.width * 10;
  boxes[kPlace * 4 + 2] = std::log(0.2F / anchor.height) * 5;
  boxes[kPlace * 4 + 3] = std::log(0.3F / anchor.width) * 5;
  scores[kPlace * 3 + 2] = 0.8F;
  TestOutputs outputs;
  const auto count = static_cast<int64_t>(anchors.size());
  outputs.add("boxes", {count, 4}, boxes).add("scores", {count, 3}, scores);
  const auto found = decoded(decoder, outputs, 0.5F);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 2);
  EXPECT_EQ(found[0].score, 0.8F);
  EXPECT_NEAR(found[0].top, 0.3, 1e-5);
  EXPECT_NEAR(found[0].bottom, 0.5, 1e-5);
  EXPECT_NEAR(found[0].left, 0.55, 1e-5);
  EXPECT_NEAR(found[0].right, 0.85, 1e-5);
  EXPECT_EQ(decoded(decoder, outputs, 0.81F).size(), 0u);
  EXPECT_EQ(decoded(decoder, outputs, 0).size(), anchors.size());
}

TEST(Ssd, CornersComeInTwoOrdersAndUnits) {
  TestOutputs parts;
  parts.add("b", {1, 4}, {0.1F, 0.2F, 0.3F, 0.6F}).add("s", {1, 1}, {0.5F});
  TestOutputs pixels;
  pixels.add("b", {1, 4}, {40, 20, 120, 60}).add("s", {1, 1}, {0.5F});
  const ImageInput input = image_input(400, 200);
  const auto first = decoded(SsdDecoder(with_corners(), 0, input), parts, 0);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_FLOAT_EQ(first[0].top, 0.1F);
  EXPECT_FLOAT_EQ(first[0].left, 0.2F);
  EXPECT_FLOAT_EQ(first[0].bottom, 0.3F);
  EXPECT_FLOAT_EQ(first[0].right, 0.6F);
  const auto second = decoded(SsdDecoder(with_corners(true, true), 0, input), pixels, 0);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_FLOAT_EQ(second[0].left, 0.1F);
  EXPECT_FLOAT_EQ(second[0].top, 0.1F);
  EXPECT_FLOAT_EQ(second[0].right, 0.3F);
  EXPECT_FLOAT_EQ(second[0].bottom, 0.3F);
}

TEST(Ssd, TheBackgroundIsNothing) {
  TestOutputs outputs;
  outputs.add("b", {2, 4}, {0, 0, 1, 1, 0, 0, 1, 1}).add("s", {2, 3}, {0.9F, 0.1F, 0.2F, 0.3F, 0.6F, 0.5F});
  const auto found = decoded(SsdDecoder(with_corners(), 1, image_input(1, 1)), outputs, 0.15F);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].index, 2);
  EXPECT_EQ(found[1].index, 1);
  EXPECT_EQ(found[1].score, 0.6F);
}

TEST(Ssd, ActivationsMakeProbabilities) {
  TestOutputs outputs;
  outputs.add("b", {1, 4}, {0, 0, 1, 1}).add("s", {1, 3}, {1, 2, -1});
  SsdOutput output = with_corners();
  output.activation = Activation::kSigmoid;
  auto found = decoded(SsdDecoder(output, 0, image_input(1, 1)), outputs, 0.5F);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].score, 1 / (1 + std::exp(-2.0)), 1e-6);
  output.activation = Activation::kSoftmax;
  found = decoded(SsdDecoder(output, 0, image_input(1, 1)), outputs, 0.5F);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].score, std::exp(2.0) / (std::exp(1.0) + std::exp(2.0) + std::exp(-1.0)), 1e-6);
  // The background takes its share of the probability, and is not told.
  found = decoded(SsdDecoder(output, 2, image_input(1, 1)), outputs, 0);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 2);
  EXPECT_NEAR(found[0].score, std::exp(-1.0) / (std::exp(1.0) + std::exp(2.0) + std::exp(-1.0)), 1e-6);
}

TEST(Ssd, WhatIsNoNumberIsNothing) {
  TestOutputs outputs;
  outputs.add("b", {5, 4}, {0, 0, 1, 1, kNan, 0, 1, 1, 0, 0, kInfinity, 1, 0, 0, 1, 1, 0, 0, 1, 1})
      .add("s", {5, 2}, {kNan, 0.9F, 0.9F, 0.9F, 0.9F, 0.9F, kNan, kNan, kInfinity, 0.5F});
  for (const Activation activation : {Activation::kNone, Activation::kSigmoid, Activation::kSoftmax}) {
    SsdOutput output = with_corners();
    output.activation = activation;
    for (const Detection& one : decoded(SsdDecoder(output, 0, image_input(1, 1)), outputs, 0)) {
      EXPECT_TRUE(std::isfinite(one.score));
      EXPECT_TRUE(std::isfinite(one.left + one.top + one.right + one.bottom));
    }
  }
  const auto found = decoded(SsdDecoder(with_corners(), 0, image_input(1, 1)), outputs, 0);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 1);
}

TEST(Ssd, NoPlacesAreNoDetections) {
  TestOutputs outputs;
  outputs.add("b", {0, 4}, {}).add("s", {0, 3}, {});
  EXPECT_TRUE(decoded(SsdDecoder(with_corners(), 1, image_input(1, 1)), outputs, 0).empty());
}

TEST(Ssd, OutputsThatDoNotFitAreToldWithWhatWasSeen) {
  const SsdDecoder decoder(with_anchors(), 1, image_input(300, 300));
  EXPECT_EQ(problem_of(decoder, {{1917, 4}, {1917, 91}}), "");
  EXPECT_EQ(problem_of(decoder, {{-1, 4}, {-1, -1}}), "");
  EXPECT_EQ(problem_of(decoder, {{1917, 4}, {1917, 91}}, {"labels.txt", 91}), "");
  EXPECT_EQ(problem_of(decoder, {{1917, 5}, {1917, 91}}),
            "its output 'a' [1917, 5] holds no boxes: they must be [places, 4]");
  EXPECT_EQ(problem_of(decoder, {{1917, 4, 1}, {1917, 91}}),
            "its output 'a' [1917, 4, 1] holds no boxes: they must be [places, 4]");
  EXPECT_EQ(problem_of(decoder, {{1917, 4}, {1916, 91}}),
            "its output 'b' [1916, 91] holds no scores of the boxes in 'a' [1917, 4]: they must be [places, "
            "classes]");
  EXPECT_EQ(problem_of(decoder, {{100, 4}, {100, 91}}),
            "[detect.anchors] makes 1917 boxes, and its output 'a' [100, 4] has 100");
  EXPECT_EQ(problem_of(decoder, {{1917, 4}, {1917, 1}}),
            "[detect] first_class is 1, and its output 'b' [1917, 1] has 1 classes");
  EXPECT_EQ(problem_of(decoder, {{1917, 4}, {1917, 91}}, {"labels.txt", 90}),
            "labels.txt has 90 labels, and its output 'b' has 91 classes");
}

}  // namespace
}  // namespace vaccel::runtime
