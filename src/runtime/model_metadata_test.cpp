// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_metadata.h"

#include <gtest/gtest.h>

namespace vaccel::runtime {
namespace {

std::string value_of(const std::string& value) {
  const vaccel_metadata pair{"key", value.c_str()};
  const auto kept = limited({&pair, 1});
  return kept.empty() ? "left out" : kept[0].value;
}

TEST(ModelMetadata, KeepsWhatIsReadable) {
  EXPECT_EQ(value_of("pytorch"), "pytorch");
  EXPECT_EQ(value_of(""), "");
  EXPECT_EQ(value_of("two\nlines"), "two\nlines");
  for (const char* text :
       {"\xc2\xa9", "\xe2\x82\xac", "\xef\xbf\xbf", "\xed\x9f\xbf", "\xf0\x9f\x90\x88", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(value_of(text), text);
}

TEST(ModelMetadata, LeavesOutWhatIsNoUtf8) {
  for (const char* text :
       {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "cut \xe2\x82", "cut \xf0\x9f\x90", "\xc2"})
    EXPECT_EQ(value_of(text), "left out") << text;
  const vaccel_metadata pairs[] = {{nullptr, "v"}, {"k", nullptr}, {"", "v"}, {"\xff", "v"}, {"good", "v"}};
  const auto kept = limited(pairs);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].key, "good");
}

TEST(ModelMetadata, CutsBetweenCharacters) {
  EXPECT_EQ(value_of(std::string(2048, 'x')), std::string(2048, 'x'));
  EXPECT_EQ(value_of(std::string(2049, 'x')), std::string(2048, 'x') + "...");
  EXPECT_EQ(value_of(std::string(2047, 'x') + "\xe2\x82\xac and more"), std::string(2047, 'x') + "...");
}

TEST(ModelMetadata, HasLimits) {
  const std::vector<vaccel_metadata> many(1000, {"key", "value"});
  EXPECT_EQ(limited(many).size(), 64u);
  const std::string large(2000, 'x');
  std::vector<vaccel_metadata> heavy(10, {"key", large.c_str()});
  heavy.push_back({"small", "fits yet"});
  const auto kept = limited(heavy);
  ASSERT_EQ(kept.size(), 5u);
  EXPECT_EQ(kept[4].key, "small");
}

}  // namespace
}  // namespace vaccel::runtime
