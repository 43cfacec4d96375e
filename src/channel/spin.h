// SPDX-License-Identifier: Apache-2.0
//
// How long to look again and again before sleeping: as long as it has lately been worth it.
#pragma once

#include <cstdint>

namespace vaccel::channel {

/// The most that a wait spins, unless configured otherwise: about what a sleep and a wake-up cost.
inline constexpr int64_t kMaxSpinNs = 50'000;

/// What spinning has brought lately. Not thread-safe.
///
/// Waits that ended while spinning raise the limit to twice what they took; one that spun in vain halves it, and below a
/// microsecond there is no more spinning. A sleep so short that spinning would have caught its end, or nearly, sets it to
/// the most at once: the other side has become quick.
class SpinLimit {
 public:
  /// @param max_ns  0: never spin.
  explicit SpinLimit(int64_t max_ns) : max_ns_(max_ns), limit_ns_(max_ns) {}

  /// How long to spin now, in nanoseconds; 0: not at all.
  [[nodiscard]] int64_t next() const { return limit_ns_; }
  /// The wait ended after so long, while spinning.
  void found_after(int64_t waited_ns) {
    const int64_t wanted = 2 * waited_ns + kLeastNs;
    if (wanted > limit_ns_) limit_ns_ = wanted < max_ns_ ? wanted : max_ns_;
  }
  /// The other side has said that it will be quick this time.
  void expect() { limit_ns_ = max_ns_; }
  /// It did not: this side has to sleep.
  void in_vain() { limit_ns_ = limit_ns_ / 2 < kLeastNs ? 0 : limit_ns_ / 2; }
  /// It slept, and was woken after so long.
  void slept(int64_t slept_ns) {
    if (slept_ns < max_ns_ + kWakeNs) limit_ns_ = max_ns_;
  }

 private:
  static constexpr int64_t kLeastNs = 1000;
  static constexpr int64_t kWakeNs = 20'000;  // what of a short sleep is the waking
  int64_t max_ns_;
  int64_t limit_ns_;
};

/// kMaxSpinNs, or 0 where this process may use one CPU only: there, nobody else runs while it spins.
int64_t default_spin_ns();

/// A moment of a spin loop.
inline void spin_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace vaccel::channel
