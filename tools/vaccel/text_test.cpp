// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/text.h"

#include <gtest/gtest.h>

namespace vaccel::tool {
namespace {

TEST(SafeText, LeavesTextAlone) {
  EXPECT_EQ(safe_text(""), "");
  EXPECT_EQ(safe_text("Egyptian cat"), "Egyptian cat");
  EXPECT_EQ(safe_text("caf\u00E9 \u732B \U0001F408"), "caf\u00E9 \u732B \U0001F408");
}

TEST(SafeText, ReplacesWhatATerminalObeys) {
  EXPECT_EQ(safe_text("\x1B[2Jcat"), "\uFFFD[2Jcat");
  EXPECT_EQ(safe_text("a\r\nb\tc\x7F"), "a\uFFFD\uFFFDb\uFFFDc\uFFFD");
  EXPECT_EQ(safe_text("\xC2\x9B"
                      "31m"),
            "\uFFFD31m")
      << "C1 control sequence introducer";
  EXPECT_EQ(safe_text("\u202Egpj.exe"), "\uFFFDgpj.exe") << "right-to-left override";
  EXPECT_EQ(safe_text(std::string_view("a\0b", 3)), "a\uFFFDb");
}

TEST(SafeText, ReplacesBytesThatAreNoUtf8) {
  EXPECT_EQ(safe_text("\xFF"), "\uFFFD");
  EXPECT_EQ(safe_text("\xC0\xAF"), "\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(safe_text("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "surrogate";
  EXPECT_EQ(safe_text("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "beyond U+10FFFF";
  EXPECT_EQ(safe_text("cut \xE7\x8C"), "cut \uFFFD\uFFFD");
}

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(display_width("cat"), 3u);
  EXPECT_EQ(display_width("caf\u00E9"), 4u);
  EXPECT_EQ(display_width("cafe\u0301"), 4u) << "combining accent";
  EXPECT_EQ(display_width("\u732B"), 2u);
  EXPECT_EQ(display_width(safe_text("\x1B[2J\xFF")), 5u);
}

TEST(SizeText, UsesBinaryUnits) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1024), "1 KiB");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text((1ull << 20) - 1), "1 MiB");
  EXPECT_EQ(size_text(256ull << 20), "256 MiB");
  EXPECT_EQ(size_text(~0ull), "16 EiB");
}

}  // namespace
}  // namespace vaccel::tool
