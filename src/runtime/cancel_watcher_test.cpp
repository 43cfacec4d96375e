// SPDX-License-Identifier: Apache-2.0
#include "runtime/cancel_watcher.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <thread>
#include <vector>

#include "core/clock.h"

namespace vaccel::runtime {
namespace {

// Counts interrupts, and waits for the first.
struct Interrupted {
  std::mutex mutex;
  std::condition_variable changed;
  int count = 0;

  static void interrupt(void* argument) {
    auto* self = static_cast<Interrupted*>(argument);
    const std::lock_guard lock(self->mutex);
    ++self->count;
    self->changed.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [this] { return count > 0; });
  }
};

CancelWatcher::Watch make_watch(Interrupted& target, const std::atomic<int>* cancelled, int64_t deadline_ns) {
  CancelWatcher::Watch watch;
  watch.cancelled = cancelled;
  watch.deadline_ns = deadline_ns;
  watch.interrupt = Interrupted::interrupt;
  watch.argument = &target;
  return watch;
}

TEST(CancelWatcher, InterruptsOnceWhenTheFlagTurns) {
  CancelWatcher watcher;
  std::atomic<int> cancelled = 0;
  Interrupted target;
  CancelWatcher::Watch watch = make_watch(target, &cancelled, 0);
  watcher.add(watch);
  cancelled = 1;
  ASSERT_TRUE(target.wait());
  watcher.remove(watch);
  EXPECT_EQ(target.count, 1);
}

TEST(CancelWatcher, InterruptsAtTheDeadlineAndNotBefore) {
  CancelWatcher watcher;
  Interrupted far;
  CancelWatcher::Watch far_watch = make_watch(far, nullptr, now_ns() + 3'600'000'000'000);
  watcher.add(far_watch);
  Interrupted target;
  const int64_t deadline = now_ns() + 30'000'000;
  CancelWatcher::Watch watch = make_watch(target, nullptr, deadline);
  watcher.add(watch);
  ASSERT_TRUE(target.wait());
  EXPECT_GE(now_ns(), deadline);
  watcher.remove(watch);
  watcher.remove(far_watch);
  EXPECT_EQ(far.count, 0);
}

TEST(CancelWatcher, WakesFromItsSleep) {
  CancelWatcher watcher;
  for (int round = 0; round < 3; ++round) {
    Interrupted target;
    CancelWatcher::Watch watch = make_watch(target, nullptr, now_ns());
    watcher.add(watch);
    ASSERT_TRUE(target.wait());
    watcher.remove(watch);
    // Longer than it lingers: it is asleep for good when the next one comes.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

TEST(CancelWatcher, NothingIsInterruptedAfterItsRemoval) {
  CancelWatcher watcher;
  std::atomic<int> cancelled = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        auto target =
            std::make_unique<Interrupted>();  // AddressSanitizer sees an interrupt that comes too late
        CancelWatcher::Watch watch = make_watch(*target, &cancelled, now_ns() + 1000);
        watcher.add(watch);
        watcher.remove(watch);
        const std::lock_guard lock(target->mutex);
        EXPECT_LE(target->count, 1);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

}  // namespace
}  // namespace vaccel::runtime
