// SPDX-License-Identifier: Apache-2.0
//
// What was found in a photo, as a table for people.
#pragma once

#include "tools/vaccel/found.h"
#include "tools/vaccel/output.h"

namespace vaccel::tool {

void print_found(const Found& found, Output& output);

}  // namespace vaccel::tool
