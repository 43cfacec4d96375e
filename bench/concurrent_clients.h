// SPDX-License-Identifier: Apache-2.0
//
// Several clients of one agent at the same time, a thread each.
#pragma once

#include <functional>
#include <vector>

#include "measure.h"

namespace vaccel::bench {

/// One of the clients: what it does again and again, on which CPU.
struct ConcurrentClient {
  std::function<void()> call;
  int cpu = 0;
};

/// All clients call for so long, starting together. A sample is what a call took the slowest of them, on average:
/// none can be quick at another's cost.
Side concurrently(std::vector<ConcurrentClient> clients, double seconds_per_sample);

}  // namespace vaccel::bench
