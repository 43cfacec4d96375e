// SPDX-License-Identifier: Apache-2.0
//
// "transfer": its one input, "data", as it is, becomes its one result, "data", of the same type and shape. That is how
// bytes get to device memory (the result's place lies there), from there (the input does), and from one such place to
// another.
#pragma once

#include "runtime/operators/operator.h"

namespace vaccel::runtime {

class TransferOperator final : public Operator {
 public:
  TransferOperator() : Operator("transfer") {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] OperatorFacts facts() const override;
  [[nodiscard]] bool takes_device_memory() const override { return true; }
};

}  // namespace vaccel::runtime
