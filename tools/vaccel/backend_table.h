// SPDX-License-Identifier: Apache-2.0
//
// The table of backends that info and backends print.
#pragma once

#include "tools/vaccel/output.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

/// Those that do not run with the reason.
Table backend_table(const vaccel_agent& agent);

}  // namespace vaccel::tool
