// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/class_map.h"

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

ClassMapDecoder make(size_t classes) {
  return ClassMapDecoder({"map", classes});
}

template <typename Class>
std::vector<Class> decoded(std::vector<int64_t> shape, std::vector<float> values, size_t count) {
  TestOutputs outputs;
  outputs.add("map", std::move(shape), std::move(values));
  const ClassMapDecoder decoder = make(count);
  EXPECT_EQ(outputs.problem_for(decoder), "");
  const ChannelMap map = decoder.map(outputs.views());
  std::vector<Class> classes(map.width * map.height);
  const Status status = classes_of_map(map, count, classes.data());
  EXPECT_TRUE(status.ok()) << status.message();
  return classes;
}

TEST(ClassMap, NumbersAreTakenAsTheyAre) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{2, 3}, {1, 2, 3}, {2, 3, 1}}) {
    EXPECT_EQ(decoded<uint8_t>(shape, {0, 1, 2, 255, 4, 5}, 256), (std::vector<uint8_t>{0, 1, 2, 255, 4, 5}));
  }
  EXPECT_EQ(decoded<uint16_t>({1, 2}, {65535, 300}, 65536), (std::vector<uint16_t>{65535, 300}));
}

TEST(ClassMap, NumbersThatAreNoClassAreToldWithTheirPlace) {
  const auto problem = [](float number) {
    TestOutputs outputs;
    outputs.add("map", {2, 3}, {0, 1, 20, 0, number, 0});
    uint8_t classes[6];
    return classes_of_map(make(21).map(outputs.views()), 21, classes).message();
  };
  EXPECT_EQ(problem(20), "");
  EXPECT_EQ(problem(21), "row 1, column 1 has class 21, and there are 21 classes");
  EXPECT_EQ(problem(-1), "row 1, column 1 has class -1, and there are 21 classes");
  for (const float number : {kNan, kInfinity, -kInfinity, 1e30F})
    EXPECT_NE(problem(number), "");
}

// Each pixel against the place whose centre is the nearest, measured in pixels of the input; two as near are as good. Places
// that show nothing of the picture are none.
TEST(ClassMap, APixelHasTheClassOfTheNearestPlace) {
  constexpr size_t kWidth = 12;
  constexpr size_t kHeight = 9;
  TestOutputs outputs;
  std::vector<float> values(kWidth * kHeight);
  for (size_t place = 0; place < values.size(); ++place)
    values[place] = static_cast<float>(place);
  outputs.add("map", {kHeight, kWidth}, values);
  const ChannelMap map = make(values.size()).map(outputs.views());
  std::vector<uint8_t> own(values.size());
  ASSERT_TRUE(classes_of_map(map, values.size(), own.data()).ok());
  for (const ResizeMode resize : {ResizeMode::kStretch, ResizeMode::kCrop, ResizeMode::kLetterbox}) {
    for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{130, 70}, {60, 200}, {7, 5}}) {
      const ImageMapping mapping = map_image(width, height, image_input(4 * kWidth, 4 * kHeight, resize));
      std::vector<uint8_t> classes(size_t{width} * height);
      nearest_classes(map, own.data(), mapping, classes.data());
      // How far a pixel is from a place on one axis; a place beyond the picture is out of reach.
      const auto distance = [](double at, size_t place, size_t begin, size_t length) {
        const double centre = 4 * static_cast<double>(place) + 2;
        const bool shows =
            centre >= static_cast<double>(begin) && centre <= static_cast<double>(begin + length);
        return shows ? std::abs(at - centre) : 1e9;
      };
      for (uint32_t y = 0; y < height; ++y) {
        for (uint32_t x = 0; x < width; ++x) {
          const size_t got = classes[size_t{y} * width + x];
          const double at_x = mapping.input_x(x + 0.5);
          const double at_y = mapping.input_y(y + 0.5);
          for (size_t place = 0; place < kWidth; ++place) {
            ASSERT_LE(distance(at_x, got % kWidth, mapping.left, mapping.width),
                      distance(at_x, place, mapping.left, mapping.width) + 1e-5)
                << x << ", " << y;
          }
          for (size_t place = 0; place < kHeight; ++place) {
            ASSERT_LE(distance(at_y, got / kWidth, mapping.top, mapping.height),
                      distance(at_y, place, mapping.top, mapping.height) + 1e-5)
                << x << ", " << y;
          }
        }
      }
    }
  }
}

TEST(ClassMap, OutputsThatDoNotFitAreTold) {
  EXPECT_EQ(problem_of(make(0), {{257, 257}}, {"labels.txt", 21}), "");
  EXPECT_EQ(problem_of(make(21), {{1, -1, -1}}, {"labels.txt", 21}), "");
  EXPECT_EQ(problem_of(make(20), {{257, 257}}, {"labels.txt", 21}),
            "labels.txt has 21 labels, and 'classes' of [segment] is 20");
  EXPECT_EQ(problem_of(make(21), {{21, 257, 257}}),
            "its output 'a' [21, 257, 257] holds no classes: they must be [height, width]");
  EXPECT_EQ(problem_of(make(0), {{257, 257}}, {"labels.txt", 0}),
            "labels.txt has 0 labels; 1 to 65536 are supported");
  EXPECT_EQ(problem_of(make(0), {{257, 257}}, {"labels.txt", 65537}),
            "labels.txt has 65537 labels; 1 to 65536 are supported");
  EXPECT_EQ(problem_of(make(21), {{0, 257}}), "its output 'a' [0, 257] is empty");
}

}  // namespace
}  // namespace vaccel::runtime
