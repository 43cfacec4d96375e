// SPDX-License-Identifier: Apache-2.0
//
// What an agent and its workers hold, as it is seen from outside: descriptors, threads, memory and mappings from /proc,
// and the agent's own account of sessions and leases. What is the same before and after has left nothing behind.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "wire/messages.h"

namespace vaccel::bench {

/// What a process holds.
struct Footprint {
  size_t descriptors = 0;
  size_t threads = 0;
  size_t shared_mappings = 0;       ///< Of memory that it shares with others: windows, rings, segments.
  uint64_t resident_bytes = 0;      ///< RSS
  uint64_t proportional_bytes = 0;  ///< PSS: of memory that several processes have, its part.
};

/// Throws when the process has gone.
Footprint footprint_of(pid_t pid);

/// The processes that it has started and that still run: an agent's workers.
std::vector<pid_t> children_of(pid_t pid);

/// Whether it runs; one that has ended and that nobody has collected does not.
bool is_running(pid_t pid);

/// The agent's account. @param control  Its control socket.
wire::StatusReport status_at(const std::string& control);

}  // namespace vaccel::bench
