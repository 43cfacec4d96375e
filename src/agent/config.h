// SPDX-License-Identifier: Apache-2.0
//
// The agent's configuration: one TOML file, and flags that override parts of it. docs/operations.md describes
// every key.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/log.h"
#include "agent/tenant_settings.h"
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

/// When a worker is taken for one that hangs.
struct Supervision {
  int64_t heartbeat_timeout_ms = 10'000;  ///< It has not answered for so long, while it had something to do.
  int64_t max_run_ms =
      60'000;  ///< A call has run for so long, of a model that says nothing else; 0: no limit.
  bool operator==(const Supervision&) const = default;
};

/// What the operator says of a model, besides what its model.toml does.
struct ModelSettings {
  uint32_t instances = 1;  ///< Workers in which it is loaded; 0: all.
  uint32_t calls = 0;      ///< That run at a time in one worker; 0: as many as it has threads.
  int64_t max_run_ms = 0;  ///< 0: as Supervision says.
  bool preload = false;    ///< Loaded when the agent starts.
  bool operator==(const ModelSettings&) const = default;
};

/// A pattern of paths at which VMs' sockets come and go.
struct WatchedVms {
  std::string
      pattern;  ///< Absolute; "{vm}" stands for the VM's name, "{tenant}" for its tenant's, each for a whole part.
  uint32_t port = channel::kDefaultPort;
  std::string tenant;  ///< Of all of them, where the pattern does not say.
  bool operator==(const WatchedVms&) const = default;
};

/// What a worker may do; worker_jail.h makes a policy of it.
struct JailSettings {
  bool enabled = true;
  bool require = false;           ///< A worker is started with all of it, or not at all.
  std::vector<std::string> read;  ///< Files and folders, besides what the runtime is known to need.
  std::vector<std::string> write;
  std::vector<std::string> devices = {"/dev/nvidia*", "/dev/dri/renderD*", "/dev/kfd",
                                      "/dev/apex_*"};  ///< Patterns.
  std::vector<std::string> system_calls;               ///< Likewise.
  uint64_t memory_bytes = 0;                           ///< 0: no limit.
  double cpus = 0;                                     ///< CPU seconds a second; 0: no limit.
  uint32_t tasks = 4096;                               ///< Threads and processes.
  uint32_t open_files = 4096;
  uint64_t scratch_bytes = uint64_t{64} << 20;  ///< Of its /tmp, and of a file.
  bool operator==(const JailSettings&) const = default;
};

/// Models that tenants bring; upload_store.h keeps them, each tenant has a worker of its own for them.
struct UploadSettings {
  std::filesystem::path directory;                      ///< Empty: nobody may.
  uint64_t max_bytes = uint64_t{1} << 30;               ///< Of one tenant's files.
  uint32_t max_models = 16;                             ///< Of one tenant.
  std::vector<std::string> backends = {"onnxruntime"};  ///< That run them.
  uint32_t threads = 2;                                 ///< Calls that a tenant's worker runs at a time.
  uint64_t memory_bytes = uint64_t{2} << 30;            ///< Of a tenant's worker; 0: no limit.
  double cpus = 0;                                      ///< Likewise; 0: no limit.
  int64_t idle_ms = 60'000;                        ///< It is ended when it has had nothing to do for so long.
  std::vector<std::string> devices;                ///< Patterns of those that tenants' workers may use.
  uint64_t bytes_per_second = uint64_t{64} << 20;  ///< That one tenant may upload: the disk is everybody's.
  bool operator==(const UploadSettings&) const = default;
};

struct WorkerConfig {
  std::filesystem::path program;  ///< Empty: vaccel-worker beside vacceld.
  uint32_t count = 1;
  uint32_t threads = 8;  ///< Calls that one worker runs at a time.
  std::vector<std::string>
      cpus;  ///< Of each worker, "0-3,8"; fewer than workers: they begin again. Empty: all.
  std::vector<std::string> devices;  ///< GPUs that each sees, as CUDA_VISIBLE_DEVICES has it; likewise.
  uint64_t model_bytes = 0;          ///< Memory of one worker's models; 0: no limit.
  uint32_t instances =
      1;  ///< Workers in which a model is loaded that [[model]] says nothing else of; 0: all.
  Supervision supervision;
  bool operator==(const WorkerConfig&) const = default;
};

/// What a list has for the worker of an index: lists that are shorter than the workers are many are begun again. "": it is
/// empty.
inline std::string of_worker(const std::vector<std::string>& list, uint32_t index) {
  return list.empty() ? std::string() : list[index % list.size()];
}

struct Config {
  std::vector<channel::Endpoint> listen;
  mode_t socket_mode = 0660;
  std::string log_level = "info";
  LogFormat log_format = LogFormat::kHuman;
  std::filesystem::path catalogue;
  Limits limits;
  uint32_t spin_us =
      50;  ///< The longest that agent and workers spin for news in rings before they sleep; 0: never.
  WorkerConfig worker;
  JailSettings jail;
  UploadSettings uploads;
  std::string user;            ///< Whom the agent runs as, if it is started by root; "": as it is.
  std::filesystem::path file;  ///< What it was read from; empty: no file.
  // What the runtime reads from the same file, as far as the jail has to know.
  std::filesystem::path backend_directory;           ///< Empty: the default.
  std::vector<std::string> backends;                 ///< Empty: all in the directory.
  std::vector<std::filesystem::path> backend_paths;  ///< Files and folders that backends are configured with.
  /// Of the control socket; "": there is none. Not given: the default one, if the agent listens on the default
  /// socket.
  std::optional<std::string> control;
  TenantTables tenants;
  std::map<std::string, ModelSettings, std::less<>> models;
  std::vector<WatchedVms> watched;
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
