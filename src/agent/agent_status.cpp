// SPDX-License-Identifier: Apache-2.0
//
// How the agent is, for vaccelctl: the numbers of all of it, and one page of one list. What is on no page is not looked at
// more than it must be, for a host may have a thousand tenants, and the thread that answers is the one that serves them.
#include <map>

#include "agent/agent.h"
#include "wire/status_page.h"

namespace vaccel::agent {
namespace {

wire::VmStatus status_of(const Vm& vm) {
  wire::VmStatus status{.name = vm.name,
                        .tenant = vm.tenant->name(),
                        .listen = vm.listen,
                        .cid = vm.cid,
                        .window = {},
                        .sessions = vm.sessions,
                        .problem = {}};
  if (vm.window) {
    status.window = vm.window->path();
    status.window_bytes = vm.window->bytes();
    status.leased_bytes = vm.window->leased_bytes();
    status.leases = vm.window->leases();
    status.problem = vm.window->problem();
  }
  return status;
}

wire::TenantStatus status_of(const Tenant& tenant, const CallsNow& calls) {
  const Totals& totals = tenant.totals();
  return {.name = tenant.name(),
          .weight = tenant.settings().weight,
          .sessions = static_cast<uint32_t>(tenant.taken(Resource::kSessions)),
          .calls_queued = calls.queued,
          .calls_running = calls.running,
          .calls = totals.calls,
          .failed_calls = totals.failed_calls,
          .refused = totals.refused,
          .copied_bytes = totals.copied_bytes,
          .window_bytes = totals.window_bytes,
          .bytes_in_flight = tenant.taken(Resource::kBytes),
          .models_open = tenant.taken(Resource::kModels),
          .leases = tenant.taken(Resource::kLeases),
          .leased_bytes = tenant.taken(Resource::kLeasedBytes),
          .device_buffers = tenant.taken(Resource::kDeviceBuffers),
          .device_bytes = tenant.taken(Resource::kDeviceBytes)};
}

using Workers = std::vector<const WorkerSlot*>;

// Calls that wait or run, by what `key_of(request)` says.
template <typename Key, typename KeyOf>
std::map<Key, CallsNow> count_calls(const Workers& workers, KeyOf key_of) {
  std::map<Key, CallsNow> calls;
  for (const auto& worker : workers) {
    worker->visit_calls([&](const WorkerRequest& request, bool running) {
      CallsNow& now = calls[key_of(request)];
      ++(running ? now.running : now.queued);
    });
  }
  return calls;
}

template <typename Key>
CallsNow calls_of(const std::map<Key, CallsNow>& calls, const Key& key) {
  const auto found = calls.find(key);
  return found != calls.end() ? found->second : CallsNow{};
}

wire::ModelStatus status_of(const std::string& name, const std::string& problem, const Workers& workers) {
  wire::ModelStatus model{.name = name, .backend = {}, .problem = problem, .workers = {}};
  bool loading = false;
  for (const auto& worker : workers) {
    const auto in_worker = worker->state_of(name);
    loading = loading || in_worker.loading;
    if (!in_worker.backend.empty()) {
      model.workers.push_back(static_cast<uint16_t>(worker->index()));
      model.backend = in_worker.backend;
    }
    if (model.problem.empty()) model.problem = in_worker.problem;
  }
  using enum wire::LoadState;
  const bool usable = model.problem.empty();
  model.state = !model.workers.empty() ? kLoaded : loading ? kLoading : usable ? kNotLoaded : kUnusable;
  return model;
}

}  // namespace

wire::StatusReport Agent::status(const wire::ReadStatus& read) const {
  wire::StatusReport report{.server = "vacceld " VACCEL_VERSION_TEXT,
                            .sessions = static_cast<uint32_t>(sessions_.size()),
                            .workers = static_cast<uint32_t>(all_workers().size()),
                            .calls = traffic_.calls,
                            .failed_calls = traffic_.failed_calls,
                            .copied_bytes = traffic_.copied_bytes,
                            .window_bytes = traffic_.window_bytes,
                            .windows = traffic_.windows,
                            .leased_bytes = traffic_.leased_bytes,
                            .vms = {},
                            .device_bytes = traffic_.device_bytes};
  for (const auto& [name, attached] : vms_) {
    const auto& window = attached.vm->window;
    if (!window) continue;
    ++report.windows;
    report.leased_bytes += window->leased_bytes();
  }
  wire::StatusPage page(report, read.start);
  switch (read.list) {
    case wire::StatusList::kVms:
      for (const auto& [name, attached] : vms_) {
        if (page.takes_next()) page.add(report.vms, status_of(*attached.vm));
      }
      break;
    case wire::StatusList::kTenants:
      tell_tenants(report, page);
      break;
    case wire::StatusList::kModels:
      tell_models(report, page);
      break;
    case wire::StatusList::kWorkers:
      tell_workers(report, page);
      break;
    case wire::StatusList::kBackends:
      if (workers_.empty()) break;
      for (const wire::BackendInfo& backend : workers_.front()->backends()) {  // alike in all
        if (page.takes_next()) page.add(report.backends, backend);
      }
      break;
  }
  return report;
}

void Agent::tell_tenants(wire::StatusReport& report, wire::StatusPage& page) const {
  const auto calls = count_calls<const Tenant*>(all_workers(), [](const WorkerRequest& request) {
    return static_cast<const Tenant*>(request.tenant.get());
  });
  for (const auto& [name, tenant] : tenants_.all()) {
    if (!page.takes_next()) continue;
    const Tenant* key = tenant.get();
    page.add(report.tenants, status_of(*tenant, calls_of(calls, key)));
  }
}

void Agent::tell_models(wire::StatusReport& report, wire::StatusPage& page) const {
  const auto calls =
      count_calls<std::string>(all_workers(), [](const WorkerRequest& request) { return request.model; });
  for (const auto& [name, entry] : catalogue_.entries()) {
    if (!page.takes_next()) continue;
    wire::ModelStatus model = status_of(name, entry.problem, all_workers());
    const CallsNow now = calls_of(calls, name);
    const Totals totals = metrics_.totals_of(name);
    model.calls_queued = now.queued;
    model.calls_running = now.running;
    model.calls = totals.calls;
    model.failed_calls = totals.failed_calls;
    page.add(report.models, std::move(model));
  }
}

void Agent::tell_workers(wire::StatusReport& report, wire::StatusPage& page) const {
  for (const WorkerSlot* worker : all_workers()) {
    if (!page.takes_next()) continue;
    WorkerNow now = worker->now();
    page.add(report.worker_list, wire::WorkerStatus{.index = now.index,
                                                    .pid = static_cast<uint32_t>(now.pid),
                                                    .ready = now.ready,
                                                    .problem = std::move(now.problem),
                                                    .threads = now.threads,
                                                    .models = now.models,
                                                    .calls_queued = now.calls.queued,
                                                    .calls_running = now.calls.running,
                                                    .starts = now.starts,
                                                    .cpus = of_worker(config_.worker.cpus, now.index),
                                                    .device = of_worker(config_.worker.devices, now.index)});
  }
}

}  // namespace vaccel::agent
