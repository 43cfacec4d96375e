// SPDX-License-Identifier: Apache-2.0
//
// "gemm": c = alpha op(a) op(b) + beta c, row-major, one product or a batch of them.
//
//   inputs      a, b   rank 2; rank 3: a batch; rank 1: flat, with the attributes below
//               c      [m, n] or [batch, m, n], or as many elements flat; needed when beta is not 0
//   attributes  transpose_a, transpose_b   0 or 1: a is k x m, b is n x k
//               m, n, k, batch             needed where no shape tells them
//               lda, ldb                   of flat inputs: elements from row to row
//               stride_a, stride_b         of flat inputs: elements from matrix to matrix; 0: one for all
//               alpha, beta                1 and 0
//   result      c      [m, n], or [batch, m, n] where there is a batch; dense, of the inputs' type
#pragma once

#include "runtime/linalg/backend_choice.h"
#include "runtime/operators/operator.h"

namespace vaccel::runtime::linalg {

class GemmOperator final : public Operator {
 public:
  /// Both must outlive the operator.
  GemmOperator(const BackendChoice& backends, CancelWatcher& watcher)
      : Operator("gemm"), backends_(backends), watcher_(watcher) {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] bool takes_device_memory() const override { return true; }
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  const BackendChoice& backends_;
  CancelWatcher& watcher_;
};

}  // namespace vaccel::runtime::linalg
