// SPDX-License-Identifier: Apache-2.0
//
// Sizes as people write them in configurations and on command lines. Nothing here knows what they are sizes of.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/status.h"

namespace vaccel {

/// "4096", "512M", "512 MiB", "1g": a whole number of bytes, or of K, M, G, T (powers of 1024).
/// INVALID_ARGUMENT: it is none, or has no place in 64 bits.
Result<uint64_t> parse_byte_size(std::string_view text);

}  // namespace vaccel
