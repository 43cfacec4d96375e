// SPDX-License-Identifier: Apache-2.0
//
// A condition variable whose deadlines are points on CLOCK_MONOTONIC, as all deadlines here are. (That of the
// standard library would bring its exceptions into the guest library.)
#pragma once

#include <pthread.h>

#include <cstdint>
#include <ctime>
#include <mutex>

namespace vaccel::client {

class Condition {
 public:
  Condition() {
    pthread_condattr_t attributes;
    ::pthread_condattr_init(&attributes);
    ::pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    ::pthread_cond_init(&condition_, &attributes);
    ::pthread_condattr_destroy(&attributes);
  }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;
  ~Condition() { ::pthread_cond_destroy(&condition_); }

  void notify_one() { ::pthread_cond_signal(&condition_); }
  void notify_all() { ::pthread_cond_broadcast(&condition_); }

  /// Waits for a notification; it may also return without one. @param deadline_ns  0: none.
  /// @return whether it returned before the deadline.
  bool wait(std::unique_lock<std::mutex>& lock, int64_t deadline_ns) {
    pthread_mutex_t* mutex = lock.mutex()->native_handle();
    if (deadline_ns == 0) return ::pthread_cond_wait(&condition_, mutex) == 0;
    const timespec until{static_cast<time_t>(deadline_ns / 1'000'000'000),
                         static_cast<long>(deadline_ns % 1'000'000'000)};
    return ::pthread_cond_timedwait(&condition_, mutex, &until) == 0;
  }

 private:
  pthread_cond_t condition_;
};

/// The earlier of two deadlines, either of which may be 0, "none".
inline int64_t earlier(int64_t one_ns, int64_t other_ns) {
  if (one_ns == 0) return other_ns;
  if (other_ns == 0) return one_ns;
  return one_ns < other_ns ? one_ns : other_ns;
}

}  // namespace vaccel::client
