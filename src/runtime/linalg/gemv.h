// SPDX-License-Identifier: Apache-2.0
//
// "gemv": y = alpha op(a) x + beta y, row-major.
//
//   inputs      a      rank 2, or rank 1: flat, with the attributes below
//               x      as many elements as op(a) has columns
//               y      as many as it has rows; needed when beta is not 0
//   attributes  transpose     0 or 1: y = a^T x
//               m, n          of a; needed where it is flat
//               lda           of a flat a: elements from row to row
//               alpha, beta   1 and 0
//   result      y      [rows of op(a)], dense, of the inputs' type
#pragma once

#include "runtime/linalg/backend_choice.h"
#include "runtime/operators/operator.h"

namespace vaccel::runtime::linalg {

class GemvOperator final : public Operator {
 public:
  /// Both must outlive the operator.
  GemvOperator(const BackendChoice& backends, CancelWatcher& watcher)
      : Operator("gemv"), backends_(backends), watcher_(watcher) {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] bool takes_device_memory() const override { return true; }
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  const BackendChoice& backends_;
  CancelWatcher& watcher_;
};

}  // namespace vaccel::runtime::linalg
