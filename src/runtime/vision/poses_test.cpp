// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/poses.h"

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

// A small body: a head, a hand and a foot, on maps of 11 x 11 over 161 x 161 pixels, one place each 16.
constexpr size_t kSide = 11;
constexpr float kStride = 16;
constexpr size_t kParts = 3;

PoseOutput small_body(bool displacements) {
  PoseOutput output;
  output.heatmaps = "heat";
  output.offsets = "offset";
  output.layout = Layout::kNhwc;
  output.activation = Activation::kNone;
  output.keypoints = {"head", "hand", "foot"};
  if (displacements) {
    output.forward = "forward";
    output.backward = "backward";
    output.skeleton = {{0, 1}, {0, 2}};
  }
  return output;
}

struct Point {
  float x;
  float y;
};

// Maps as a network that sees these bodies would give them.
class Body {
 public:
  Body()
      : heat(kSide * kSide * kParts),
        offset(heat.size() * 2),
        forward(kSide * kSide * 4),
        backward(forward) {}

  void add(const Point (&parts)[kParts], float score) {
    for (size_t part = 0; part < kParts; ++part) {
      const size_t at = place(parts[part]);
      heat[at * kParts + part] = score - static_cast<float>(part) * 0.01F;
    }
    // Around each part, as networks do, the offsets lead to it and the displacements from it to the others.
    for (size_t y = 0; y < kSide; ++y) {
      for (size_t x = 0; x < kSide; ++x) {
        for (size_t part = 0; part < kParts; ++part) {
          const float away_x = parts[part].x - static_cast<float>(x) * kStride;
          const float away_y = parts[part].y - static_cast<float>(y) * kStride;
          if (std::hypot(away_x, away_y) > 2 * kStride) continue;
          const size_t at = y * kSide + x;
          offset[at * kParts * 2 + part] = away_y;
          offset[at * kParts * 2 + kParts + part] = away_x;
          for (size_t edge = 0; edge < 2; ++edge) {
            const Point& head = parts[0];
            const Point& end = parts[edge + 1];
            if (part == 0) set(forward, at, edge, end.x - head.x, end.y - head.y);
            if (part == edge + 1) set(backward, at, edge, head.x - end.x, head.y - end.y);
          }
        }
      }
    }
  }

  [[nodiscard]] std::vector<Pose> poses(bool several, float min_score, size_t top) const {
    TestOutputs outputs;
    outputs.add("heat", {kSide, kSide, kParts}, heat).add("offset", {kSide, kSide, 2 * kParts}, offset);
    if (several)
      outputs.add("forward", {kSide, kSide, 4}, forward).add("backward", {kSide, kSide, 4}, backward);
    const PoseDecoder decoder(small_body(several), image_input(161, 161));
    EXPECT_EQ(outputs.problem_for(decoder), "");
    return decoder.decode(outputs.views(), min_score, top);
  }

  std::vector<float> heat;
  std::vector<float> offset;
  std::vector<float> forward;
  std::vector<float> backward;

 private:
  static size_t place(const Point& point) {
    return static_cast<size_t>(std::lround(point.y / kStride)) * kSide +
           static_cast<size_t>(std::lround(point.x / kStride));
  }
  static void set(std::vector<float>& map, size_t at, size_t edge, float x, float y) {
    map[at * 4 + edge] = y;
    map[at * 4 + 2 + edge] = x;
  }
};

void expect_at(const Pose& pose, const Point (&parts)[kParts]) {
  ASSERT_EQ(pose.keypoints.size(), kParts);
  for (size_t part = 0; part < kParts; ++part) {
    EXPECT_NEAR(pose.keypoints[part].x, parts[part].x, 1e-3) << part;
    EXPECT_NEAR(pose.keypoints[part].y, parts[part].y, 1e-3) << part;
  }
}

constexpr Point kFirst[kParts] = {{45, 30}, {20, 70}, {50, 120}};
constexpr Point kSecond[kParts] = {{120, 40}, {140, 75}, {110, 130}};

TEST(Poses, OneIsWhereItsHeatMapsAreHottest) {
  Body body;
  body.add(kFirst, 0.9F);
  const auto poses = body.poses(false, 0.5F, 10);
  ASSERT_EQ(poses.size(), 1u);
  expect_at(poses[0], kFirst);
  EXPECT_NEAR(poses[0].score, 0.89, 1e-6);
  EXPECT_FLOAT_EQ(poses[0].keypoints[1].score, 0.89F);
  EXPECT_TRUE(body.poses(false, 0.9F, 10).empty());
}

TEST(Poses, SeveralAreTakenApartByTheirSkeletons) {
  Body body;
  body.add(kFirst, 0.8F);
  body.add(kSecond, 0.9F);
  const auto poses = body.poses(true, 0.5F, 10);
  ASSERT_EQ(poses.size(), 2u);
  expect_at(poses[0], kSecond);
  expect_at(poses[1], kFirst);
  EXPECT_NEAR(poses[0].score, 0.89, 1e-6);
  EXPECT_NEAR(poses[1].score, 0.79, 1e-6);
  EXPECT_EQ(body.poses(true, 0.5F, 1).size(), 1u);
  EXPECT_EQ(body.poses(true, 0.85F, 10).size(), 1u);
  EXPECT_TRUE(body.poses(true, 0.95F, 10).empty());
}

// The hottest part is the second one of an edge: the skeleton is followed back to the first and then on.
TEST(Poses, MayBeginAtAnyPart) {
  Body body;
  body.add(kFirst, 0.5F);
  body.heat[(4 * kSide + 1) * kParts + 1] = 0.9F;  // the hand
  const auto poses = body.poses(true, 0.3F, 10);
  ASSERT_EQ(poses.size(), 1u);
  expect_at(poses[0], kFirst);
}

TEST(Poses, WithoutAnybodyThereAreNone) {
  const Body nobody;
  EXPECT_TRUE(nobody.poses(true, 0.1F, 10).empty());
  EXPECT_TRUE(nobody.poses(false, 0.1F, 10).empty());
}

// Whatever a network says, indices stay within the maps, and coordinates are numbers.
TEST(Poses, WhatIsNoNumberLeadsNowhereElse) {
  for (const float bad : {kNan, kInfinity, -kInfinity, 1e30F, -1e30F}) {
    Body body;
    body.add(kFirst, 0.9F);
    for (std::vector<float>* map : {&body.offset, &body.forward, &body.backward})
      std::fill(map->begin(), map->end(), bad);
    body.heat[0] = bad;
    for (const bool several : {false, true}) {
      for (const Pose& pose : body.poses(several, 0, 10)) {
        EXPECT_TRUE(pose.score >= 0 && pose.score <= 1) << pose.score;
        for (const Keypoint& keypoint : pose.keypoints) {
          EXPECT_TRUE(std::isfinite(keypoint.x));
          EXPECT_TRUE(std::isfinite(keypoint.y));
          EXPECT_TRUE(keypoint.score >= 0 && keypoint.score <= 1) << keypoint.score;
        }
      }
    }
  }
}

// Every place of a flat map is a peak; that must not take forever, nor make more poses than were asked for.
TEST(Poses, AFlatMapIsBounded) {
  Body body;
  std::fill(body.heat.begin(), body.heat.end(), 0.5F);
  EXPECT_LE(body.poses(true, 0, 10).size(), 10u);
}

TEST(Poses, SigmoidMakesScores) {
  PoseOutput output = small_body(false);
  output.activation = Activation::kSigmoid;
  output.keypoints = {"head"};
  TestOutputs outputs;
  outputs.add("heat", {1, 2, 1}, {-1, 2}).add("offset", {1, 2, 2}, {0, 0, 3, 4});
  const PoseDecoder decoder(output, image_input(17, 17));
  ASSERT_EQ(outputs.problem_for(decoder), "");
  const auto poses = decoder.decode(outputs.views(), 0.5F, 10);
  ASSERT_EQ(poses.size(), 1u);
  EXPECT_NEAR(poses[0].score, 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_FLOAT_EQ(poses[0].keypoints[0].x, 16 + 4);
  EXPECT_FLOAT_EQ(poses[0].keypoints[0].y, 0 + 3);
}

TEST(Poses, AreMovedToTheImage) {
  std::vector<Pose> poses(1);
  poses[0].keypoints = {{49.5F, 49.5F, 1}, {99.5F, 24.5F, 1}};
  to_image(poses, map_image(200, 100, image_input(100, 100, ResizeMode::kLetterbox)));
  EXPECT_FLOAT_EQ(poses[0].keypoints[0].x, 100);
  EXPECT_FLOAT_EQ(poses[0].keypoints[0].y, 50);
  EXPECT_FLOAT_EQ(poses[0].keypoints[1].x, 200);
  EXPECT_FLOAT_EQ(poses[0].keypoints[1].y, 0);
}

TEST(Poses, OutputsThatDoNotFitAreToldWithWhatWasSeen) {
  const PoseDecoder one(small_body(false), image_input(161, 161));
  const PoseDecoder several(small_body(true), image_input(161, 161));
  EXPECT_EQ(problem_of(one, {{11, 11, 3}, {11, 11, 6}}), "");
  EXPECT_EQ(problem_of(several, {{-1, -1, 3}, {11, 11, -1}, {-1, -1, -1}, {11, 11, 4}}), "");
  const std::string behind =
      " does not fit the 3 keypoints and 0 edges of its model.toml: it must be [height, width, "
      "channels] with ";
  EXPECT_EQ(problem_of(one, {{11, 11, 4}, {11, 11, 6}}),
            "its output 'a' [11, 11, 4]" + behind + "3 channels, and of one size with the other maps");
  EXPECT_EQ(problem_of(one, {{11, 11, 3}, {11, 12, 6}}),
            "its output 'b' [11, 12, 6]" + behind + "6 channels, and of one size with the other maps");
  EXPECT_NE(problem_of(several, {{11, 11, 3}, {11, 11, 6}, {11, 11, 4}, {11, 11, 5}}), "");
  EXPECT_EQ(problem_of(one, {{0, 11, 3}, {0, 11, 6}}), "its output 'a' [0, 11, 3] is empty");
}

}  // namespace
}  // namespace vaccel::runtime
