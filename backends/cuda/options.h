// SPDX-License-Identifier: Apache-2.0
//
// The options of [backend.cuda].
//
//   driver        path of the driver's library; default: libcuda.so.1, where the loader of programs finds it
//   cublas        path of cuBLAS; default: libcublas.so.13, 12 or 11, likewise
//   device        number of the device, or part of its name; default: 0
//   buffer_limit  bytes that one operand takes on the device at most; larger ones are worked on in blocks. Default: 4 GiB
//   pool_limit    bytes of device memory that are kept between calls; default: 1 GiB
#pragma once

#include <cstdint>
#include <string>

#include "api.h"

namespace vaccel::cuda {

struct Options {
  std::string driver;
  std::string cublas;
  std::string device = "0";
  uint64_t buffer_limit = uint64_t{4} << 30;
  uint64_t pool_limit = uint64_t{1} << 30;
};

/// INVALID_ARGUMENT, with the option's place, for what is unknown or out of range.
Options parse_options(const vaccel_backend_option* options, size_t count);

}  // namespace vaccel::cuda
