// SPDX-License-Identifier: Apache-2.0
//
// The agent's own privileges: it is an ordinary user's process, whoever starts it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/status.h"

namespace vaccel::agent {

/// Becomes a user for good, with the groups of that user and no capability. For root alone; whoever is that user already
/// stays so. @param folders  are made first where they are not there, and are the user's then. NOT_FOUND: there is no such user.
/// PERMISSION_DENIED: this is another one, and not root.
Status become_user(const std::string& name, const std::vector<std::filesystem::path>& folders);

}  // namespace vaccel::agent
