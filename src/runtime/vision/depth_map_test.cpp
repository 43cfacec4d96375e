// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/depth_map.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/vision/decoder_testing.h"

namespace vaccel::runtime {
namespace {

using testing::image_input;
using testing::kInfinity;
using testing::problem_of;
using testing::TestOutputs;

DepthDecoder make() {
  return DepthDecoder({"depth", DepthKind::kMetric});
}

std::vector<float> depth_of(const TestOutputs& outputs, const ImageMapping& mapping) {
  const DepthDecoder decoder = make();
  EXPECT_EQ(outputs.problem_for(decoder), "");
  std::vector<float> depth(size_t{mapping.image_width} * mapping.image_height, -1);
  depth_of_image(decoder.map(outputs.views()), mapping, depth.data());
  return depth;
}

// A plane is what bilinear resizing keeps exactly: depth = 1 + 2u + 3v, u and v in parts of the input.
std::vector<float> plane(size_t width, size_t height) {
  std::vector<float> values;
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width; ++x) {
      values.push_back(1 + 2 * (static_cast<float>(x) + 0.5F) / static_cast<float>(width) +
                       3 * (static_cast<float>(y) + 0.5F) / static_cast<float>(height));
    }
  }
  return values;
}

void expect_plane(ResizeMode resize, uint32_t width, uint32_t height) {
  TestOutputs outputs;
  outputs.add("depth", {1, 16, 16}, plane(16, 16));
  const ImageMapping mapping = map_image(width, height, image_input(64, 64, resize));
  const auto depth = depth_of(outputs, mapping);
  size_t compared = 0;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      const double u = mapping.input_x(x + 0.5) / 64;
      const double v = mapping.input_y(y + 0.5) / 64;
      // At the edges the nearest place stands for what is beyond it; so it does where a crop left pixels out.
      const auto inner = [](double at, size_t begin, size_t length) {
        return at >= static_cast<double>(begin) / 64 + 0.05 &&
               at <= static_cast<double>(begin + length) / 64 - 0.05;
      };
      const float got = depth[size_t{y} * width + x];
      ASSERT_TRUE(std::isfinite(got));
      if (!inner(u, mapping.left, mapping.width) || !inner(v, mapping.top, mapping.height)) continue;
      ASSERT_NEAR(got, 1 + 2 * u + 3 * v, 1e-5) << x << ", " << y;
      ++compared;
    }
  }
  EXPECT_GT(compared, size_t{width} * height / 4);
}

TEST(DepthOfImage, IsAPlaneWhereTheMapIsOne) {
  expect_plane(ResizeMode::kStretch, 100, 60);
  expect_plane(ResizeMode::kStretch, 9, 130);
  expect_plane(ResizeMode::kLetterbox, 100, 60);
  expect_plane(ResizeMode::kLetterbox, 60, 100);
  expect_plane(ResizeMode::kCrop, 100, 60);
  expect_plane(ResizeMode::kCrop, 60, 100);
}

TEST(DepthOfImage, WhatACropLeftOutIsAsFarAsTheNearestThatWasSeen) {
  TestOutputs outputs;
  outputs.add("depth", {2, 2}, {1, 2, 1, 2});
  const auto depth = depth_of(outputs, map_image(8, 2, image_input(2, 2, ResizeMode::kCrop)));
  EXPECT_EQ(depth, (std::vector<float>{1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2}));
}

TEST(DepthOfImage, OfOneSizeItIsTheMapItself) {
  TestOutputs outputs;
  outputs.add("depth", {2, 3, 1}, {1, 2, kInfinity, 4, 5, 6});
  EXPECT_EQ(depth_of(outputs, map_image(3, 2, image_input(3, 2))),
            (std::vector<float>{1, 2, kInfinity, 4, 5, 6}));
}

TEST(DepthOfImage, OnePlaceFillsThePicture) {
  TestOutputs outputs;
  outputs.add("depth", {1, 1, 1}, {7});
  EXPECT_EQ(depth_of(outputs, map_image(3, 2, image_input(5, 5))), std::vector<float>(6, 7));
}

TEST(Depth, OutputsThatDoNotFitAreToldWithWhatWasSeen) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{224, 200}, {1, 224, 200}, {224, 200, 1}, {-1, -1}, {-1, -1, -1}}) {
    EXPECT_EQ(problem_of(make(), {shape}), "");
  }
  EXPECT_EQ(problem_of(make(), {{3, 224, 200}}),
            "its output 'a' [3, 224, 200] holds no depths: they must be [height, width]");
  EXPECT_EQ(problem_of(make(), {{224}}),
            "its output 'a' [224] holds no depths: they must be [height, width]");
  EXPECT_EQ(problem_of(make(), {{224, 0}}), "its output 'a' [224, 0] is empty");
}

}  // namespace
}  // namespace vaccel::runtime
