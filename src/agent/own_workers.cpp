// SPDX-License-Identifier: Apache-2.0
#include "agent/own_workers.h"

#include "agent/worker_jail.h"

namespace vaccel::agent {

OwnWorkers::OwnWorkers(Reactor& reactor, Log& log, const Config& config, const UploadStore& store,
                       Metrics& metrics, std::vector<std::string> arguments)
    : reactor_(reactor),
      log_(log),
      config_(config),
      store_(store),
      metrics_(metrics),
      arguments_(std::move(arguments)) {}

Result<WorkerSlot*> OwnWorkers::of(const std::string& tenant) {
  if (const auto known = workers_.find(tenant); known != workers_.end()) return known->second.slot.get();
  const auto catalogue = store_.catalogue_of(tenant);
  if (!catalogue) return Unexpected{catalogue.error()};
  const UploadSettings& settings = store_.settings();
  std::vector<std::string> arguments = arguments_;
  arguments.insert(arguments.end(), {"--catalogue", catalogue->string(), "--prefix", kOwnPrefix});
  for (const std::string& backend : settings.backends)
    arguments.insert(arguments.end(), {"--backend", backend});
  auto quarantine = std::make_unique<Quarantine>();
  auto jail = std::make_unique<jail::Jail>(policy_of_own_worker(config_, *catalogue));
  const auto index = config_.worker.count + static_cast<uint32_t>(workers_.size());
  auto log = std::make_unique<Log>(log_, index);
  auto slot = WorkerSlot::create(reactor_, *log,
                                 {.jail = *jail,
                                  .program = config_.worker.program,
                                  .arguments = std::move(arguments),
                                  .config = config_.file,
                                  .threads = settings.threads,
                                  .segment_bytes = config_.limits.segment_bytes,
                                  .index = index,
                                  .label = kOwnModels,
                                  .spin_us = config_.spin_us,
                                  .settings_of = [](const std::string&) { return ModelSettings{}; },
                                  .supervision = config_.worker.supervision,
                                  .ends_late_calls = true,
                                  .idle_ms = settings.idle_ms,
                                  .quarantine = quarantine.get(),
                                  .metrics = metrics_});
  if (!slot) return Unexpected{slot.error()};
  log->info("worker %u is for models of tenant '%s'", index, tenant.c_str());
  return workers_
      .emplace(tenant, Own{std::move(quarantine), std::move(jail), std::move(log), std::move(*slot)})
      .first->second.slot.get();
}

void OwnWorkers::visit(const std::function<void(WorkerSlot&)>& visit) {
  for (auto& [tenant, own] : workers_)
    visit(*own.slot);
}

void OwnWorkers::visit(const std::function<void(const WorkerSlot&)>& visit) const {
  for (const auto& [tenant, own] : workers_)
    visit(*own.slot);
}

bool OwnWorkers::release(const std::string& subject) {
  bool any = false;
  for (auto& [tenant, own] : workers_)
    any = own.quarantine->release(subject) || any;
  return any;
}

void OwnWorkers::stop() {
  visit([](WorkerSlot& slot) { slot.stop_at_once(); });
}

}  // namespace vaccel::agent
