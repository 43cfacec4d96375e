// SPDX-License-Identifier: Apache-2.0
//
// Where to look for an agent when the caller does not say. What there is to see and what follows from it are
// kept apart, so that the second can be tested anywhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/status.h"

namespace vaccel::client {

/// What discovery looks at.
struct Surroundings {
  std::optional<std::string> variable;  ///< $VACCEL_ENDPOINT, if it is set and not empty.
  bool agent_socket = false;            ///< The agent's default unix socket exists.
  bool vsock_device = false;            ///< /dev/vsock exists: this may be a VM with vsock.
};

/// Looks around in this process and system.
Surroundings look_around();

/// A place to try, and why, for the sentence when it fails.
struct Candidate {
  std::string endpoint;
  const char* reason;
};

/// The places to try, in this order. $VACCEL_ENDPOINT is tried alone: who set it meant it.
std::vector<Candidate> candidates(const Surroundings& surroundings);

/// Whether to try the next place after this failure: nobody was there. A refusal is an answer.
bool tries_next(const Status& failure);

/// One failure for all places that were tried.
Status nothing_found(const std::vector<Candidate>& tried, const std::vector<Status>& failures);

}  // namespace vaccel::client
