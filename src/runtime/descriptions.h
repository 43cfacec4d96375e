// SPDX-License-Identifier: Apache-2.0
//
// What the runtime says of itself and its models, in the public C structs, with the memory that they point
// into.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "runtime/model_store.h"
#include "runtime/operators/operator.h"
#include "runtime/runtime.h"
#include "vaccel/vaccel.h"

namespace vaccel::runtime {

/// Owns what a vaccel_model points to.
class ModelText {
 public:
  /// Inputs and outputs are left out unless `with_tensors`.
  ModelText(ModelFacts facts, bool with_tensors);
  ModelText(const ModelText&) = delete;
  ModelText& operator=(const ModelText&) = delete;
  [[nodiscard]] const vaccel_model& view() const { return view_; }

 private:
  ModelFacts facts_;
  std::vector<vaccel_tensor_info> inputs_;
  std::vector<vaccel_tensor_info> outputs_;
  std::vector<vaccel_metadata> metadata_;
  vaccel_model view_{};
};

class ModelListText {
 public:
  explicit ModelListText(std::vector<ModelFacts> models);
  ModelListText(const ModelListText&) = delete;
  ModelListText& operator=(const ModelListText&) = delete;
  [[nodiscard]] const vaccel_model_list& view() const { return view_; }

 private:
  std::deque<ModelText> models_;
  std::vector<const vaccel_model*> pointers_;
  vaccel_model_list view_{};
};

class OperatorListText {
 public:
  explicit OperatorListText(std::vector<OperatorFacts> operators);
  OperatorListText(const OperatorListText&) = delete;
  OperatorListText& operator=(const OperatorListText&) = delete;
  [[nodiscard]] const vaccel_operator_list& view() const { return view_; }

 private:
  struct One {
    vaccel_operator view{};
    std::vector<vaccel_operator_part> parts;
    std::vector<vaccel_operator_backend> backends;
  };

  std::vector<OperatorFacts> facts_;
  std::deque<One> views_;
  std::vector<const vaccel_operator*> pointers_;
  vaccel_operator_list view_{};
};

class AgentText {
 public:
  AgentText(std::vector<BackendReport> backends, size_t model_count);
  AgentText(const AgentText&) = delete;
  AgentText& operator=(const AgentText&) = delete;
  [[nodiscard]] const vaccel_agent& view() const { return view_; }

 private:
  std::vector<BackendReport> backends_;
  std::vector<vaccel_backend_info> infos_;
  std::string version_;
  vaccel_agent view_{};
};

}  // namespace vaccel::runtime
