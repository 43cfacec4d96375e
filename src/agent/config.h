// SPDX-License-Identifier: Apache-2.0
//
// The agent's configuration: one TOML file, and flags that override parts of it. docs/operations.md describes
// every key.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "core/status.h"
#include "wire/messages.h"

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
  // Windows:
  bool window_enabled = true;  ///< For sessions on unix sockets; VMs have what is attached.
  uint64_t session_window_bytes = uint64_t{256} << 20;  ///< Address space of such a session's window.
  uint64_t max_leased_bytes = uint64_t{256} << 20;      ///< Of one session, in whichever window.
  uint32_t max_leases = 1024;                           ///< Of one session.
  // Device buffers:
  uint64_t max_device_bytes = uint64_t{1} << 30;        ///< Of one session.
  uint32_t max_device_buffers = 256;                    ///< Of one session.
  uint64_t max_total_device_bytes = uint64_t{4} << 30;  ///< Of all sessions together.
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
  uint32_t spin_us =
      50;  ///< The longest that agent and workers spin for news in rings before they sleep; 0: never.
  WorkerConfig worker;
  /// Of the control socket; "": there is none. Not given: the default one, if the agent listens on the default
  /// socket.
  std::optional<std::string> control;
  /// Where /metrics, /healthz and /readyz are; not given: nowhere.
  std::optional<channel::Endpoint> metrics;
  std::vector<wire::AttachVm> vms;  ///< Attached when the agent starts; checked by find_problem().
};

/// "127.0.0.1:9464", "[::1]:9464", "localhost:9464" or "unix:/path" for HTTP. INVALID_ARGUMENT.
Result<channel::Endpoint> parse_http_address(const std::string& text);

/// Reads the agent's keys of a configuration file; the runtime's are let through, its workers read them.
/// INVALID_ARGUMENT: "vaccel.toml:4:1: ...".
Result<Config> read_config(const std::filesystem::path& file);

}  // namespace vaccel::agent
