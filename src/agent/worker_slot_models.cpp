// SPDX-License-Identifier: Apache-2.0
//
// The worker slot's models: loading them on demand, and unloading those that were used longest ago.
#include <algorithm>

#include "agent/worker_slot.h"
#include "core/clock.h"

namespace vaccel::agent {

WorkerSlot::ModelState WorkerSlot::state_of(const std::string& model) const {
  ModelState state;
  if (const auto loaded = models_.find(model); loaded != models_.end()) {
    state.backend = loaded->second.backend;
    state.loading = loaded->second.state == LoadedModel::State::kLoading;
  }
  if (const auto problem = load_problems_.find(model); problem != load_problems_.end())
    state.problem = problem->second;
  return state;
}

std::string WorkerSlot::backend_of(const std::string& model) const {
  const auto known = known_models_.find(model);
  return known == known_models_.end() ? std::string() : known->second.backend;
}

// ---- Loading

void WorkerSlot::preload(const std::string& name) {
  preloaded_.insert(name);
  if (ready_) begin_preloads();
}

// Not of one that ends workers: it would end each as it starts.
void WorkerSlot::begin_preloads() {
  for (const std::string& name : preloaded_) {
    if (!models_.contains(name) && options_.quarantine->check({}, name, now_ns()).ok()) begin_loading(name);
  }
}

// What waits may want models that are not loaded: one load for all of a model's calls.
void WorkerSlot::begin_wanted_loads() {
  std::vector<std::string> wanted;
  for (const auto& [lane, size] : queue_.lane_sizes()) {
    if (!lane.empty() && !models_.contains(lane)) wanted.push_back(lane);
  }
  for (const std::string& name : wanted)
    begin_loading(name);
}

void WorkerSlot::begin_loading(const std::string& name) {
  const uint64_t id = next_id_++;
  log_.debug("worker %u loads model '%s'", options_.index, name.c_str());
  if (const auto known = known_models_.find(name); known != known_models_.end())
    make_room_for_models(name, known->second.bytes);
  models_.emplace(name, LoadedModel{});
  (void)send(id, wire::OpenModel{name, options_.settings_of(name).preload});
  start_own(id, wire::OpenModel{name}, {});
  running_.find(id)->second.loading = name;
}

void WorkerSlot::finish_loading(const std::string& name, const WorkerReply& reply) {
  const auto entry = models_.find(name);
  if (entry == models_.end()) return;
  LoadedModel& model = entry->second;
  options_.metrics.model_loaded(options_.label.empty() ? name : options_.label, reply.status.ok());
  if (!reply.status.ok()) {
    load_problems_[name] = reply.status.message();
    log_.client_line(ClientLine::kModel, LogLevel::kWarning, {.model = name},
                     "model '%s' cannot be loaded: %s", name.c_str(), reply.status.message().c_str());
    models_.erase(entry);  // the next call tries again: the operator may have mended it
    return fail_lane(name, reply.status);
  }
  // What it took before, if that was more: in memory that an unloaded one has left behind a load seems to take nothing.
  const uint64_t bytes = std::max(reply.bytes, known_models_[name].bytes);
  model = {.state = LoadedModel::State::kLoaded,
           .handle = reply.model,
           .backend = reply.backend,
           .bytes = bytes,
           .used_ns = now_ns(),
           .retired = model.retired};  // it has changed while it was loaded
  want(name, reply.calls_wanted);
  known_models_[name] = {reply.backend, bytes};
  load_problems_.erase(name);
  log_.debug("worker %u: model '%s' takes %llu bytes", options_.index, name.c_str(),
             static_cast<unsigned long long>(reply.bytes));
  if (options_.model_bytes != 0 && reply.bytes > options_.model_bytes) {
    const Status status = failure(
        VACCEL_RESOURCE_EXHAUSTED,
        "model '%s' takes %llu bytes of memory; a worker's models may take %llu together", name.c_str(),
        static_cast<unsigned long long>(reply.bytes), static_cast<unsigned long long>(options_.model_bytes));
    load_problems_[name] = status.message();
    fail_lane(name, status);
    return unload(name);
  }
  make_room_for_models(name, 0);
}

void WorkerSlot::fail_lane(const std::string& name, const Status& status) {
  for (Queue::Entry& entry : queue_.take_lane(name))
    fail_later(std::move(entry.item), status);
}

// ---- A catalogue that changes

void WorkerSlot::read_catalogue_again(std::move_only_function<void(Status)> done) {
  if (!process_ || resting_ || !end_reason_.empty()) return done({});
  const uint64_t id = next_id_++;
  (void)send(id, wire::Reload{});
  start_own(id, wire::OpenModel{},
            [then = std::move(done)](WorkerReply reply) mutable { then(std::move(reply.status)); });
}

bool WorkerSlot::is_idle(const std::string& model) const {
  const auto lane = lanes_.find(model);
  return !queue_.lane_sizes().contains(model) && (lane == lanes_.end() || lane->second.running == 0);
}

void WorkerSlot::retire_model(const std::string& name) {
  known_models_.erase(name);
  load_problems_.erase(name);
  const auto model = models_.find(name);
  if (model == models_.end() || !process_) return;
  model->second.retired = true;
  unload_if_retired(name);
}

void WorkerSlot::unload_if_retired(const std::string& name) {
  const auto model = models_.find(name);
  const bool wanted =
      model != models_.end() && model->second.retired && model->second.state == LoadedModel::State::kLoaded;
  if (wanted && is_idle(name)) unload(name);
}

void WorkerSlot::forget_model(const std::string& name) {
  known_models_.erase(name);
  load_problems_.erase(name);
  preloaded_.erase(name);
  if (is_idle(name)) lanes_.erase(name);
  const auto model = models_.find(name);
  if (model == models_.end() || !process_) return;
  if (model->second.state == LoadedModel::State::kLoaded && is_idle(name)) return unload(name);
  if (model->second.state == LoadedModel::State::kUnloading) return;
  resting_ = true;  // nobody's fault
  end_process("model '" + name + "' was deleted");
}

// ---- Unloading

uint64_t WorkerSlot::loaded_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, model] : models_)
    bytes += model.bytes;
  return bytes;
}

// Unloads, of the models that nobody uses at present, those that were used longest ago, until `wanted_bytes` more are within the
// limit. Those that are in use may go when they are not.
void WorkerSlot::make_room_for_models(const std::string& newest, uint64_t wanted_bytes) {
  if (options_.model_bytes == 0 || !process_) return;
  const auto is_idle = [this, &newest](const auto& entry) {
    const auto& [name, model] = entry;
    const auto lane = lanes_.find(name);
    return model.state == LoadedModel::State::kLoaded && name != newest &&
           !queue_.lane_sizes().contains(name) && (lane == lanes_.end() || lane->second.running == 0);
  };
  uint64_t bytes = loaded_bytes() + wanted_bytes;
  while (bytes > options_.model_bytes) {
    auto oldest = models_.end();
    for (auto entry = models_.begin(); entry != models_.end(); ++entry) {
      if (is_idle(*entry) && (oldest == models_.end() || entry->second.used_ns < oldest->second.used_ns))
        oldest = entry;
    }
    if (oldest == models_.end()) return;
    bytes -= oldest->second.bytes;
    unload(oldest->first);
  }
}

void WorkerSlot::unload(const std::string& name) {
  LoadedModel& model = models_.find(name)->second;
  model.state = LoadedModel::State::kUnloading;
  model.bytes = 0;
  log_.client_line(ClientLine::kModel, LogLevel::kInfo, {.model = name}, "worker %u unloads model '%s'",
                   options_.index, name.c_str());
  const uint64_t id = next_id_++;
  (void)send(id, wire::CloseModel{model.handle});
  start_own(id, wire::OpenModel{}, [this, name](const WorkerReply&) { models_.erase(name); });
}

}  // namespace vaccel::agent
