// SPDX-License-Identifier: Apache-2.0
//
// What an operator is to the runtime: a name, a function of a call, and what it says of itself. Each operator has a file of its own
// in this folder; the registry knows them all.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/runtime_abi.h"

namespace vaccel::runtime {

/// An input, an output or an attribute, in words; see vaccel_operator_part.
struct PartFacts {
  vaccel_operator_part_kind kind;
  std::string name;
  std::string type;
  std::string description;
};

/// A backend that an operator can run on; see vaccel_operator_backend.
struct OfferFacts {
  std::string backend;
  int32_t dtype = 0;
  int32_t score = 0;
};

/// What an operator is, for those who ask what there is. Nothing of a call is checked against it.
struct OperatorFacts {
  std::string name;
  std::string description;
  std::vector<PartFacts> parts;  ///< Inputs, then outputs, then attributes.
  std::vector<OfferFacts> offers;
  bool works_on_model = false;  ///< Then whoever runs models offers it.
};

/// Run from many threads at once: an operator keeps nothing between calls.
class Operator {
 public:
  explicit Operator(std::string name) : name_(std::move(name)) {}
  virtual ~Operator() = default;
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  virtual Status run(RuntimeCall& call) const = 0;
  /// Whether it can do with inputs and results that only a backend's device can reach. What it does not give to that
  /// backend it copies with copy_bytes(), see runtime/memory.h.
  [[nodiscard]] virtual bool takes_device_memory() const { return false; }
  [[nodiscard]] virtual OperatorFacts facts() const = 0;

 private:
  const std::string name_;
};

/// INVALID_ARGUMENT when `call` has no model, since `name` needs one.
Status require_model(const RuntimeCall& call, const char* name);

/// Asks the caller for the memory of a result. RESOURCE_EXHAUSTED when there is none.
Result<void*> request_output(const RuntimeCall& call, size_t index, const char* name, vaccel_dtype dtype,
                             std::span<const int64_t> shape, size_t bytes);

}  // namespace vaccel::runtime
