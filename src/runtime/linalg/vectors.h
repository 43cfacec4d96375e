// SPDX-License-Identifier: Apache-2.0
//
// The operators on vectors. A tensor of any shape is a vector of its elements; two inputs have one shape, and a result
// that is not a single number has it too.
//
//   axpy   x, y   attribute alpha (1)   "y" = alpha x + y
//   scal   x      attribute alpha (1)   "x" = alpha x
//   dot    x, y                         "result" [] = x . y
//   nrm2   x                            "result" [] = the Euclidean norm
//   add    x, y                         "result" = x + y
//   copy   x                            "result" = x
//   min    x                            "result" [] = the least element; NaN if there is one
//   max    x                            "result" [] = the greatest, likewise
#pragma once

#include <memory>
#include <span>

#include "runtime/linalg/arguments.h"
#include "runtime/linalg/backend_choice.h"
#include "runtime/operators/operator.h"

namespace vaccel::runtime::linalg {

/// One of them, as the table in vectors.cpp has it.
struct VectorOperation {
  vaccel_linalg_operation operation;
  Signature signature;
  const char* result;
  bool gives_number;  ///< Its result is one element.
  bool is_empty_allowed;
  /// The input that the result begins as, which is changed where it lies; -1: none.
  int begins_as;
  const char* meaning;  ///< In words, for people.
};

/// All of them.
std::span<const VectorOperation> vector_operations();

class VectorOperator final : public Operator {
 public:
  /// All three must outlive the operator.
  VectorOperator(const VectorOperation& operation, const BackendChoice& backends, CancelWatcher& watcher)
      : Operator(operation.signature.name), operation_(operation), backends_(backends), watcher_(watcher) {}
  Status run(RuntimeCall& call) const override;
  [[nodiscard]] bool takes_device_memory() const override { return true; }
  [[nodiscard]] OperatorFacts facts() const override;

 private:
  const VectorOperation& operation_;
  const BackendChoice& backends_;
  CancelWatcher& watcher_;
};

}  // namespace vaccel::runtime::linalg
