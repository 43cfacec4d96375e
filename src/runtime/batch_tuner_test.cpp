// SPDX-License-Identifier: Apache-2.0
//
// Runs whose cost is made up: a part for the run, a part for each row.
#include "runtime/batch_tuner.h"

#include <gtest/gtest.h>

#include <functional>

namespace vaccel::runtime {
namespace {

using Cost = std::function<double(uint32_t rows)>;

Cost fixed_and_per_row(double fixed, double per_row) {
  return [=](uint32_t rows) { return fixed + per_row * rows; };
}

// So many runs, each with as many rows as it may have: there are always enough.
void load(BatchTuner& tuner, const Cost& cost, int runs) {
  for (int run = 0; run < runs; ++run) {
    const uint32_t rows = tuner.next_size(1000);
    tuner.ran(rows, static_cast<uint64_t>(cost(rows)));
  }
}

TEST(BatchTuner, GrowsToTheMostWhereTheRunCosts) {
  BatchTuner tuner(64, true);
  EXPECT_EQ(tuner.size(), 1u);
  load(tuner, fixed_and_per_row(1'000'000, 1000), 100);
  EXPECT_EQ(tuner.size(), 64u);
  EXPECT_EQ(tuner.saving_ns(), 1'001'000u - (1'000'000u + 64'000u) / 64);
}

TEST(BatchTuner, StaysAtOneWhereEachRowCosts) {
  BatchTuner tuner(64, true);
  load(tuner, fixed_and_per_row(0, 1'000'000), 1000);
  EXPECT_EQ(tuner.size(), 1u);
  EXPECT_EQ(tuner.saving_ns(), 0u);
}

TEST(BatchTuner, StopsWhereGrowingDoesNotPayAnyMore) {
  BatchTuner tuner(1024, true);
  // Of 16 rows each costs 1000 + 10000 / 16; from there on it is dearer again.
  load(
      tuner, [](uint32_t rows) { return 10'000 + 1000.0 * rows * (rows > 16 ? 2 : 1); }, 1000);
  EXPECT_EQ(tuner.size(), 16u);
}

TEST(BatchTuner, FollowsALoadThatChanges) {
  BatchTuner tuner(16, true);
  load(tuner, fixed_and_per_row(1'000'000, 1000), 100);
  ASSERT_EQ(tuner.size(), 16u);
  load(
      tuner, [](uint32_t rows) { return 100'000.0 * rows * (1 + 0.1 * rows); }, 5000);
  EXPECT_EQ(tuner.size(), 1u);
  load(tuner, fixed_and_per_row(1'000'000, 1000), 5000);
  EXPECT_EQ(tuner.size(), 16u);
}

TEST(BatchTuner, IsNotMisledByARunThatWasHeldUp) {
  BatchTuner tuner(8, true);
  load(tuner, fixed_and_per_row(100'000, 100'000), 200);
  ASSERT_EQ(tuner.size(), 8u);
  tuner.ran(8, 1'000'000'000);
  load(tuner, fixed_and_per_row(100'000, 100'000), 200);
  EXPECT_EQ(tuner.size(), 8u);
}

TEST(BatchTuner, TriesALargerSizeOnlyWhenEnoughWait) {
  BatchTuner tuner(64, true);
  for (int run = 0; run < 1000; ++run) {
    const uint32_t rows = tuner.next_size(3);
    ASSERT_LE(rows, 2u);
    tuner.ran(rows, 1'000'000);
  }
  EXPECT_EQ(tuner.size(), 2u);
}

TEST(BatchTuner, SeldomTriesWhatIsWorse) {
  BatchTuner tuner(64, true);
  load(tuner, fixed_and_per_row(0, 1000), 100);
  int tried = 0;
  for (int run = 0; run < 640; ++run) {
    const uint32_t rows = tuner.next_size(1000);
    tried += rows != 1 ? 1 : 0;
    tuner.ran(rows, uint64_t{1000} * rows);
  }
  EXPECT_EQ(tried, 10);
}

TEST(BatchTuner, IsAsItIsToldWhenItIsNotToTune) {
  BatchTuner tuner(24, false);
  load(tuner, fixed_and_per_row(0, 1000), 100);
  EXPECT_EQ(tuner.size(), 24u);
  EXPECT_EQ(tuner.next_size(1), 24u);
}

TEST(BatchTuner, DoesNotGoWhereRunsFailed) {
  BatchTuner tuner(64, true);
  load(tuner, fixed_and_per_row(1'000'000, 1000), 100);
  tuner.never_above(20);
  EXPECT_EQ(tuner.size(), 20u);
  load(tuner, fixed_and_per_row(1'000'000, 1000), 100);
  EXPECT_EQ(tuner.size(), 16u);
  tuner.never_above(0);
  EXPECT_EQ(tuner.next_size(1000), 1u);
  EXPECT_EQ(tuner.size(), 1u);
}

TEST(BatchTuner, TakesRowsBetweenPowersOfTwoAndTheLargestNumber) {
  BatchTuner tuner(UINT32_MAX, true);
  for (int run = 0; run < 10; ++run)
    tuner.ran(UINT32_MAX, UINT64_MAX);
  EXPECT_EQ(tuner.size(), uint32_t{1} << 31);
  EXPECT_EQ(tuner.next_size(UINT32_MAX), uint32_t{1} << 31);
  tuner.ran(0, 5);
}

}  // namespace
}  // namespace vaccel::runtime
