// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/duration.h"

#include <gtest/gtest.h>

namespace vaccel::tool {
namespace {

using std::chrono::microseconds;

TEST(ParseDuration, ReadsNumbersWithUnits) {
  EXPECT_EQ(parse_duration("250ms").value(), microseconds{250'000});
  EXPECT_EQ(parse_duration("2s").value(), microseconds{2'000'000});
  EXPECT_EQ(parse_duration("1.5s").value(), microseconds{1'500'000});
  EXPECT_EQ(parse_duration("30us").value(), microseconds{30});
  EXPECT_EQ(parse_duration("1m").value(), microseconds{60'000'000});
  EXPECT_EQ(parse_duration("1440m").value(), microseconds{86'400'000'000});
}

TEST(ParseDuration, ReadsZeroWithAndWithoutUnit) {
  EXPECT_EQ(parse_duration("0").value(), microseconds{0});
  EXPECT_EQ(parse_duration("0ms").value(), microseconds{0});
}

TEST(ParseDuration, RefusesTheRest) {
  for (const char* text : {"", "s", "5", "1 s", "-1s", "1h", "1e3s", "nan", "inf", "infs", "2s2s", "1441m",
                           "0.1us", "99999999999999999999999s", "0x10ms", "\x1B[2Js"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), VACCEL_INVALID_ARGUMENT) << text;
    EXPECT_EQ(parsed.error().message().find('\x1B'), std::string::npos);
  }
}

}  // namespace
}  // namespace vaccel::tool
