// SPDX-License-Identifier: Apache-2.0
//
// The agent's figures in Prometheus' text format, version 0.0.4: what /metrics says. Seconds and bytes, each family
// with its help; docs/operations.md has the table of them.
#pragma once

#include <string>

#include "agent/agent_state.h"
#include "agent/metrics.h"

namespace vaccel::agent {

/// What the system says of this process.
struct ProcessFigures {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_descriptors = 0;
  uint64_t max_descriptors = 0;
  double start_time_seconds = 0;  ///< Since 1970.
};

class ProcessReader {
 public:
  ProcessReader();
  [[nodiscard]] ProcessFigures read() const;

 private:
  double started_;  // does not change, and costs more to find out than the rest
};

/// @param version  Of the agent, "0.1.0".
std::string metrics_text(const Metrics& metrics, const AgentState& state, const ProcessFigures& process,
                         const char* version);

}  // namespace vaccel::agent
