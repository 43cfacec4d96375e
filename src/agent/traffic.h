// SPDX-License-Identifier: Apache-2.0
//
// What the agent has done and what it holds, for `vaccelctl status`. Numbers alone: sessions add to them as they
// go.
#pragma once

#include <cstdint>

namespace vaccel::agent {

struct Traffic {
  // Since the agent started:
  uint64_t calls = 0;
  uint64_t failed_calls = 0;
  uint64_t copied_bytes = 0;  ///< Of tensors that came or went over a stream or through a ring.
  uint64_t window_bytes = 0;  ///< Of tensors that lay in a window and were not moved by the agent.
  // Now, of sessions with a window of their own; what VMs have is read from their windows:
  uint32_t windows = 0;
  uint64_t leases = 0;
  uint64_t leased_bytes = 0;
  // Now, and something is decided by it: what all sessions together may have.
  uint64_t device_bytes = 0;  ///< Of device buffers.
};

}  // namespace vaccel::agent
