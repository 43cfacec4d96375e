// SPDX-License-Identifier: Apache-2.0
//
// ONNX Runtime's environment. There is one in a process, whoever asks for it, and it keeps the logger of whoever asked
// first: so the logger of this backend is one for the process too, and passes lines on to a backend that is alive.
#pragma once

#include "api.h"

namespace vaccel::onnxruntime {

class Environment {
 public:
  /// `api` and `host` must outlive the environment.
  Environment(const Api& api, const vaccel_backend_host* host);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  [[nodiscard]] const OrtEnv* get() const { return environment_.get(); }

 private:
  const vaccel_backend_host* host_;
  Handle<OrtEnv> environment_;
};

}  // namespace vaccel::onnxruntime
