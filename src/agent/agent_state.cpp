// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_state.h"

#include <algorithm>

#include "agent/agent.h"

namespace vaccel::agent {

// Whether models can be served now, and if not, why: what a load balancer or a probe wants to know.
Status Agent::readiness() const {
  if (shutting_down_)
    return failure(VACCEL_UNAVAILABLE, "the agent is shutting down: %zu sessions are being drained",
                   sessions_.size());
  if (on_ready_)
    return failure(VACCEL_UNAVAILABLE,
                   "the agent is starting: %zu of %zu workers have not told what they can do",
                   workers_awaited_, workers_.size());
  if (std::ranges::any_of(workers_, [](const auto& worker) { return worker->now().ready; })) return {};
  for (const auto& worker : workers_) {
    if (const std::string problem = worker->now().problem; !problem.empty())
      return failure(VACCEL_UNAVAILABLE, "no worker runs: %s", problem.c_str());
  }
  return failure(VACCEL_UNAVAILABLE, "no worker runs");
}

std::vector<const WorkerSlot*> Agent::all_workers() const {
  std::vector<const WorkerSlot*> all;
  for (const auto& worker : workers_)
    all.push_back(worker.get());
  own_workers_.visit([&all](const WorkerSlot& worker) { all.push_back(&worker); });
  return all;
}

AgentState Agent::state() const {
  AgentState state{.readiness = readiness(),
                   .sessions = static_cast<uint32_t>(sessions_.size()),
                   .max_sessions = config_.limits.max_sessions,
                   .vms = static_cast<uint32_t>(vms_.size()),
                   .windows = traffic_.windows,
                   .leases = traffic_.leases,
                   .leased_bytes = traffic_.leased_bytes,
                   .device_bytes = traffic_.device_bytes};
  for (const auto& [name, attached] : vms_) {
    const auto& window = attached.vm->window;
    if (!window) continue;
    ++state.windows;
    state.leases += window->leases();
    state.leased_bytes += window->leased_bytes();
  }
  for (const auto& [name, entry] : catalogue_.entries())
    state.models.push_back({.name = name, .problem = entry.problem});
  for (const WorkerSlot* worker : all_workers()) {
    state.workers.push_back(worker->now());
    worker->visit_calls([&](const WorkerRequest& request, bool running) {
      CallsNow& calls = state.calls[request.figures];
      ++(running ? calls.running : calls.queued);
    });
    for (ModelNow& model : state.models) {
      const auto in_worker = worker->state_of(model.name);
      if (!in_worker.backend.empty()) {
        ++model.workers;
        model.backend = in_worker.backend;
      }
      if (model.problem.empty()) model.problem = in_worker.problem;
    }
    if (state.backends.empty()) state.backends = worker->backends();  // alike
  }
  return state;
}

}  // namespace vaccel::agent
