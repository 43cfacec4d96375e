// SPDX-License-Identifier: Apache-2.0
//
// The first words on a connection: connect, say hello, read the welcome, open the window. What comes after is
// Connection's.
#pragma once

#include <memory>
#include <string>

#include "channel/channel.h"
#include "channel/endpoint.h"
#include "client/window.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::client {

struct Greeted {
  std::unique_ptr<channel::Channel> channel;  ///< Its socket blocks where receive() is told to wait.
  wire::Welcome welcome;
  std::shared_ptr<Window> window;  ///< Shared with slabs of it; null: there is none.
  std::string no_window;           ///< Why not.
};

/// How a session may share memory with its agent; by default in every way there is.
struct Sharing {
  bool window = true;
  bool rings = true;
  bool spin = true;
};

/// Connects to an agent and greets it.
/// UNAVAILABLE: nobody is there; PERMISSION_DENIED; DEADLINE_EXCEEDED; PROTOCOL_ERROR: who answers is no agent,
/// or speaks other versions; RESOURCE_EXHAUSTED and others as the agent says.
Result<Greeted> greet(const channel::Endpoint& endpoint, const std::string& client_name,
                      const Sharing& sharing, int64_t deadline_ns);

}  // namespace vaccel::client
