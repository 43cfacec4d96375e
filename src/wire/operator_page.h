// SPDX-License-Identifier: Apache-2.0
//
// Lists of operators go in several bodies. How many descriptions surely fit one is decided here, alike for worker and agent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/messages.h"

namespace vaccel::wire {

/// What a description takes in a body at most. One above kMaxPageBytes can be sent by nobody.
size_t most_bytes_of(const OperatorInfo& info);

/// Of operators in one body; the rest is for the body's frame of tables.
inline constexpr size_t kMaxPageBytes = kMaxBodyBytes - 8192;

/// Puts as many of `all` from `start` on into the description as fit, and sets whether there are more. What nobody can send
/// must have been left out of `all`.
void put_page(const std::vector<OperatorInfo>& all, uint32_t start, Description& description);

}  // namespace vaccel::wire
