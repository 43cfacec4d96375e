// SPDX-License-Identifier: Apache-2.0
//
// What the operator gives a VMM so that its guest gets a window: the one thing about windows that differs from VMM to
// VMM. Text only; no VMM is run or asked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vaccel::ctl {

struct VmmOptions {
  std::vector<std::string> qemu;              ///< Words of its command line.
  std::vector<std::string> cloud_hypervisor;  ///< Likewise.
  std::string firecracker_resource;           ///< Of its API, to be PUT.
  std::string firecracker_body;               ///< JSON.
};

/// @param path   The window's file, as the VMM sees it.
/// @param bytes  Its size.
VmmOptions vmm_options(const std::string& path, uint64_t bytes);

/// Words as a shell takes them, quoted where need be.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace vaccel::ctl
