// SPDX-License-Identifier: Apache-2.0
//
// The system calls that a process may make from now on: a list of what the runtime needs, and of what backends need besides. The kernel
// ends the process at any other (SIGSYS), but for a few that libraries try and can do without, which fail.
#pragma once

#include <string>
#include <vector>

#include "core/status.h"

namespace vaccel::jail {

/// Limits this process, which has one thread yet; threads and processes that it starts are limited, too.
/// @param backends  names of backends whose needs are known are let have them: see system_calls.cpp.
/// @param more      names of system calls that are allowed besides, "io_uring_setup". INVALID_ARGUMENT: there is no such one.
Status limit_system_calls(const std::vector<std::string>& backends, const std::vector<std::string>& more);

}  // namespace vaccel::jail
