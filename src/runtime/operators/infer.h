// SPDX-License-Identifier: Apache-2.0
//
// "infer": runs a model on tensors. Inputs are matched to the model's by name, or by position where they have
// none, and checked against its description before the framework sees them. Outputs are the model's, in its
// order.
#pragma once

#include "runtime/cancel_watcher.h"
#include "runtime/model.h"
#include "runtime/operators/operator.h"

namespace vaccel::runtime {

class InferOperator final : public Operator {
 public:
  explicit InferOperator(CancelWatcher& watcher) : Operator("infer"), watcher_(watcher) {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  CancelWatcher& watcher_;
};

/// Puts `given` into the order of `inputs` and checks each against it. `ordered` has room for inputs.size().
/// INVALID_ARGUMENT says which input is wrong, what was seen, and what the model takes.
Status order_inputs(std::span<const TensorFacts> inputs, std::span<const vaccel_tensor> given,
                    std::span<vaccel_tensor> ordered);

}  // namespace vaccel::runtime
