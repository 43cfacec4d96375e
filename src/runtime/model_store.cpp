// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_store.h"

#include "core/clock.h"

namespace vaccel::runtime {

ModelStore::ModelStore(const Catalogue& catalogue, const Backends& backends, const LogFunction& log)
    : backends_(backends), log_(log) {
  replace(catalogue);
}

void ModelStore::add(const std::string& name, std::shared_ptr<const CatalogueEntry> entry) {
  Slot& slot = slots_[name];
  slot.facts = {};
  slot.facts.problem = entry->problem;
  if (!entry->problem.empty() && log_) log_(2, "model '" + name + "' cannot be used: " + entry->problem);
  slot.facts.entry = std::move(entry);
}

void ModelStore::replace(const Catalogue& catalogue) {
  const std::lock_guard lock(mutex_);
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    const auto current = slot++;
    current->second.gone = catalogue.find(current->first) == nullptr;
    current->second.next = nullptr;
    if (current->second.gone) settle(current);
  }
  for (const auto& [name, entry] : catalogue.entries()) {
    auto shared = std::make_shared<const CatalogueEntry>(entry);
    const auto slot = slots_.find(name);
    if (slot == slots_.end() || !is_in_use(slot->second)) {
      add(name, std::move(shared));
    } else {
      slot->second.next = std::move(shared);
    }
  }
}

// Of a model that may have been closed for the last time: what the newest catalogue said of it takes effect.
void ModelStore::settle(std::map<std::string, Slot, std::less<>>::iterator slot) {
  if (is_in_use(slot->second)) return;
  if (slot->second.gone) {
    slots_.erase(slot);
  } else if (slot->second.next) {
    add(slot->first, std::exchange(slot->second.next, nullptr));
  }
}

size_t ModelStore::size() const {
  const std::lock_guard lock(mutex_);
  return slots_.size();
}

Status ModelStore::unknown(const std::string& name) const {
  std::string known;
  for (const auto& [other, slot] : slots_) {
    if (known.size() > 300) {
      known += ", ...";
      break;
    }
    known += (known.empty() ? "" : ", ") + other;
  }
  return failure(VACCEL_NOT_FOUND, "no model '%s' in the catalogue; it has: %s", printable(name).c_str(),
                 known.empty() ? "none" : known.c_str());
}

Result<Model*> ModelStore::open(const std::string& name) {
  std::unique_lock lock(mutex_);
  const auto found = slots_.find(name);
  if (found == slots_.end() || found->second.gone) return Unexpected{unknown(name)};
  Slot& slot = found->second;  // stays where it is while somebody loads it or has it open

  if (slot.loading) {
    const uint64_t attempt = slot.attempts;
    ++slot.waiting;
    loaded_.wait(lock, [&] { return slot.attempts != attempt; });
    --slot.waiting;
    if (!slot.failure.ok()) return Unexpected{slot.failure};  // the load that this call waited for
  }
  while (slot.model == nullptr) {
    if (slot.loading) {  // it was closed, and is being opened again
      ++slot.waiting;
      loaded_.wait(lock, [&] { return !slot.loading; });
      --slot.waiting;
      continue;
    }
    slot.loading = true;
    const std::shared_ptr<const CatalogueEntry> entry = slot.facts.entry;
    lock.unlock();
    const Stopwatch watch;
    auto model = entry->problem.empty() ? Model::load(*entry, backends_)
                                        : fail(VACCEL_UNAVAILABLE, "%s", entry->problem.c_str());
    const uint64_t took_ns = watch.elapsed_ns();
    lock.lock();
    slot.loading = false;
    ++slot.attempts;
    slot.failure = model ? Status() : model.error().within("model '" + name + "' cannot be used");
    if (model) {
      slot.facts.backend = (*model)->primary().backend().name();
      slot.facts.inputs = (*model)->primary().inputs();
      slot.facts.outputs = (*model)->primary().outputs();
      slot.facts.metadata = (*model)->primary().metadata();
      slot.facts.problem.clear();
      slot.model = std::move(*model);
    } else {
      slot.facts.problem = model.error().message();
    }
    const Status failed = slot.failure;
    loaded_.notify_all();
    if (log_) {
      log_(failed.ok() ? 1 : 2, failed.ok() ? "loaded model '" + name + "' in " + slot.facts.backend +
                                                  " in " + std::to_string(took_ns / 1'000'000) + " ms"
                                            : failed.message());
    }
    if (!failed.ok()) {
      settle(slots_.find(name));  // the catalogue may have been read again meanwhile
      return Unexpected{failed};
    }
  }
  ++slot.users;
  return slot.model.get();
}

void ModelStore::close(Model* model) {
  if (model == nullptr) return;
  std::unique_ptr<Model> last;  // unloaded after the lock is gone: it takes time
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(model->description().name);
  if (found == slots_.end() || found->second.model.get() != model || found->second.users == 0) return;
  if (--found->second.users != 0) return;
  last = std::move(found->second.model);
  settle(found);
}

std::vector<ModelFacts> ModelStore::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelFacts> all;
  all.reserve(slots_.size());
  for (const auto& [name, slot] : slots_)
    if (!slot.gone) all.push_back(slot.facts);
  return all;
}

Result<ModelFacts> ModelStore::describe(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(name);
    if (found == slots_.end() || found->second.gone) return Unexpected{unknown(name)};
    if (!found->second.facts.backend.empty()) return found->second.facts;
  }
  if (const auto model = open(name)) close(*model);  // the failure is in the facts
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(name);
  if (found == slots_.end()) return Unexpected{unknown(name)};
  return found->second.facts;
}

}  // namespace vaccel::runtime
