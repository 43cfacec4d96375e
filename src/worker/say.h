// SPDX-License-Identifier: Apache-2.0
//
// What a worker has to say to the operator: a line on its standard error, which the agent puts into its log.
#pragma once

#include <string>

namespace vaccel::worker {

/// @param level  As vaccel/backend.h has it: 0 debug, 1 info, 2 warning, 3 error.
void say(int level, const std::string& sentence);

}  // namespace vaccel::worker
