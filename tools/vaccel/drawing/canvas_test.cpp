// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/canvas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace vaccel::tool {
namespace {

constexpr Colour kRed{200, 0, 0};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// How many pixels are not black.
size_t touched(const Canvas& canvas) {
  size_t count = 0;
  for (uint32_t y = 0; y < canvas.height(); ++y) {
    for (uint32_t x = 0; x < canvas.width(); ++x)
      count += canvas.at(x, y) != kBlack;
  }
  return count;
}

TEST(Canvas, BeginsBlackAndKeepsPixels) {
  Canvas canvas(4, 3);
  EXPECT_EQ(canvas.pixels().size(), 36u);
  EXPECT_EQ(touched(canvas), 0u);
  canvas.set(3, 2, kRed);
  EXPECT_EQ(canvas.at(3, 2), kRed);
  EXPECT_EQ(canvas.pixels()[33], 200);
  EXPECT_EQ(touched(canvas), 1u);
  const Canvas given(1, 2, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(given.at(0, 1), (Colour{4, 5, 6}));
}

TEST(Canvas, BlendsByOpacity) {
  Canvas canvas(1, 1);
  canvas.blend(0, 0, {100, 200, 0}, 0.5);
  EXPECT_EQ(canvas.at(0, 0), (Colour{50, 100, 0}));
  canvas.blend(0, 0, kWhite, 0);
  EXPECT_EQ(canvas.at(0, 0), (Colour{50, 100, 0}));
  canvas.blend(0, 0, kWhite, 1);
  EXPECT_EQ(canvas.at(0, 0), kWhite);
}

TEST(Canvas, FillsThePixelsWhoseCentresAreInTheBox) {
  Canvas canvas(10, 10);
  canvas.fill({2, 3, 4, 2}, kRed);
  EXPECT_EQ(touched(canvas), 8u);
  EXPECT_EQ(canvas.at(2, 3), kRed);
  EXPECT_EQ(canvas.at(5, 4), kRed);
  EXPECT_EQ(canvas.at(6, 4), kBlack);
  Canvas between(10, 10);
  between.fill({2.4, 2.6, 1, 1}, kRed);  // the centre 2.5 is in across, 3.5 is in down
  EXPECT_EQ(touched(between), 1u);
  EXPECT_EQ(between.at(2, 3), kRed);
}

TEST(Canvas, OutlinesABox) {
  Canvas canvas(20, 20);
  canvas.outline({5, 5, 10, 10}, kRed, 2);
  EXPECT_EQ(canvas.at(4, 4), kRed);
  EXPECT_EQ(canvas.at(5, 5), kRed);
  EXPECT_EQ(canvas.at(15, 15), kRed);
  EXPECT_EQ(canvas.at(10, 5), kRed);
  EXPECT_EQ(canvas.at(15, 10), kRed);
  EXPECT_EQ(canvas.at(10, 10), kBlack);
  EXPECT_EQ(canvas.at(3, 10), kBlack);
  EXPECT_EQ(canvas.at(16, 16), kBlack);
  EXPECT_EQ(touched(canvas), 12u * 12 - 8 * 8);
}

TEST(Canvas, DrawsLinesWithRoundEnds) {
  Canvas canvas(20, 20);
  const Point points[] = {{5, 10}, {15, 10}};
  canvas.line(points, kWhite, 4);
  for (uint32_t x = 5; x < 15; ++x) {
    EXPECT_EQ(canvas.at(x, 9), kWhite);
    EXPECT_EQ(canvas.at(x, 10), kWhite);
    EXPECT_EQ(canvas.at(x, 12), kBlack);
    EXPECT_EQ(canvas.at(x, 7), kBlack);
  }
  EXPECT_EQ(canvas.at(4, 9), kWhite) << "the round end";
  EXPECT_EQ(canvas.at(1, 9), kBlack);
  EXPECT_NE(canvas.at(3, 8), kWhite) << "a corner of a square end";
}

TEST(Canvas, DrawsDotsOfTheirArea) {
  Canvas canvas(60, 60);
  canvas.dot({30, 30}, 20, kWhite);
  double area = 0;
  for (uint32_t y = 0; y < 60; ++y) {
    for (uint32_t x = 0; x < 60; ++x)
      area += canvas.at(x, y).red / 255.0;
  }
  EXPECT_NEAR(area, 3.14159 * 400, 8);
  EXPECT_EQ(canvas.at(30, 30), kWhite);
  EXPECT_EQ(canvas.at(45, 45), kBlack);
}

TEST(Canvas, LinesThatCrossThemselvesAreDrawnOnce) {
  Canvas canvas(20, 20);
  const Point points[] = {{2, 10}, {18, 10}, {2, 10}, {18, 10}};
  canvas.line(points, kWhite, 4, 0.5);
  EXPECT_EQ(canvas.at(10, 10).red, 128);
}

TEST(Canvas, WhatLiesOutsideIsLeftOut) {
  Canvas canvas(10, 10);
  canvas.fill({-5, -5, 7, 7}, kRed);
  EXPECT_EQ(touched(canvas), 4u);
  canvas.fill({-1e300, 9, 2e300, 1e300}, kRed);
  EXPECT_EQ(touched(canvas), 14u);
  canvas.fill({20, 20, 5, 5}, kWhite);
  canvas.fill({5, 5, -3, -3}, kWhite);
  const Point far[] = {{-1000, -500}, {-20, -3}};
  canvas.line(far, kWhite, 3);
  canvas.dot({1e9, 5}, 3, kWhite);
  canvas.text({-1000, 5}, "gone", 8, kWhite);
  canvas.text({5, 1e12}, "gone", 8, kWhite);
  EXPECT_EQ(touched(canvas), 14u);
  const Point across[] = {{-1e6, 5.5}, {1e6, 5.5}};
  canvas.line(across, kWhite, 1);
  EXPECT_EQ(canvas.at(0, 5), kWhite);
  EXPECT_EQ(canvas.at(9, 5), kWhite);
}

TEST(Canvas, NumbersThatAreNoneDrawNothing) {
  Canvas canvas(10, 10);
  for (const double bad : {kNan, kInfinity, -kInfinity}) {
    canvas.fill({bad, 1, 3, 3}, kWhite);
    canvas.fill({1, 1, bad, 3}, kWhite);
    canvas.outline({1, bad, 3, 3}, kWhite, 2);
    const Point points[] = {{1, 1}, {bad, 5}};
    canvas.line(points, kWhite, 2);
    canvas.dot({5, bad}, 2, kWhite);
    canvas.text({bad, 2}, "x", 8, kWhite);
  }
  canvas.line({}, kWhite, 2);
  EXPECT_EQ(touched(canvas), 0u);
}

TEST(Canvas, WritesText) {
  Canvas canvas(60, 30);
  canvas.text({5, 5}, "I", 16, kWhite);
  // One stroke of 16 / 6.5 = 2.5 pixels down from (5, 5) to (5, 21).
  for (uint32_t y = 5; y < 21; ++y) {
    EXPECT_EQ(canvas.at(4, y), kWhite) << y;
    EXPECT_EQ(canvas.at(5, y), kWhite) << y;
    EXPECT_EQ(canvas.at(7, y), kBlack) << y;
  }
  EXPECT_EQ(canvas.at(5, 23), kBlack);
  Canvas nothing(60, 30);
  nothing.text({5, 5}, "", 16, kWhite);
  nothing.text({5, 5}, "   ", 16, kWhite);
  EXPECT_EQ(touched(nothing), 0u);
}

TEST(Canvas, TextIsAsWideAsItIsSaidToBe) {
  for (const char* text : {"person 0.65", "W", "jumping", "100%", ".", "\xE7\x8C\xAB"}) {
    Canvas canvas(300, 60);
    canvas.text({10, 10}, text, 16, kWhite);
    uint32_t right = 0;
    for (uint32_t y = 0; y < canvas.height(); ++y) {
      for (uint32_t x = 0; x < canvas.width(); ++x) {
        if (canvas.at(x, y) != kBlack) right = std::max(right, x);
      }
    }
    EXPECT_NEAR(right, 10 + text_width(text, 16) + 1, 2) << text;
  }
}

}  // namespace
}  // namespace vaccel::tool
