// SPDX-License-Identifier: Apache-2.0
#include "worker/idle_trim.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace vaccel::worker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShort{20};

class IdleTrimTest : public testing::Test {
 protected:
  // Whether it comes to so many.
  bool comes_to(int count) {
    for (int time = 0; time < 2'000 && trims_ < count; ++time)
      std::this_thread::sleep_for(milliseconds(5));
    return trims_ == count;
  }

  std::atomic<int> trims_ = 0;
  std::unique_ptr<IdleTrim> idle_ = std::make_unique<IdleTrim>([this] { ++trims_; }, kShort);
};

TEST_F(IdleTrimTest, OnceAfterCallsAndNotWithout) {
  std::this_thread::sleep_for(5 * kShort);
  EXPECT_EQ(trims_, 0) << "there was no call";
  for (int round = 1; round <= 3; ++round) {
    {
      const IdleTrim::Call all_the_time(*idle_);
      for (int call = 0; call < 10; ++call)
        const IdleTrim::Call one(*idle_);
    }
    EXPECT_TRUE(comes_to(round));
    std::this_thread::sleep_for(5 * kShort);
    EXPECT_EQ(trims_, round) << "nothing has come since";
  }
}

TEST_F(IdleTrimTest, NotWhileACallRuns) {
  {
    const IdleTrim::Call long_one(*idle_);
    std::this_thread::sleep_for(10 * kShort);
    EXPECT_EQ(trims_, 0);
  }
  EXPECT_TRUE(comes_to(1));
}

TEST_F(IdleTrimTest, ManyThreadsCall) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this] {
      for (int call = 0; call < 20'000; ++call)
        const IdleTrim::Call one(*idle_);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  const int before = trims_;  // if they had a pause
  { const IdleTrim::Call last(*idle_); }
  for (int time = 0; time < 2'000 && trims_ == before; ++time)
    std::this_thread::sleep_for(milliseconds(5));
  EXPECT_GT(trims_, before);
}

TEST(IdleTrim, EndsAtOnce) {
  IdleTrim idle([] { ADD_FAILURE() << "an hour has not passed"; }, std::chrono::hours(1));
  { const IdleTrim::Call one(idle); }
}

}  // namespace
}  // namespace vaccel::worker
