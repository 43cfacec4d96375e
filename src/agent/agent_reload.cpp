// SPDX-License-Identifier: Apache-2.0
//
// Reading the configuration again while sessions go on. What was found there takes effect for the next call; what cannot be
// changed in a running agent is told, and stays as it was.
#include <algorithm>
#include <utility>

#include "agent/agent.h"

namespace vaccel::agent {
namespace {

// What only a new agent has anew.
std::string notes_of(const Config& before, const Config& now) {
  std::string notes;
  const auto note = [&notes](bool differs, const char* key) {
    if (differs) notes += std::string(key) + " takes effect when the agent is started again\n";
  };
  const auto texts_of = [](const Config& config) {
    std::vector<std::string> texts;
    for (const channel::Endpoint& endpoint : config.listen)
      texts.push_back(endpoint.text());
    return texts;
  };
  note(texts_of(before) != texts_of(now), "listen");
  note(before.socket_mode != now.socket_mode, "socket_mode");
  note(before.catalogue != now.catalogue, "catalogue");
  note(before.control != now.control, "control");
  note(before.spin_us != now.spin_us, "spin_us");
  note(before.worker != now.worker, "[worker]");
  note(before.jail != now.jail, "[jail]");
  note(before.uploads != now.uploads, "[uploads]");
  note(before.user != now.user, "user");
  note(before.limits.segment_bytes != now.limits.segment_bytes, "[limits] segment_bytes");
  return notes;
}

bool is_same(const wire::AttachVm& one, const wire::AttachVm& other) {
  return one.name == other.name && one.listen == other.listen && one.cid == other.cid &&
         one.tenant == other.tenant && one.window == other.window && one.memory_bytes == other.memory_bytes &&
         one.prefault == other.prefault;
}

}  // namespace

Result<std::string> Agent::reload() {
  if (shutting_down_) return fail(VACCEL_UNAVAILABLE, "the agent is shutting down");
  auto read = read_again_();
  if (!read) {
    log_.error("the configuration is not taken: %s", read.error().message().c_str());
    return Unexpected{read.error()};
  }
  auto catalogue = config_.catalogue.empty() ? Result<runtime::Catalogue>(runtime::Catalogue())
                                             : runtime::Catalogue::read(config_.catalogue);
  if (!catalogue) {
    log_.error("the configuration is not taken: %s", catalogue.error().message().c_str());
    return Unexpected{catalogue.error()};
  }
  const std::string notes = notes_of(config_, *read);
  take_catalogue(std::move(*catalogue));
  apply(std::move(*read));
  log_.info("the configuration was read again");
  return notes;
}

// Models come and go, and change: those that are loaded stay as they are for the calls that use them.
void Agent::take_catalogue(runtime::Catalogue catalogue) {
  const runtime::Catalogue before = std::exchange(catalogue_, std::move(catalogue));
  for (const auto& [name, entry] : before.entries()) {
    const runtime::CatalogueEntry* now = catalogue_.find(name);
    if (now != nullptr && now->stamp == entry.stamp && now->problem == entry.problem) continue;
    log_.info("model '%s' %s", name.c_str(),
              now == nullptr ? "has gone from the catalogue" : "has changed in the catalogue");
    for (auto& worker : workers_)
      worker->retire_model(name);
  }
  for (const auto& [name, entry] : catalogue_.entries()) {
    if (before.find(name) == nullptr) log_.info("model '%s' has come to the catalogue", name.c_str());
    if (!entry.problem.empty())
      log_.warning("model '%s' cannot be used: %s", name.c_str(), entry.problem.c_str());
  }
  for (auto& worker : workers_) {
    worker->read_catalogue_again([this](const Status& status) {
      if (!status.ok()) log_.error("a worker cannot read the catalogue again: %s", status.message().c_str());
    });
  }
}

void Agent::apply(Config config) {
  const std::vector<wire::AttachVm> vms_before = std::move(config_.vms);
  // Sessions have a reference to the limits.
  const uint64_t segment_bytes = config_.limits.segment_bytes;
  config_.limits = config.limits;
  config_.limits.segment_bytes = segment_bytes;
  config_.tenants = std::move(config.tenants);
  config_.models = std::move(config.models);
  config_.watched = std::move(config.watched);
  config_.vms = std::move(config.vms);
  config_.log_level = std::move(config.log_level);
  config_.log_format = config.log_format;
  log_.set_level(config_.log_level);
  log_.set_format(config_.log_format);
  tenants_.apply(config_.tenants);
  if (const Status status = listen_for_tenants(); !status.ok())
    log_.error("an endpoint of a tenant's: %s", status.message().c_str());
  follow_vms(vms_before, config_.vms);
  vm_watch_.watch(config_.watched);
  preload();
}

// VMs of the configuration come and go with it; those that were attached otherwise stay.
void Agent::follow_vms(const std::vector<wire::AttachVm>& before, const std::vector<wire::AttachVm>& now) {
  const auto has = [](const std::vector<wire::AttachVm>& list, const wire::AttachVm& vm) {
    return std::ranges::any_of(list, [&](const wire::AttachVm& one) { return is_same(one, vm); });
  };
  const auto attach_new = [this](const wire::AttachVm& vm) {
    attach(vm, [this, name = vm.name](const Result<wire::VmAttached>& attached) {
      if (!attached)
        log_.line(LogLevel::kError, {.vm = name}, "VM '%s' is not attached: %s", name.c_str(),
                  attached.error().message().c_str());
    });
  };
  const auto wanted = [&](const std::string& name) {
    return std::ranges::find(now, name, &wire::AttachVm::name);
  };
  for (const wire::AttachVm& vm : before) {
    if (has(now, vm) || !vms_.contains(vm.name)) continue;
    const auto again = wanted(vm.name);
    std::optional<wire::AttachVm> next;
    if (again != now.end()) next = *again;
    detach(vm.name, [this, attach_new, next](const Status& status) {
      if (status.ok() && next && !shutting_down_) attach_new(*next);
    });
  }
  for (const wire::AttachVm& vm : now) {
    const bool was_there = std::ranges::find(before, vm.name, &wire::AttachVm::name) != before.end();
    if (!has(before, vm) && (!was_there || !vms_.contains(vm.name))) attach_new(vm);
  }
}

}  // namespace vaccel::agent
