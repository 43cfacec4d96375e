// SPDX-License-Identifier: Apache-2.0
//
// Whole files in and out, with sentences that name the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"

namespace vaccel::tool {

/// Most bytes that the tool reads of one file: what it holds in memory, whatever an agent would take.
inline constexpr uint64_t kMostFileBytes = uint64_t{4} << 30;

/// The bytes of a file; "-": of standard input. NOT_FOUND, PERMISSION_DENIED; INVALID_ARGUMENT: a folder;
/// RESOURCE_EXHAUSTED: it has more than `most` bytes (a device or pipe that never ends, too).
Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t most = kMostFileBytes);

/// Writes a file, made or replaced. One that could not be written wholly is
/// removed. NOT_FOUND: no such folder; PERMISSION_DENIED; RESOURCE_EXHAUSTED: the disk is full.
Status write_file(const std::string& path, std::span<const std::byte> bytes);

/// Makes a folder, if it is not there yet; its parent must be.
Status make_folder(const std::string& path);

}  // namespace vaccel::tool
