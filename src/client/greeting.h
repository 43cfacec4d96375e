// SPDX-License-Identifier: Apache-2.0
//
// The first words on a connection: connect, say hello, read the welcome. What comes after is Connection's.
#pragma once

#include <memory>
#include <string>

#include "channel/channel.h"
#include "channel/endpoint.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::client {

struct Greeted {
  std::unique_ptr<channel::Channel> channel;  ///< Its socket blocks where receive() is told to wait.
  wire::Welcome welcome;
};

/// Connects to an agent and greets it.
/// UNAVAILABLE: nobody is there; PERMISSION_DENIED; DEADLINE_EXCEEDED; PROTOCOL_ERROR: who answers is no agent,
/// or speaks other versions; RESOURCE_EXHAUSTED and others as the agent says.
Result<Greeted> greet(const channel::Endpoint& endpoint, const std::string& client_name, int64_t deadline_ns);

}  // namespace vaccel::client
