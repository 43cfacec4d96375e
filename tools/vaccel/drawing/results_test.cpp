// SPDX-License-Identifier: Apache-2.0
//
// Pixels of hand-made results, where it is certain what they must be.
#include "tools/vaccel/drawing/results.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace vaccel::tool {
namespace {

constexpr Colour kGrey{100, 100, 100};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Canvas grey(uint32_t width, uint32_t height) {
  return {width, height, std::vector<uint8_t>(size_t{3} * width * height, 100)};
}

Colour half(Colour under, Colour over, double opacity) {
  const auto mix = [&](uint8_t from, uint8_t to) {
    return static_cast<uint8_t>(std::lround(from + (to - from) * opacity));
  };
  return {mix(under.red, over.red), mix(under.green, over.green), mix(under.blue, over.blue)};
}

vaccel_detections detections_of(std::span<const vaccel_detection> items, const Canvas& canvas) {
  vaccel_detections detections{};
  detections.count = items.size();
  detections.items = items.data();
  detections.image_width = canvas.width();
  detections.image_height = canvas.height();
  return detections;
}

TEST(DrawDetections, PutsABoxAroundAndALabelAbove) {
  Canvas canvas = grey(200, 200);
  const vaccel_detection items[] = {{3, 0.5F, "cup", 50, 60, 100, 80}};
  ASSERT_TRUE(draw(detections_of(items, canvas), canvas).ok());
  const Colour colour = class_colour(3);
  // Lines are 2 pixels and a bit, half of it within the box.
  for (uint32_t x = 50; x < 150; ++x) {
    EXPECT_EQ(canvas.at(x, 60), colour) << x;
    EXPECT_EQ(canvas.at(x, 139), colour) << x;
  }
  for (uint32_t y = 60; y < 140; ++y) {
    EXPECT_EQ(canvas.at(50, y), colour) << y;
    EXPECT_EQ(canvas.at(149, y), colour) << y;
  }
  EXPECT_EQ(canvas.at(100, 100), kGrey) << "within";
  EXPECT_EQ(canvas.at(190, 100), kGrey) << "outside";
  EXPECT_EQ(canvas.at(50, 50), colour) << "the label's plate";
  size_t letters = 0;
  for (uint32_t x = 50; x < 110; ++x) {
    for (uint32_t y = 40; y < 60; ++y)
      letters += canvas.at(x, y) == text_colour_on(colour);
  }
  EXPECT_GT(letters, 15u);
}

TEST(DrawDetections, KeepsLabelsOnThePicture) {
  Canvas canvas = grey(100, 60);
  const vaccel_detection items[] = {{0, 0.5F, "in the corner", -20, -20, 50, 50},
                                    {1, 0.25F, "", 95, 50, 30, 30}};
  ASSERT_TRUE(draw(detections_of(items, canvas), canvas).ok());
  EXPECT_EQ(canvas.at(0, 0), class_colour(0));
  EXPECT_EQ(canvas.at(99, 50 - 1), class_colour(1)) << "moved to the left until it fits";
}

TEST(DrawDetections, SurvivesNumbersThatAreNone) {
  Canvas canvas = grey(100, 60);
  const vaccel_detection items[] = {{-5, kNan, "x", kNan, 2, 3, 4},
                                    {1, 2, "y", 1e38F, -1e38F, 3e38F, 3e38F},
                                    {2, 2, "z", 5, 5, -10, std::numeric_limits<float>::infinity()}};
  EXPECT_TRUE(draw(detections_of(items, canvas), canvas).ok());
}

TEST(DrawDetections, IsForThePictureInWhichTheyWereFound) {
  Canvas canvas = grey(100, 60);
  vaccel_detections detections = detections_of({}, canvas);
  detections.image_width = 60;
  const Status status = draw(detections, canvas);
  EXPECT_EQ(status.code(), VACCEL_INTERNAL);
  EXPECT_EQ(status.message(), "what was found belongs to an image of 60 x 60 pixels; this one has 100 x 60");
}

TEST(DrawSegmentation, TintsAllButTheBackground) {
  constexpr uint32_t kSize = 200;
  for (const uint32_t element_bytes : {1u, 2u}) {
    Canvas canvas = grey(kSize, kSize);
    std::vector<uint8_t> bytes(kSize * kSize);
    std::vector<uint16_t> pairs(kSize * kSize);
    for (uint32_t y = 50; y < 100; ++y) {
      for (uint32_t x = 100; x < 150; ++x)
        pairs[y * kSize + x] = bytes[y * kSize + x] = 1;
    }
    const char* labels[] = {"Background", "cat"};
    vaccel_segmentation map{};
    map.width = map.height = kSize;
    map.classes = element_bytes == 1 ? static_cast<const void*>(bytes.data()) : pairs.data();
    map.element_bytes = element_bytes;
    map.label_count = 2;
    map.labels = labels;
    ASSERT_TRUE(draw(map, canvas).ok());
    EXPECT_EQ(canvas.at(50, 20), kGrey);
    EXPECT_EQ(canvas.at(120, 70), half(kGrey, class_colour(1), 0.5));
    EXPECT_EQ(canvas.at(100, 70), half(kGrey, class_colour(1), 0.95)) << "the edge";
    EXPECT_EQ(canvas.at(99, 70), kGrey);
    // The legend in the corner: a dark plate with the class's colour.
    EXPECT_EQ(canvas.at(6, kSize - 7), half(kGrey, kBlack, 0.7));
    bool has_swatch = false;
    for (uint32_t y = kSize - 20; y < kSize; ++y)
      has_swatch = has_swatch || canvas.at(14, y) == class_colour(1);
    EXPECT_TRUE(has_swatch);
  }
}

TEST(DrawSegmentation, OfBackgroundAloneIsThePicture) {
  Canvas canvas = grey(30, 30);
  const std::vector<uint8_t> classes(900, 0);
  const char* labels[] = {"background"};
  vaccel_segmentation map{};
  map.width = map.height = 30;
  map.classes = classes.data();
  map.element_bytes = 1;
  map.label_count = 1;
  map.labels = labels;
  ASSERT_TRUE(draw(map, canvas).ok());
  for (uint32_t x = 0; x < 30; ++x)
    EXPECT_EQ(canvas.at(x, 25), kGrey);
  map.width = 29;
  EXPECT_EQ(draw(map, canvas).code(), VACCEL_INTERNAL);
}

TEST(DrawPoses, ConnectsWhatBelongsTogether) {
  Canvas canvas = grey(200, 200);
  const vaccel_keypoint keypoints[] = {{50, 50, 0.9F, "left_shoulder"},  {150, 50, 0.9F, "rightShoulder"},
                                       {50, 150, 0.9F, "left elbow"},    {150, 150, 0.1F, "right_elbow"},
                                       {100, 180, 0.9F, "tail"},         {kNan, 10, 0.9F, "nose"},
                                       {-5000, 10, 0.9F, "right_wrist"}, {100, 100, kNan, "left_hip"}};
  const vaccel_pose_item item{0.7F, 0, std::size(keypoints), keypoints};
  vaccel_poses poses{};
  poses.count = 1;
  poses.items = &item;
  poses.image_width = poses.image_height = 200;
  ASSERT_TRUE(draw(poses, canvas).ok());
  const Colour left = canvas.at(50, 100);  // in the middle of the left upper arm
  const Colour across = canvas.at(100, 50);
  EXPECT_NE(left, kGrey);
  EXPECT_NE(across, kGrey);
  EXPECT_NE(left, across);
  EXPECT_EQ(canvas.at(50, 50), left) << "a joint has its side's colour";
  EXPECT_NE(canvas.at(150, 50), left);
  EXPECT_EQ(canvas.at(150, 100), kGrey) << "the other elbow was guessed";
  EXPECT_EQ(canvas.at(150, 150), kGrey);
  EXPECT_EQ(canvas.at(100, 180), across) << "unknown keypoints are dots";
  EXPECT_EQ(canvas.at(100, 100), kGrey);
  poses.image_height = 100;
  EXPECT_EQ(draw(poses, canvas).code(), VACCEL_INTERNAL);
}

vaccel_depth_map map_of(const std::vector<float>& depth, uint32_t width, uint32_t height, int kind) {
  vaccel_depth_map map{};
  map.width = width;
  map.height = height;
  map.depth = depth.data();
  map.kind = kind;
  return map;
}

TEST(DrawDepth, NearIsLightWhateverTheKind) {
  constexpr uint32_t kSize = 100;
  std::vector<float> depth(kSize * kSize, 2);
  for (size_t at = 0; at < 3000; ++at)
    depth[at] = 1;
  depth[3500] = 1.5F;
  depth[4000] = kNan;
  depth[4001] = 1e30F;  // wild
  for (const int kind : {VACCEL_DEPTH_METRIC, VACCEL_DEPTH_RELATIVE, VACCEL_DEPTH_INVERSE}) {
    Canvas canvas = grey(kSize, kSize);
    ASSERT_TRUE(draw(map_of(depth, kSize, kSize, kind), canvas).ok());
    const bool inverse = kind == VACCEL_DEPTH_INVERSE;
    EXPECT_EQ(canvas.at(50, 10), scale_colours()[inverse ? 0 : 255]);
    EXPECT_EQ(canvas.at(50, 50), scale_colours()[inverse ? 255 : 0]);
    EXPECT_EQ(canvas.at(0, 35), scale_colours()[128]);
    EXPECT_EQ(canvas.at(0, 40), kBlack);
    EXPECT_EQ(canvas.at(1, 40), scale_colours()[inverse ? 255 : 0]);
  }
}

TEST(DrawDepth, OfOneDepthOrOfNone) {
  Canvas canvas = grey(80, 80);
  ASSERT_TRUE(draw(map_of(std::vector<float>(6400, 3), 80, 80, VACCEL_DEPTH_METRIC), canvas).ok());
  EXPECT_EQ(canvas.at(40, 10), scale_colours()[128]);
  ASSERT_TRUE(draw(map_of(std::vector<float>(6400, kNan), 80, 80, VACCEL_DEPTH_METRIC), canvas).ok());
  EXPECT_EQ(canvas.at(40, 79), kBlack);
  EXPECT_EQ(draw(map_of({1}, 1, 1, VACCEL_DEPTH_METRIC), canvas).code(), VACCEL_INTERNAL);
}

}  // namespace
}  // namespace vaccel::tool
