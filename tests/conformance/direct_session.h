// SPDX-License-Identifier: Apache-2.0
//
// ONNX Runtime called directly, as the backend calls it: what an agent's results are held against.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "onnx_case.h"

struct OrtApi;
struct OrtEnv;

namespace vaccel::conformance {

class DirectRuntime {
 public:
  /// Ends the program when the library is none.
  explicit DirectRuntime(const std::filesystem::path& library);

  /// Runs a model file. @return whether it ran; else `reason` has ONNX Runtime's words.
  bool run(const std::filesystem::path& model, const std::vector<Value>& inputs, std::vector<Value>& outputs,
           std::string& reason) const;

 private:
  const OrtApi* api_ = nullptr;
  OrtEnv* environment_ = nullptr;
};

}  // namespace vaccel::conformance
