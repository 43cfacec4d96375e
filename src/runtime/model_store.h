// SPDX-License-Identifier: Apache-2.0
//
// Which models of the catalogue are open, and for how many: loads at the first open, unloads at the last
// close, and lets many callers wait for one load.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/backend_library.h"
#include "runtime/catalogue.h"
#include "runtime/model.h"

namespace vaccel::runtime {

/// What is known of a model; of one that was never loaded, what its model.toml says.
struct ModelFacts {
  std::shared_ptr<const CatalogueEntry> entry;  ///< Shared: the catalogue may be read again meanwhile.
  std::string backend;
  std::string problem;
  std::vector<TensorFacts> inputs;
  std::vector<TensorFacts> outputs;
  std::vector<MetadataPair> metadata;
};

class ModelStore {
 public:
  /// `backends` and `log` must outlive the store.
  ModelStore(const Catalogue& catalogue, const Backends& backends, const LogFunction& log);

  Result<Model*> open(const std::string& name);
  void close(Model* model);

  /// All of them, by name.
  [[nodiscard]] std::vector<ModelFacts> list() const;
  /// One of them, its inputs and outputs included: loads it if that never happened. NOT_FOUND; a model that
  /// cannot be loaded is described with its problem.
  Result<ModelFacts> describe(const std::string& name);
  [[nodiscard]] size_t size() const;

  /// Has the models of another catalogue from now on. One that is open stays as it is until it is closed for the last time, and is
  /// what the new catalogue says then.
  void replace(const Catalogue& catalogue);

 private:
  struct Slot {
    ModelFacts facts;
    bool gone = false;                           // from the catalogue, and still open
    std::shared_ptr<const CatalogueEntry> next;  // what it is from its next load on
    bool loading = false;
    size_t waiting = 0;     // for a load
    uint64_t attempts = 0;  // loads that have ended
    Status failure;         // of the last one
    std::unique_ptr<Model> model;
    size_t users = 0;
  };

  static bool is_in_use(const Slot& slot) {
    return slot.model != nullptr || slot.loading || slot.waiting > 0;
  }
  Status unknown(const std::string& name) const;

  void add(const std::string& name, std::shared_ptr<const CatalogueEntry> entry);
  void settle(std::map<std::string, Slot, std::less<>>::iterator slot);

  const Backends& backends_;
  const LogFunction& log_;
  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::map<std::string, Slot, std::less<>> slots_;
};

}  // namespace vaccel::runtime
