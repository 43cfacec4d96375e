// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/font.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace vaccel::tool {
namespace {

// The pen's lines as text, to compare.
std::string lines_of(std::string_view text) {
  std::string lines;
  for (const auto& line : strokes(text)) {
    for (const Point& point : line)
      lines += std::to_string(point.x) + "," + std::to_string(point.y) + " ";
    lines += "|";
  }
  return lines;
}

TEST(Font, HasEveryPrintableCharacterAndNoTwoAlike) {
  std::set<std::string> seen;
  for (char character = '!'; character <= '~'; ++character) {
    const std::string text(1, character);
    EXPECT_NE(lines_of(text), "") << text;
    EXPECT_TRUE(seen.insert(lines_of(text)).second) << text;
  }
  EXPECT_EQ(seen.size(), 94u);
  EXPECT_FALSE(seen.contains(lines_of("\x01"))) << "the box";
}

TEST(Font, StaysBetweenItsLines) {
  for (char character = ' '; character <= '~'; ++character) {
    const std::string text(1, character);
    for (const auto& line : strokes(text)) {
      ASSERT_FALSE(line.empty()) << text;
      for (const Point& point : line) {
        EXPECT_GE(point.x, 0) << text;
        EXPECT_LE(point.x, stroke_width(text)) << text;
        EXPECT_GE(point.y, 0) << text;
        EXPECT_LE(point.y, kCapitalHeight + kDescent) << text;
      }
    }
  }
}

TEST(Font, PutsLettersBesideEachOther) {
  const auto one = strokes("L");
  const auto two = strokes("LL");
  ASSERT_EQ(two.size(), 2 * one.size());
  EXPECT_GT(two[1][0].x, stroke_width("L") + 1);
  EXPECT_DOUBLE_EQ(stroke_width("LL"), two[1][0].x + stroke_width("L"));
  EXPECT_GT(stroke_width("L L"), stroke_width("LL") + 1);
  EXPECT_DOUBLE_EQ(stroke_width(""), 0);
}

TEST(Font, WhatItLacksIsABox) {
  const std::string box = lines_of("\x7f");
  EXPECT_EQ(lines_of("\xC3\xA9"), box) << "two bytes are one character";
  EXPECT_EQ(lines_of("\xE7\x8C\xAB"), box);
  EXPECT_EQ(lines_of("\xFF"), box) << "no UTF-8";
  EXPECT_EQ(lines_of("\n"), box);
  EXPECT_EQ(strokes("a\xC3\xA9z").size(), strokes("a").size() + 1 + strokes("z").size());
}

}  // namespace
}  // namespace vaccel::tool
