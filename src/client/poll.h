// SPDX-License-Identifier: Apache-2.0
//
// Waiting for descriptors until a deadline.
#pragma once

#include <poll.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <span>

#include "core/clock.h"

namespace vaccel::client {

/// Waits until one of the descriptors is ready. @param deadline_ns  0: none.
/// @return false: the deadline passed, and none was.
inline bool poll_until(std::span<pollfd> descriptors, int64_t deadline_ns) {
  for (;;) {
    timespec left{};
    if (deadline_ns != 0) {
      const int64_t left_ns = deadline_ns - now_ns();
      if (left_ns > 0)
        left = {static_cast<time_t>(left_ns / 1'000'000'000), static_cast<long>(left_ns % 1'000'000'000)};
    }
    const int ready =
        ::ppoll(descriptors.data(), descriptors.size(), deadline_ns != 0 ? &left : nullptr, nullptr);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // whoever uses the descriptor next will find out
    if (ready == 0 && has_passed(deadline_ns, now_ns())) return false;
  }
}

inline bool poll_until(int fd, short events, int64_t deadline_ns) {
  pollfd descriptor{fd, events, 0};
  return poll_until({&descriptor, 1}, deadline_ns);
}

}  // namespace vaccel::client
