// SPDX-License-Identifier: Apache-2.0
#include "agent/quarantine.h"

#include <gtest/gtest.h>

namespace vaccel::agent {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 1000 * kSecond;

TEST(Quarantine, HoldsWhoHasEndedThreeWorkers) {
  Quarantine quarantine;
  for (int time = 0; time < 3; ++time) {
    EXPECT_TRUE(quarantine.check("acme", "model", kStart + time).ok()) << time;
    quarantine.worker_ended({{"acme", "model"}}, kStart + time);
  }
  const Status status = quarantine.check("acme", "model", kStart + kSecond);
  EXPECT_EQ(status.code(), VACCEL_UNAVAILABLE);
  EXPECT_GT(status.retry_after_us(), 58'000'000u);
  EXPECT_LE(status.retry_after_us(), 60'000'000u);
  EXPECT_NE(status.message().find("'model' for tenant 'acme'"), std::string::npos) << status.message();
  EXPECT_TRUE(quarantine.check("other", "model", kStart + kSecond).ok()) << "the others are served";
  EXPECT_TRUE(quarantine.check("acme", "another", kStart + kSecond).ok());
}

TEST(Quarantine, EndsAndIsLongerTheNextTime) {
  Quarantine quarantine;
  for (int time = 0; time < 3; ++time)
    quarantine.worker_ended({{"acme", "model"}}, kStart);
  const int64_t after = kStart + 61 * kSecond;
  EXPECT_TRUE(quarantine.check("acme", "model", after).ok());
  quarantine.worker_ended({{"acme", "model"}}, after);
  EXPECT_FALSE(quarantine.check("acme", "model", after + 100 * kSecond).ok());
  EXPECT_TRUE(quarantine.check("acme", "model", after + 121 * kSecond).ok());
}

TEST(Quarantine, ForgetsInTime) {
  Quarantine quarantine;
  for (int time = 0; time < 20; ++time)
    quarantine.worker_ended({{"acme", "model"}}, kStart + time * 1000 * kSecond);
  EXPECT_TRUE(quarantine.check("acme", "model", kStart + 20'000 * kSecond).ok());
}

TEST(Quarantine, SuspectsWhoWasThereAndTellsThemApart) {
  Quarantine quarantine;
  const Quarantine::Suspect bad{"bad", "model"};
  const Quarantine::Suspect good{"good", "model"};
  EXPECT_FALSE(quarantine.suspects(bad, kStart));
  quarantine.worker_ended({bad, good}, kStart);
  EXPECT_TRUE(quarantine.suspects(bad, kStart));
  EXPECT_TRUE(quarantine.suspects(good, kStart)) << "either may be at fault: they run apart from now on";
  for (int time = 0; time < 3; ++time)
    quarantine.worker_ended({bad}, kStart);  // and so it is told
  EXPECT_FALSE(quarantine.check("bad", "model", kStart).ok());
  EXPECT_TRUE(quarantine.check("good", "model", kStart).ok());
  EXPECT_FALSE(quarantine.suspects(good, kStart + 3600 * kSecond)) << "it is forgotten";
}

TEST(Quarantine, AModelThatFailsForTwoTenantsIsNobodys) {
  Quarantine quarantine;
  for (int time = 0; time < 3; ++time) {
    quarantine.worker_ended({{"a", "model"}}, kStart);
    quarantine.worker_ended({{"b", "model"}}, kStart);
  }
  EXPECT_FALSE(quarantine.check("somebody", "model", kStart).ok());
  EXPECT_TRUE(quarantine.check("somebody", "another", kStart).ok());
}

TEST(Quarantine, AModelThatCannotBeLoadedIsNobodys) {
  Quarantine quarantine;
  for (int time = 0; time < 3; ++time)
    quarantine.worker_ended({{"", "model"}}, kStart);
  EXPECT_FALSE(quarantine.check("somebody", "model", kStart).ok());
}

TEST(Quarantine, IsReleasedByTheOperator) {
  Quarantine quarantine;
  EXPECT_FALSE(quarantine.release("model"));
  for (int time = 0; time < 3; ++time)
    quarantine.worker_ended({{"a", "model"}}, kStart);
  EXPECT_TRUE(quarantine.release("model"));
  EXPECT_TRUE(quarantine.check("a", "model", kStart).ok());
  EXPECT_FALSE(quarantine.suspects({"a", "model"}, kStart));
}

TEST(Quarantine, TellsAGuestsTextAsText) {
  Quarantine quarantine;
  for (int time = 0; time < 3; ++time)
    quarantine.worker_ended({{"a", "operator x\n\x1b[2J"}}, kStart);
  const std::string sentence = quarantine.check("a", "operator x\n\x1b[2J", kStart).message();
  EXPECT_EQ(sentence.find_first_of("\n\x1b"), std::string::npos) << sentence;
}

TEST(Quarantine, RemembersSoManyAndNoMore) {
  Quarantine quarantine;
  for (int time = 0; time < 3; ++time)
    quarantine.worker_ended({{"first", "model"}}, kStart);
  for (int number = 0; number < 10'000; ++number)
    quarantine.worker_ended({{"t" + std::to_string(number), "other"}}, kStart + number);
  EXPECT_FALSE(quarantine.check("first", "model", kStart + kSecond).ok())
      << "who is held is not forgotten for others";
}

}  // namespace
}  // namespace vaccel::agent
