// SPDX-License-Identifier: Apache-2.0
//
// How the agent is at one moment, as plain values: what runs, what waits, what is held. The agent fills it in when
// somebody asks (/metrics, vaccelctl); nothing is counted for it on a call's way.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::agent {

struct TenantMetrics;

/// Calls that are with a worker or wait for one.
struct CallsNow {
  uint64_t queued = 0;
  uint64_t running = 0;
};

struct WorkerNow {
  uint32_t index = 0;
  pid_t pid = 0;         ///< 0: there is no process now.
  bool ready = false;    ///< It has greeted, and takes calls.
  uint32_t threads = 0;  ///< Calls that it runs at a time.
  CallsNow calls;
  uint32_t models = 0;  ///< Loaded.
  uint64_t starts = 0;  ///< Processes that there have been.
  std::string problem;  ///< Why it does not run, or how the last one ended.
};

struct ModelNow {
  std::string name;
  std::string backend;  ///< That runs it; "" as long as nobody has loaded it.
  std::string problem;
  uint32_t workers = 0;  ///< That have it loaded.
};

struct AgentState {
  Status readiness;  ///< Why no model can be served; UNAVAILABLE.
  uint32_t sessions = 0;
  uint32_t max_sessions = 0;
  uint32_t vms = 0;
  uint32_t windows = 0;
  uint64_t leases = 0;
  uint64_t leased_bytes = 0;
  uint64_t device_bytes = 0;
  std::map<const TenantMetrics*, CallsNow> calls;
  std::vector<WorkerNow> workers;
  std::vector<ModelNow> models;
  std::vector<wire::BackendInfo> backends;
};

}  // namespace vaccel::agent
