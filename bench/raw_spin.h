// SPDX-License-Identifier: Apache-2.0
//
// The floor for a call over a ring: another process that waits for a cache line by looking at it again and again, and
// answers in another one. Both ends spin, each on its CPU, and nothing else happens: 64 bytes there and 64 back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "core/unique_fd.h"

namespace vaccel::bench {

class RawSpin {
 public:
  /// @param cpu  Where the other process is. It must not be the caller's.
  explicit RawSpin(int cpu);
  ~RawSpin();
  RawSpin(const RawSpin&) = delete;
  RawSpin& operator=(const RawSpin&) = delete;

  /// Nanoseconds an exchange of so many samples, each the mean of a hundred exchanges. Between bursts the other process
  /// sleeps.
  std::vector<double> burst(size_t samples);

 private:
  struct Lines;

  void exchange(uint64_t number);
  [[noreturn]] void answer(int wake_up);

  Mapping memory_;
  Lines* lines_;
  UniqueFd wake_up_;
  uint64_t number_ = 0;
  pid_t pid_ = 0;
};

}  // namespace vaccel::bench
