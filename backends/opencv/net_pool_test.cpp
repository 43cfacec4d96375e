// SPDX-License-Identifier: Apache-2.0
#include "net_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "failure.h"

namespace vaccel::opencv {
namespace {

// A run that the test cancels.
class TestRun {
 public:
  TestRun() {
    run.size = sizeof run;
    run.context = this;
    run.cancelled = [](void* context) { return static_cast<TestRun*>(context)->cancelled_.load() ? 1 : 0; };
    run.on_cancel = [](void* context, void (*interrupt)(void*), void* argument) {
      auto* self = static_cast<TestRun*>(context);
      const std::lock_guard lock(self->mutex_);
      self->interrupt_ = interrupt;
      self->argument_ = argument;
      self->waited_ = self->waited_ || interrupt != nullptr;
      self->changed_.notify_all();
    };
  }
  void wait_until_it_waits() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waited_; });
  }
  void cancel() {
    cancelled_ = true;
    const std::lock_guard lock(mutex_);
    if (interrupt_ != nullptr) interrupt_(argument_);
  }
  bool is_watched() {
    const std::lock_guard lock(mutex_);
    return interrupt_ != nullptr;
  }

  vaccel_backend_run run{};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> cancelled_ = false;
  void (*interrupt_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool waited_ = false;
};

class NetPoolTest : public ::testing::Test {
 protected:
  NetPool::Maker maker = [this] {
    if (fail) refuse(VACCEL_INTERNAL, "no more");
    ++made;
    return cv::dnn::Net();
  };
  std::atomic<int> made = 0;
  std::atomic<bool> fail = false;
};

TEST_F(NetPoolTest, MakesNetsWhenTheyAreNeeded) {
  NetPool pool(maker, 2);
  EXPECT_EQ(made, 1);
  TestRun run;
  for (int turn = 0; turn < 3; ++turn)
    pool.take(run.run).give_back();
  EXPECT_EQ(made, 1);
  NetPool::Lease one = pool.take(run.run);
  NetPool::Lease two = pool.take(run.run);
  EXPECT_EQ(made, 2);
  one.give_back();
  two.give_back();
  pool.take(run.run).give_back();
  EXPECT_EQ(made, 2);
}

TEST_F(NetPoolTest, ANetThatIsNotGivenBackIsMadeAnew) {
  NetPool pool(maker, 1);
  TestRun run;
  { const NetPool::Lease broken = pool.take(run.run); }
  pool.take(run.run).give_back();
  EXPECT_EQ(made, 2);
}

TEST_F(NetPoolTest, WhatCannotBeMadeTakesNoPlace) {
  NetPool pool(maker, 1);
  TestRun run;
  { const NetPool::Lease broken = pool.take(run.run); }
  fail = true;
  for (int turn = 0; turn < 3; ++turn)
    EXPECT_THROW((void)pool.take(run.run), Failure);
  fail = false;
  pool.take(run.run).give_back();
}

TEST_F(NetPoolTest, WhoWaitsGetsWhatIsGivenBack) {
  NetPool pool(maker, 1);
  TestRun first;
  TestRun second;
  NetPool::Lease lease = pool.take(first.run);
  std::atomic<bool> got = false;
  std::thread waiting([&] {
    pool.take(second.run).give_back();
    got = true;
  });
  second.wait_until_it_waits();
  EXPECT_FALSE(got);
  lease.give_back();
  waiting.join();
  EXPECT_TRUE(got);
  EXPECT_FALSE(second.is_watched());
  EXPECT_EQ(made, 1);
}

TEST_F(NetPoolTest, WhoWaitsHearsThatTheRunIsCancelled) {
  NetPool pool(maker, 1);
  TestRun first;
  TestRun second;
  NetPool::Lease lease = pool.take(first.run);
  vaccel_status status = VACCEL_OK;
  std::thread waiting([&] {
    try {
      (void)pool.take(second.run);
    } catch (const Failure& failure) {
      status = failure.status;
    }
  });
  second.wait_until_it_waits();
  second.cancel();
  waiting.join();
  EXPECT_EQ(status, VACCEL_CANCELLED);
  EXPECT_FALSE(second.is_watched());
  lease.give_back();
  pool.take(first.run).give_back();
}

TEST_F(NetPoolTest, NeverHandsOutMoreThanThereMayBe) {
  NetPool pool(maker, 3);
  std::atomic<int> out = 0;
  std::atomic<int> too_many = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      TestRun run;
      for (int turn = 0; turn < 500; ++turn) {
        NetPool::Lease lease = pool.take(run.run);
        if (++out > 3) ++too_many;
        --out;
        if (turn % 7 != 0) lease.give_back();
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(too_many, 0);
}

}  // namespace
}  // namespace vaccel::opencv
