// SPDX-License-Identifier: Apache-2.0
//
// The options of [backend.opencl].
//
//   library       path of OpenCL's loader; default: libOpenCL.so.1, where the loader of programs finds it
//   clblast       path of CLBlast; default: libclblast.so.1, likewise
//   platform      number or part of the name of the platform to take devices from; default: all
//   type          "gpu", "accelerator" or "cpu"; default: any, in this order
//   device        number (among those that platform and type leave) or part of the name; default: the best
//   cache         folder for this backend's compiled kernels; default: none is kept
//   warm_up       ["float32", ...]: element types whose kernels are compiled at start; default: at first use
//   buffer_limit  bytes that one operand takes on the device at most; larger ones are worked on in blocks. Default: what
//                 the device says
#pragma once

#include <string>
#include <vector>

#include "api.h"

namespace vaccel::opencl {

struct Options {
  std::string library;
  std::string clblast;
  std::string platform;
  std::string device;
  cl_device_type type = CL_DEVICE_TYPE_ALL;
  std::string cache;
  std::vector<vaccel_dtype> warm_up;
  size_t buffer_limit = 0;  ///< 0: what the device says.
};

/// INVALID_ARGUMENT, with the option's place, for what is unknown or out of range.
Options parse_options(const vaccel_backend_option* options, size_t count);

/// "float32"; "" for a type that is none of the four floating-point ones.
const char* type_name(vaccel_dtype dtype);

}  // namespace vaccel::opencl
