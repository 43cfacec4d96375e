// SPDX-License-Identifier: Apache-2.0
//
// Calls of many kinds whose answers are known beforehand, so that a wrong one is seen: whatever else happens to agent,
// workers and clients, an answer that comes is right, and one that cannot come is said to be so.
#pragma once

#include <cstdint>
#include <string>

#include "vaccel/vaccel.h"

namespace vaccel::bench {

/// What became of one.
struct Outcome {
  /// VACCEL_OK: all of the answer is as it must be, if `wrong` is empty.
  vaccel_status status = VACCEL_OK;
  std::string wrong;  ///< What is wrong with an answer that did come.
  bool by_worker = false;

  [[nodiscard]] bool is_right() const { return status == VACCEL_OK && wrong.empty(); }
};

/// Sums and echoes of small and of large inputs, in ordinary memory, in the session's window and on the device, results
/// that are filled, a call that is given up, an operator that does not exist. The agent has the backend "reference".
/// @param number  Decides which of them, how large and with which bytes.
/// @param deadline_ns  As in vaccel_call_options.
Outcome checked_call(vaccel_session* session, uint32_t number, int64_t deadline_ns);

/// The sum of some bytes, by a worker: the least that a session can do.
Outcome checked_sum(vaccel_session* session, uint32_t seed, int64_t deadline_ns);

}  // namespace vaccel::bench
