// SPDX-License-Identifier: Apache-2.0
#include "runtime/cancel_watcher.h"

#include <chrono>
#include <limits>

#include "core/clock.h"

namespace vaccel::runtime {
namespace {

// A flag wakes nobody when it turns, so it is looked at this often while a run is watched.
constexpr int64_t kLookEveryNs = 4'000'000;
// For this long after the last run the thread goes on looking, so that calls in quick succession do not each
// wake it.
constexpr int64_t kLingerNs = 200'000'000;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

}  // namespace

CancelWatcher::~CancelWatcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CancelWatcher::add(Watch& watch) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    watch.listed = true;
    watch.previous = nullptr;
    watch.next = first_;
    if (first_ != nullptr) first_->previous = &watch;
    first_ = &watch;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    wake = next_look_ns_ == 0 || (watch.deadline_ns != 0 && watch.deadline_ns < next_look_ns_);
  }
  if (wake) changed_.notify_one();
}

void CancelWatcher::remove(Watch& watch) {
  const std::lock_guard lock(mutex_);
  if (watch.listed) unlist(watch);
}

void CancelWatcher::unlist(Watch& watch) {
  (watch.previous != nullptr ? watch.previous->next : first_) = watch.next;
  if (watch.next != nullptr) watch.next->previous = watch.previous;
  watch.listed = false;
}

// Interrupts what is due; the time of the next deadline.
int64_t CancelWatcher::fire_due(int64_t now) {
  int64_t next_deadline = kNever;
  for (Watch* watch = first_; watch != nullptr;) {
    Watch* const next = watch->next;
    const bool cancelled =
        watch->cancelled != nullptr && watch->cancelled->load(std::memory_order_relaxed) != 0;
    if (cancelled || has_passed(watch->deadline_ns, now)) {
      unlist(*watch);
      watch->interrupt(watch->argument);  // under the lock: remove() returns after it
    } else if (watch->deadline_ns != 0 && watch->deadline_ns < next_deadline) {
      next_deadline = watch->deadline_ns;
    }
    watch = next;
  }
  return next_deadline;
}

void CancelWatcher::run() {
  std::unique_lock lock(mutex_);
  int64_t last_busy = now_ns();
  while (!stopping_) {
    const int64_t now = now_ns();
    const int64_t next_deadline = fire_due(now);
    if (first_ != nullptr) last_busy = now;
    if (now - last_busy > kLingerNs) {
      next_look_ns_ = 0;
      changed_.wait(lock, [this] { return stopping_ || first_ != nullptr; });
      continue;
    }
    next_look_ns_ = next_deadline - now < kLookEveryNs ? next_deadline : now + kLookEveryNs;
    changed_.wait_for(lock, std::chrono::nanoseconds(next_look_ns_ - now));
  }
}

}  // namespace vaccel::runtime
