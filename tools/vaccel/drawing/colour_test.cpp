// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/colour.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace vaccel::tool {
namespace {

double distance(const Lab& one, const Lab& other) {
  return std::hypot(one.lightness - other.lightness, one.a - other.a, one.b - other.b);
}

// As OKLab's author gives them, to three digits.
TEST(Lab, IsThatOfKnownColours) {
  EXPECT_NEAR(lab_of(kBlack).lightness, 0, 1e-6);
  EXPECT_NEAR(lab_of(kWhite).lightness, 1, 1e-3);
  EXPECT_NEAR(lab_of(kWhite).a, 0, 1e-3);
  const Lab red = lab_of({255, 0, 0});
  EXPECT_NEAR(red.lightness, 0.628, 1e-3);
  EXPECT_NEAR(red.a, 0.225, 1e-3);
  EXPECT_NEAR(red.b, 0.126, 1e-3);
}

TEST(Lab, GoesThereAndBack) {
  for (int red = 0; red < 256; red += 51) {
    for (int green = 0; green < 256; green += 51) {
      for (int blue = 0; blue < 256; blue += 51) {
        const Colour colour{static_cast<uint8_t>(red), static_cast<uint8_t>(green),
                            static_cast<uint8_t>(blue)};
        const Colour back = colour_of(lab_of(colour));
        EXPECT_NEAR(back.red, red, 4) << red << " " << green << " " << blue;
        EXPECT_NEAR(back.green, green, 4);
        EXPECT_NEAR(back.blue, blue, 4);
      }
    }
  }
}

TEST(Lab, WhatCannotBeShownKeepsItsLightness) {
  const Lab wild{0.6, 0.4, -0.4};
  EXPECT_NEAR(lab_of(colour_of(wild)).lightness, 0.6, 0.01);
  EXPECT_EQ(colour_of({1.5, 0, 0}), kWhite);
  EXPECT_EQ(colour_of({-1, 0.1, 0}), kBlack);
}

TEST(Scale, LooksEven) {
  const auto& colours = scale_colours();
  std::vector<double> steps;
  constexpr size_t kStride = 15;  // 17 stretches: single steps are rounded to 8 bits
  for (size_t index = 0; index + kStride < colours.size(); index += kStride) {
    EXPECT_GT(lab_of(colours[index + kStride]).lightness, lab_of(colours[index]).lightness + 0.03) << index;
    steps.push_back(distance(lab_of(colours[index]), lab_of(colours[index + kStride])));
  }
  const auto [least, most] = std::minmax_element(steps.begin(), steps.end());
  EXPECT_LT(*most / *least, 1.35);
  EXPECT_LT(lab_of(colours.front()).lightness, 0.25);
  EXPECT_GT(lab_of(colours.back()).lightness, 0.9);
}

TEST(ClassColours, AreToldApart) {
  for (size_t one = 0; one < 24; ++one) {
    for (size_t other = 0; other < one; ++other)
      EXPECT_GT(distance(lab_of(class_colour(one)), lab_of(class_colour(other))), 0.03)
          << one << " " << other;
    if (one > 0) {
      EXPECT_GT(distance(lab_of(class_colour(one)), lab_of(class_colour(one - 1))), 0.15) << one;
    }
  }
  EXPECT_EQ(class_colour(7), class_colour(7));
}

TEST(TextColour, IsReadOnIt) {
  EXPECT_EQ(text_colour_on(kBlack), kWhite);
  EXPECT_EQ(text_colour_on(kWhite), kBlack);
  for (size_t index = 0; index < 100; ++index) {
    const Colour colour = class_colour(index);
    EXPECT_GT(std::fabs(lab_of(colour).lightness - lab_of(text_colour_on(colour)).lightness), 0.35) << index;
  }
}

}  // namespace
}  // namespace vaccel::tool
