// SPDX-License-Identifier: Apache-2.0
//
// A model in ONNX Runtime: opened from memory, described, run. Inputs are used where they lie. Floating-point
// outputs of known shape are written straight to where the result goes; all others are copied there once.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "api.h"
#include "tensors.h"

namespace vaccel::onnxruntime {

class Model {
 public:
  /// `api` must outlive the model. INVALID_ARGUMENT: not an ONNX model, or a broken one; UNIMPLEMENTED: its
  /// inputs or outputs are no tensors, or of types that vAccel has no name for.
  Model(const Api& api, const OrtEnv* environment, const OrtSessionOptions* options,
        const vaccel_backend_model_source& source);

  [[nodiscard]] const std::vector<vaccel_tensor_info>& inputs() const { return inputs_.infos; }
  [[nodiscard]] const std::vector<vaccel_tensor_info>& outputs() const { return outputs_.infos; }

  /// Its producer, its graph's name and what else the file says of itself; what it leaves empty is left out.
  [[nodiscard]] const std::vector<vaccel_metadata>& metadata() const { return metadata_; }

  /// From many threads at once.
  vaccel_status run(vaccel_backend_run& run) const;

 private:
  // Names, types and shapes of all inputs, or of all outputs.
  struct Side {
    std::deque<std::string> names;
    std::deque<TensorType> types;
    std::vector<vaccel_tensor_info> infos;
    std::vector<const char*> pointers;  // as Run() takes names
  };
  using Counter = OrtStatus* (*)(const OrtSession*, size_t*);
  using Namer = OrtStatus* (*)(const OrtSession*, size_t, OrtAllocator*, char**);
  using Typer = OrtStatus* (*)(const OrtSession*, size_t, OrtTypeInfo**);

  void read_metadata();
  void note(std::string key, std::string value);
  Side describe(const char* kind, Counter count, Namer name, Typer type) const;
  [[nodiscard]] bool goes_straight(size_t output) const;

  const Api& api_;
  Handle<OrtMemoryInfo> memory_;
  Handle<OrtSession> session_;
  Side inputs_;
  Side outputs_;
  std::deque<std::string> metadata_texts_;
  std::vector<vaccel_metadata> metadata_;
  std::vector<size_t> straight_bytes_;  // of outputs that are written in place; 0: copied
};

}  // namespace vaccel::onnxruntime
