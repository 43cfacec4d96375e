// SPDX-License-Identifier: Apache-2.0
//
// What forward() takes and returns: names, types and shapes, from the schema of the script where it tells them, from the
// declarations of model.toml else.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <deque>
#include <string>
#include <vector>

#include "vaccel/backend.h"

namespace vaccel::torch_backend {

/// Inputs, or outputs.
class Side {
 public:
  /// Copies the name, and of `declared`, which may be nullptr, the rest; without it: float32 of any shape.
  void add(const std::string& name, const vaccel_tensor_info* declared);
  [[nodiscard]] const std::vector<vaccel_tensor_info>& infos() const { return infos_; }

 private:
  std::deque<std::string> names_;
  std::deque<std::vector<int64_t>> shapes_;
  std::vector<vaccel_tensor_info> infos_;
};

struct Signature {
  Side inputs;  ///< The arguments behind self that have no default.
  Side outputs;
  bool returns_dict = false;  ///< Outputs are found by their names, else by their order.
};

/// Throws a Failure; see Model.
Signature read_signature(const c10::FunctionSchema& forward, const vaccel_backend_model_source& source);

/// The tensors of what forward() returned, one for each output.
std::vector<at::Tensor> take_results(const Signature& signature, const c10::IValue& returned);

}  // namespace vaccel::torch_backend
