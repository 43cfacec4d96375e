// SPDX-License-Identifier: Apache-2.0
//
// An operator that a backend implements itself, without a model: "reference.echo".
#pragma once

#include <span>

#include "runtime/backend_library.h"
#include "runtime/cancel_watcher.h"
#include "runtime/operators/operator.h"

namespace vaccel::runtime {

class BackendOperator final : public Operator {
 public:
  /// All three must outlive the operator.
  BackendOperator(const vaccel_backend_operator& implementation, BackendLibrary& backend,
                  CancelWatcher& watcher)
      : Operator(implementation.name),
        implementation_(implementation),
        backend_(backend),
        watcher_(watcher) {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] bool takes_device_memory() const override { return backend_.memory() != nullptr; }
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  Status run_with(RuntimeCall& call, std::span<const vaccel_attribute> attributes) const;

  const vaccel_backend_operator& implementation_;
  BackendLibrary& backend_;
  CancelWatcher& watcher_;
};

}  // namespace vaccel::runtime
