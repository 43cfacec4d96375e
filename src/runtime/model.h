// SPDX-License-Identifier: Apache-2.0
//
// A model of the catalogue that is open: its description, its labels, and the backends' own models that run
// it. What callers hold as `Model*`. Opening, sharing and closing by name is ModelStore's business.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/backend_library.h"
#include "runtime/batcher.h"
#include "runtime/catalogue.h"
#include "runtime/model_metadata.h"
#include "runtime/tensor_facts.h"
#include "runtime/vision_plan.h"
#include "vaccel/backend.h"

namespace vaccel::runtime {

/// One model in one backend. Runs may happen at the same time.
class LoadedModel {
 public:
  static Result<std::unique_ptr<LoadedModel>> load(const CatalogueEntry& entry, FileBytes bytes,
                                                   BackendLibrary& backend, size_t label_count);
  ~LoadedModel();
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  [[nodiscard]] BackendLibrary& backend() const { return backend_; }
  /// Who runs it.
  [[nodiscard]] Batcher& batcher() const { return *batcher_; }
  [[nodiscard]] const std::vector<TensorFacts>& inputs() const { return inputs_; }
  [[nodiscard]] const std::vector<TensorFacts>& outputs() const { return outputs_; }
  /// What its file says of itself.
  [[nodiscard]] const std::vector<MetadataPair>& metadata() const { return metadata_; }
  /// Only of a model of a vision task.
  [[nodiscard]] const std::optional<VisionPlan>& vision_plan() const { return plan_; }

 private:
  explicit LoadedModel(BackendLibrary& backend) : backend_(backend) {}
  Status make_batcher(const ModelDescription& description);

  BackendLibrary& backend_;
  FileBytes bytes_;  // empty where the backend keeps its own copy
  vaccel_backend_model* handle_ = nullptr;
  std::vector<TensorFacts> inputs_;
  std::vector<TensorFacts> outputs_;
  std::vector<MetadataPair> metadata_;
  std::optional<VisionPlan> plan_;
  std::unique_ptr<Batcher> batcher_;
};

class Model {
 public:
  /// Loads the model in the backend that its model.toml prefers, or in the most promising one.
  static Result<std::unique_ptr<Model>> load(const CatalogueEntry& entry, const Backends& backends);

  [[nodiscard]] const ModelDescription& description() const { return entry_.model; }
  [[nodiscard]] const std::vector<std::string>& labels() const { return labels_; }
  [[nodiscard]] const LoadedModel& primary() const { return *primary_; }

  /// The model in the backend of that name, loading it there at first use; nullptr: the primary one.
  Result<const LoadedModel*> in_backend(const char* backend);

 private:
  Model(const CatalogueEntry& entry, const Backends& backends) : entry_(entry), backends_(backends) {}

  const CatalogueEntry& entry_;
  const Backends& backends_;
  std::vector<std::string> labels_;
  std::unique_ptr<LoadedModel> primary_;
  std::mutex mutex_;  // guards others_
  std::map<std::string, std::unique_ptr<LoadedModel>> others_;
};

}  // namespace vaccel::runtime
