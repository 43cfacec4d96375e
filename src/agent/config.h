// SPDX-License-Identifier: Apache-2.0
//
// The agent's configuration: one TOML file, and flags that override parts of it. docs/operations.md describes
// every key.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "core/status.h"

namespace vaccel::agent {

/// What one session, and the agent as a whole, may take.
struct Limits {
  uint32_t max_sessions = 4096;
  // Of one session:
  uint32_t max_calls_in_flight = 64;
  uint32_t max_models_open = 256;
  uint64_t max_payload_bytes = uint64_t{256} << 20;  ///< Of one call, and of one result.
  /// Of its calls, and of results it has not taken.
  uint64_t max_session_bytes_in_flight = uint64_t{512} << 20;
  /// Address space for the payloads of calls, and again for results, of each worker.
  uint64_t segment_bytes = uint64_t{2} << 30;
  int64_t frame_timeout_ms = 30'000;  ///< For a frame that has begun, plus a second for each MiB of payload.
  int64_t shutdown_timeout_ms = 30'000;  ///< For calls in flight at SIGTERM.

  bool operator==(const Limits&) const = default;
};

struct WorkerConfig {
  std::filesystem::path program;  ///< Empty: vaccel-worker beside vacceld.
  uint32_t count = 1;
  uint32_t threads = 8;  ///< Calls that one worker runs at a time.
};

struct Config {
  std::vector<channel::Endpoint> listen;
  mode_t socket_mode = 0660;
  std::string log_level = "info";
  std::filesystem::path catalogue;
  Limits limits;
  WorkerConfig worker;
};

/// Reads the agent's keys of a configuration file; the runtime's are let through, its workers read them.
/// INVALID_ARGUMENT: "vaccel.toml:4:1: ...".
Result<Config> read_config(const std::filesystem::path& file);

}  // namespace vaccel::agent
