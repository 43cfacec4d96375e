// SPDX-License-Identifier: Apache-2.0
//
// Durations as people write them on a command line.
#pragma once

#include <chrono>
#include <string_view>

#include "core/status.h"

namespace vaccel::tool {

/// "250ms", "2s", "1.5s", "30us", "1m" or "0". INVALID_ARGUMENT: anything else, a negative one, one above 24 hours, or one
/// that is not 0 and shorter than a microsecond.
Result<std::chrono::microseconds> parse_duration(std::string_view text);

}  // namespace vaccel::tool
