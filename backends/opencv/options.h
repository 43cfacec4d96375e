// SPDX-License-Identifier: Apache-2.0
//
// The options of [backend.opencv].
//
//   target     "cpu", the default; "opencl" or "opencl-fp16": OpenCV's DNN on the GPU that OpenCL offers
//   threads    threads within one operation, for all models; 0, the default: OpenCV's own choice, one for each core
//   instances  how many runs of one model may happen at once; default 2. Each takes its own copy of the weights, made
//              when it is first needed; further runs wait
#pragma once

#include <string>

#include "vaccel/backend.h"

namespace vaccel::opencv {

struct Options {
  int target;  ///< A cv::dnn::Target.
  int threads = 0;
  int instances = 2;
};

/// Throws a Failure: INVALID_ARGUMENT, with the option's place, for what is unknown or out of range.
Options parse_options(const vaccel_backend_option* options, size_t count);

/// The device of options.target, for people. Throws a Failure: UNAVAILABLE when OpenCV cannot use it.
std::string find_device(const Options& options);

}  // namespace vaccel::opencv
