// SPDX-License-Identifier: Apache-2.0
//
// A TorchScript module: loaded from memory, described as far as its code and model.toml tell, run. Inputs are used where
// they lie, unless the script may write to or keep them; results are copied once. Includes nothing of LibTorch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vaccel/backend.h"

namespace vaccel::torch_backend {

class Model {
 public:
  /// Throws a Failure or an exception of LibTorch. INVALID_ARGUMENT: no TorchScript archive, a broken one, one that wants
  /// operators that are not here, or one that `source` declares otherwise; UNIMPLEMENTED: it takes or gives other things
  /// than tensors.
  Model(const vaccel_backend_host* host, const std::string& device,
        const vaccel_backend_model_source& source);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const std::vector<vaccel_tensor_info>& inputs() const;
  [[nodiscard]] const std::vector<vaccel_tensor_info>& outputs() const;

  /// From many threads at once.
  vaccel_status run(vaccel_backend_run& run) const;

 private:
  struct Module;
  std::unique_ptr<const Module> module_;
};

}  // namespace vaccel::torch_backend
