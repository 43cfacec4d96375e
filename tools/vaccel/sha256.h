// SPDX-License-Identifier: Apache-2.0
//
// The SHA-256 of bytes, as files of models are known by.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace vaccel::tool {

/// 64 hexadecimal digits in lower case.
std::string sha256_of(std::span<const std::byte> bytes);

}  // namespace vaccel::tool
