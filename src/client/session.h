// SPDX-License-Identifier: Apache-2.0
//
// A session: an endpoint, the transport to it, and the submitted calls that have completed.
#pragma once

#include <memory>
#include <string>

#include "client/completion_queue.h"
#include "client/transport.h"
#include "core/status.h"
#include "vaccel/vaccel.h"

struct vaccel_session {
  std::string endpoint;
  vaccel::client::CompletionQueue completions;
  std::unique_ptr<vaccel::client::Transport> transport;  // uses the queue: made after it, gone before it
};

namespace vaccel::client {

/// Opens a session at one endpoint.
Result<std::unique_ptr<vaccel_session>> open_at(const std::string& endpoint,
                                                const vaccel_open_options& options);

/// Opens a session wherever discovery finds an agent, or in this process.
Result<std::unique_ptr<vaccel_session>> open_anywhere(const vaccel_open_options& options);

}  // namespace vaccel::client
