// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/segmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "runtime/vision/decoder_testing.h"

namespace vaccel::runtime {
namespace {

using testing::image_input;
using testing::kInfinity;
using testing::kNan;
using testing::problem_of;
using testing::TestOutputs;

SegmentDecoder make(Layout layout) {
  return SegmentDecoder({"scores", layout});
}

// The scores of a place of the input, between the places of the map, one axis after the other and in doubles. `low` and
// `high` are the first and last places that show some of the picture.
double score_at(const ChannelMap& map, double x, double y, size_t channel) {
  const auto clamp = [](double value, size_t size) {
    return std::clamp(value, 0.0, static_cast<double>(size - 1));
  };
  x = clamp(x, map.width);
  y = clamp(y, map.height);
  const auto left = static_cast<size_t>(x);
  const auto top = static_cast<size_t>(y);
  const size_t right = std::min(left + 1, map.width - 1);
  const size_t bottom = std::min(top + 1, map.height - 1);
  const double across = x - static_cast<double>(left);
  const double upper = map.at(top, left, channel) * (1 - across) + map.at(top, right, channel) * across;
  const double lower = map.at(bottom, left, channel) * (1 - across) + map.at(bottom, right, channel) * across;
  return upper + (lower - upper) * (y - static_cast<double>(top));
}

struct Case {
  Layout layout;
  ResizeMode resize;
  uint32_t image_width;
  uint32_t image_height;
};

class ClassesOfImage : public ::testing::TestWithParam<Case> {};

// Against resizing every score and comparing all of them, for each pixel. Maps are coarse (a place is 4 pixels of the
// input), so that most pixels lie between several classes.
TEST_P(ClassesOfImage, AreThoseOfTheResizedScores) {
  const Case& given = GetParam();
  constexpr size_t kWidth = 12;
  constexpr size_t kHeight = 9;
  constexpr size_t kClasses = 5;
  TestOutputs outputs;
  outputs.add("scores",
              given.layout == Layout::kNhwc ? std::vector<int64_t>{kHeight, kWidth, kClasses}
                                            : std::vector<int64_t>{kClasses, kHeight, kWidth},
              testing::random_values(kWidth * kHeight * kClasses, 11));
  const SegmentDecoder decoder = make(given.layout);
  ASSERT_EQ(outputs.problem_for(decoder), "");
  const ChannelMap scores = decoder.scores(outputs.views());
  ASSERT_EQ(scores.width, kWidth);
  ASSERT_EQ(scores.height, kHeight);
  ASSERT_EQ(scores.channels, kClasses);
  std::vector<uint8_t> own(kWidth * kHeight);
  classes_of_model(scores, own.data());
  const ImageMapping mapping =
      map_image(given.image_width, given.image_height, image_input(4 * kWidth, 4 * kHeight, given.resize));
  std::vector<uint8_t> classes(size_t{given.image_width} * given.image_height);
  classes_of_image(scores, own.data(), mapping, classes.data());
  std::set<uint8_t> seen;
  for (uint32_t y = 0; y < given.image_height; ++y) {
    for (uint32_t x = 0; x < given.image_width; ++x) {
      // Where the picture has no part in a place, that place shows black; the places at its edge still do.
      const auto within = [](double at, size_t begin, size_t length, size_t places) {
        const double low = std::ceil(static_cast<double>(begin) / 4 - 0.5);
        const double high = std::floor(static_cast<double>(begin + length) / 4 - 0.5);
        return std::clamp(at, std::max(low, 0.0), std::min(high, static_cast<double>(places - 1)));
      };
      const double at_x = within(mapping.input_x(x + 0.5) / 4 - 0.5, mapping.left, mapping.width, kWidth);
      const double at_y = within(mapping.input_y(y + 0.5) / 4 - 0.5, mapping.top, mapping.height, kHeight);
      const uint8_t got = classes[size_t{y} * given.image_width + x];
      ASSERT_LT(got, kClasses);
      seen.insert(got);
      for (size_t other = 0; other < kClasses; ++other) {
        ASSERT_GE(score_at(scores, at_x, at_y, got), score_at(scores, at_x, at_y, other) - 1e-5)
            << "pixel " << x << ", " << y << ": class " << int{got} << ", and " << other << " scores more";
      }
    }
  }
  EXPECT_EQ(seen.size(), kClasses);
}

INSTANTIATE_TEST_SUITE_P(Layouts, ClassesOfImage,
                         ::testing::Values(Case{Layout::kNhwc, ResizeMode::kStretch, 130, 70},
                                           Case{Layout::kNchw, ResizeMode::kStretch, 131, 71},
                                           Case{Layout::kNhwc, ResizeMode::kStretch, 11, 7},
                                           Case{Layout::kNchw, ResizeMode::kCrop, 200, 60},
                                           Case{Layout::kNhwc, ResizeMode::kCrop, 60, 200},
                                           Case{Layout::kNhwc, ResizeMode::kLetterbox, 200, 60},
                                           Case{Layout::kNchw, ResizeMode::kLetterbox, 60, 200}));

template <typename Class>
std::vector<Class> model_classes(std::vector<int64_t> shape, std::vector<float> values) {
  TestOutputs outputs;
  outputs.add("scores", std::move(shape), std::move(values));
  const SegmentDecoder decoder = make(Layout::kNhwc);
  EXPECT_EQ(outputs.problem_for(decoder), "");
  const ChannelMap scores = decoder.scores(outputs.views());
  std::vector<Class> classes(scores.width * scores.height);
  classes_of_model(scores, classes.data());
  return classes;
}

TEST(ClassesOfModel, TheFirstOfEqualOnesCountsAndNoNumberNever) {
  EXPECT_EQ(model_classes<uint8_t>({1, 4, 3}, {1, 1, 1, 0, 2, 2, kNan, -5, -6, kNan, kNan, kNan}),
            (std::vector<uint8_t>{0, 1, 1, 0}));
  EXPECT_EQ(model_classes<uint8_t>({1, 2, 3}, {0, kInfinity, 5, -kInfinity, -kInfinity, -1}),
            (std::vector<uint8_t>{1, 2}));
}

TEST(ClassesOfModel, MoreThan256NeedSixteenBits) {
  std::vector<float> values(300, 0);
  values[299] = 1;
  EXPECT_EQ(model_classes<uint16_t>({1, 1, 300}, values), std::vector<uint16_t>{299});
}

TEST(ClassesOfImage, OnePlaceFillsThePicture) {
  TestOutputs outputs;
  outputs.add("scores", {1, 1, 2}, {0, 1});
  const ChannelMap scores = make(Layout::kNhwc).scores(outputs.views());
  const uint8_t own = 1;
  std::vector<uint8_t> classes(6 * 4, 9);
  classes_of_image(scores, &own, map_image(6, 4, image_input(32, 32, ResizeMode::kLetterbox)),
                   classes.data());
  EXPECT_EQ(classes, std::vector<uint8_t>(6 * 4, 1));
}

// A letterbox's bars are black, and what they show must not reach the picture.
TEST(ClassesOfImage, ALetterboxsBarsAreNotSeen) {
  TestOutputs outputs;
  std::vector<float> values;
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x)
      values.insert(values.end(), {y < 2 || y >= 6 ? 5.0F : 0.0F, 1.0F});
  }
  outputs.add("scores", {8, 8, 2}, values);
  const ChannelMap scores = make(Layout::kNhwc).scores(outputs.views());
  std::vector<uint8_t> own(64);
  classes_of_model(scores, own.data());
  std::vector<uint8_t> classes(40 * 20);
  classes_of_image(scores, own.data(), map_image(40, 20, image_input(32, 32, ResizeMode::kLetterbox)),
                   classes.data());
  EXPECT_EQ(classes, std::vector<uint8_t>(40 * 20, 1));
}

TEST(Segment, OutputsThatDoNotFitAreToldWithWhatWasSeen) {
  EXPECT_EQ(problem_of(make(Layout::kNhwc), {{257, 257, 21}}, {"labels.txt", 21}), "");
  EXPECT_EQ(problem_of(make(Layout::kNchw), {{21, -1, -1}}, {"labels.txt", 21}), "");
  EXPECT_EQ(problem_of(make(Layout::kNhwc), {{257, 257, -1}}, {"labels.txt", 21}), "");
  EXPECT_EQ(problem_of(make(Layout::kNchw), {{257, 257, 21}}, {"labels.txt", 21}),
            "labels.txt has 21 labels, and its output 'a' has 257 classes");
  EXPECT_EQ(problem_of(make(Layout::kNhwc), {{257, 257}}),
            "its output 'a' [257, 257] holds no scores of a map: they must be [height, width, classes]");
  EXPECT_EQ(problem_of(make(Layout::kNhwc), {{0, 257, 21}}), "its output 'a' [0, 257, 21] is empty");
  EXPECT_EQ(problem_of(make(Layout::kNhwc), {{2, 2, 65537}}),
            "its output 'a' [2, 2, 65537] has 65537 classes as [height, width, classes]; at most 65536 are "
            "supported");
}

}  // namespace
}  // namespace vaccel::runtime
