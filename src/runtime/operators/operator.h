// SPDX-License-Identifier: Apache-2.0
//
// What an operator is to the runtime: a name, and a function of a call. Each operator has a file of its own
// in this folder; the registry knows them all.
#pragma once

#include <span>
#include <string>

#include "core/status.h"
#include "runtime/runtime_abi.h"

namespace vaccel::runtime {

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

 private:
  const std::string name_;
};

/// INVALID_ARGUMENT when `call` has no model, since `name` needs one.
Status require_model(const RuntimeCall& call, const char* name);

/// Asks the caller for the memory of a result. RESOURCE_EXHAUSTED when there is none.
Result<void*> request_output(const RuntimeCall& call, size_t index, const char* name, vaccel_dtype dtype,
                             std::span<const int64_t> shape, size_t bytes);

}  // namespace vaccel::runtime
