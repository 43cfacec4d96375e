// SPDX-License-Identifier: Apache-2.0
//
// Which device is used, and what it can do. One for a backend: a host with several runs one worker for each.
#pragma once

#include <string>

#include "options.h"

namespace vaccel::opencl {

struct Device {
  cl_platform_id platform = nullptr;
  cl_device_id id = nullptr;
  cl_device_type type = 0;
  std::string name;
  std::string platform_name;
  std::string platform_version;  ///< "OpenCL 3.0 ..."
  std::string driver;            ///< The driver's version.
  bool has_doubles = false;
  /// Device and host share one memory, so that a kernel can work where the caller's data lie.
  bool shares_memory = false;
  size_t group_size = 0;  ///< Of this backend's kernels, a power of two.
  size_t compute_units = 0;
  size_t clock_mhz = 0;
  size_t most_bytes = 0;      ///< That one buffer may have.
  size_t part_alignment = 0;  ///< Where a part of a buffer that is a buffer itself may begin, in bytes.
};

/// The device that the options ask for, else the best: a GPU before an accelerator before a CPU, and of two of a kind the
/// one with more compute units times clock. UNAVAILABLE where there is none, with what there is.
Device choose_device(const OpenCl& cl, const Options& options);

/// "pthread-AMD EPYC (CPU, Portable Computing Language, driver 3.1)"
std::string describe(const Device& device);

}  // namespace vaccel::opencl
