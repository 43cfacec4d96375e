// SPDX-License-Identifier: Apache-2.0
#include "worker/idle_trim.h"

#include <utility>

namespace vaccel::worker {
namespace {

// Of the quiet time: it is looked so often whether it is quiet.
constexpr int kSlices = 4;

}  // namespace

IdleTrim::IdleTrim(std::function<void()> trim, std::chrono::milliseconds quiet)
    : trim_(std::move(trim)), quiet_(quiet), thread_([this] { run(); }) {}

IdleTrim::~IdleTrim() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void IdleTrim::begin() {
  running_.fetch_add(1);
  begun_.fetch_add(1);
  if (!sleeps_.load() || !sleeps_.exchange(false)) return;
  const std::lock_guard lock(mutex_);  // or it would be told between its look and its sleep
  changed_.notify_all();
}

void IdleTrim::run() {
  std::unique_lock lock(mutex_);
  for (uint64_t trimmed_at = 0; !stopping_;) {
    sleeps_ = true;
    changed_.wait(lock, [&] { return stopping_ || begun_ != trimmed_at; });
    sleeps_ = false;
    uint64_t before = begun_;
    for (int still = 0; still < kSlices;) {
      if (changed_.wait_for(lock, quiet_ / kSlices, [this] { return stopping_; })) return;
      still = running_ == 0 && begun_ == before ? still + 1 : 0;
      before = begun_;
    }
    lock.unlock();
    trim_();
    lock.lock();
    trimmed_at = before;
  }
}

}  // namespace vaccel::worker
