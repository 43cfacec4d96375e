// SPDX-License-Identifier: Apache-2.0
//
// This backend's own kernels, compiled for each element type when it is first needed, and kept on disk between processes
// where the option `cache` names a folder. CLBlast's kernels are CLBlast's: it keeps them in memory, and the driver on
// disk if it does that.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>

#include "device.h"

namespace vaccel::opencl {

/// Thread-safe.
class Programs {
 public:
  /// The references must outlive it. `cache` may be empty.
  Programs(const OpenCl& cl, cl_context context, const Device& device, const vaccel_backend_host* host,
           std::string cache);

  /// A kernel of kernels.h for a type. One for each caller: its arguments are state.
  Kernel kernel(vaccel_dtype dtype, const char* name);

 private:
  cl_program program(vaccel_dtype dtype);
  Program compile(vaccel_dtype dtype) const;
  Program from_cache(const std::string& file, const std::string& key, const std::string& options) const;
  void to_cache(const std::string& file, const std::string& key, cl_program program) const;
  int build(cl_program program, const std::string& options) const;
  std::string build_log(cl_program program) const;
  void warn(const std::string& line) const;

  const OpenCl& cl_;
  cl_context context_;
  const Device& device_;
  const vaccel_backend_host* host_;
  std::string cache_;
  std::mutex mutex_;
  std::array<Program, 4> programs_;  ///< By vaccel_dtype - 1.
};

}  // namespace vaccel::opencl
