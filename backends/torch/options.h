// SPDX-License-Identifier: Apache-2.0
//
// The options of [backend.torch].
//
//   device   "cpu"; "cuda" or "cuda:N", which must be there; "auto", the default: the first CUDA device, else the CPU
//   threads  threads within one operation, for all models; 0, the default: LibTorch's own choice, one for each core
#pragma once

#include <string>

#include "vaccel/backend.h"

namespace vaccel::torch_backend {

struct Options {
  std::string device = "auto";
  int threads = 0;
};

/// Throws a Failure: INVALID_ARGUMENT, with the option's place, for what is unknown or out of range.
Options parse_options(const vaccel_backend_option* options, size_t count);

}  // namespace vaccel::torch_backend
