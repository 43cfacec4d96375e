// SPDX-License-Identifier: Apache-2.0
//
// Which CPU does what, where two processes are measured that wait for each other: client here, server there, so that
// the scheduler does not choose anew for each pair.
#pragma once

#include <sched.h>

namespace vaccel::bench {

/// The CPUs of a pair, of those that this process may use: on different cores where there are any.
struct Placement {
  int client = 0;
  int server = 0;
  int second_client = 0;  ///< A third CPU where there is one; else the client's.

  [[nodiscard]] bool one_cpu() const { return client == server; }
};

Placement choose_placement();

/// The CPU as a set. -1: all that this process may use.
cpu_set_t cpus_of(int cpu);

/// Keeps the calling thread, and all that it starts, on one CPU as long as this lives.
class OnCpu {
 public:
  /// @param cpu  -1: on all that this process may use.
  explicit OnCpu(int cpu);
  ~OnCpu();
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;

 private:
  cpu_set_t before_{};
};

}  // namespace vaccel::bench
