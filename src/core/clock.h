// SPDX-License-Identifier: Apache-2.0
//
// The one clock: CLOCK_MONOTONIC, in nanoseconds. Deadlines are points on it, 0 meaning "none".
#pragma once

#include <ctime>

#include <cstdint>

namespace vaccel {

inline int64_t now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline bool has_passed(int64_t deadline_ns, int64_t now) {
  return deadline_ns != 0 && now >= deadline_ns;
}

/// Measures from its construction on.
class Stopwatch {
 public:
  [[nodiscard]] uint64_t elapsed_ns() const { return static_cast<uint64_t>(now_ns() - start_); }
  /// Elapsed since the start or the last lap.
  uint64_t lap_ns() {
    const int64_t now = now_ns();
    const auto elapsed = static_cast<uint64_t>(now - start_);
    start_ = now;
    return elapsed;
  }

 private:
  int64_t start_ = now_ns();
};

}  // namespace vaccel
