// SPDX-License-Identifier: Apache-2.0
#include "core/status.h"

#include <gtest/gtest.h>

namespace vaccel {
namespace {

TEST(Status, OkIsOnePointerAndSaysNothing) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), VACCEL_OK);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(sizeof status, sizeof(void*));
}

TEST(Status, FailureKeepsCodeAndSentenceThroughCopies) {
  Status status = failure(VACCEL_NOT_FOUND, "no model '%s' among %d", "x", 3);
  const Status copy = status;
  status = Status{};
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(copy.code(), VACCEL_NOT_FOUND);
  EXPECT_EQ(copy.message(), "no model 'x' among 3");
  EXPECT_EQ(copy.within("opening").message(), "opening: no model 'x' among 3");
}

TEST(Status, LongSentencesAreWhole) {
  const std::string name(2000, 'n');
  EXPECT_EQ(failure(VACCEL_INTERNAL, "<%s>", name.c_str()).message(), "<" + name + ">");
}

TEST(Status, EveryPublicCodeHasAName) {
  for (int code = VACCEL_OK; code <= VACCEL_INTERNAL; ++code) {
    EXPECT_TRUE(is_known_status(code));
    EXPECT_STRNE(status_name(code), "UNKNOWN");
  }
  EXPECT_FALSE(is_known_status(-1));
  EXPECT_FALSE(is_known_status(VACCEL_INTERNAL + 1));
  EXPECT_STREQ(status_name(99), "UNKNOWN");
}

TEST(Printable, TakesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\x1b[31mb\n\xff"), "a?[31mb??");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace vaccel
