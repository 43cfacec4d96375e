// SPDX-License-Identifier: Apache-2.0
//
// "vaccel.echo": the inputs come back as outputs. Always there, whatever backends are; a ping is a call of it
// without inputs.
#pragma once

#include "runtime/operators/operator.h"

namespace vaccel::runtime {

class EchoOperator final : public Operator {
 public:
  EchoOperator() : Operator("vaccel.echo") {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] OperatorFacts facts() const override;
};

}  // namespace vaccel::runtime
