// SPDX-License-Identifier: Apache-2.0
//
// What stands in a window, the memory that a guest and its host both map, before any tensor does: the header by
// which the two ends know that they mean the same window, and, in a VM's window file, the block that makes a
// stock guest kernel show it as /dev/dax0.0. Layout only; nothing here opens or maps.
//
// A VM's window file                          A window (a session's own memory begins with it, at offset 0)
//   0      4096   left alone                    0   8  magic "vAccelWn"     24  16  identity: VM
//   4096   4096   NVDIMM DAX info block         8   8  version, 1           40   8  identity: generation
//   2 MiB  rest   the window itself            16   8  bytes, of it all     48  16  identity: nonce
//
// All numbers are little-endian. The first 4096 bytes of a window are its header's and never leased.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::channel {

/// Where in a VM's window file the window begins: offset 0 of the guest's dax device.
inline constexpr uint64_t kWindowDataOffset = uint64_t{2} << 20;
/// A window's first bytes, which are its header's.
inline constexpr uint64_t kWindowHeaderBytes = 4096;
/// The size of a VM's window file is a multiple of this: what a dax device can be mapped by.
inline constexpr uint64_t kWindowFileGranule = uint64_t{2} << 20;
inline constexpr uint64_t kMinWindowFileBytes = kWindowDataOffset + kWindowFileGranule;
inline constexpr uint64_t kWindowVersion = 1;

inline constexpr uint64_t kInfoBlockOffset = 4096;
inline constexpr size_t kInfoBlockBytes = 4096;

using InfoBlock = std::array<std::byte, kInfoBlockBytes>;

/// Makes the info block of a window file.
/// @param file_bytes  A multiple of kWindowFileGranule, at least kMinWindowFileBytes.
/// @param uuid  Of the namespace, at random.
InfoBlock write_info_block(uint64_t file_bytes, std::span<const std::byte, 16> uuid);

/// INVALID_ARGUMENT: it is none, it is damaged, or it is that of a file of another size.
Status check_info_block(std::span<const std::byte, kInfoBlockBytes> block, uint64_t file_bytes);

/// What a window says of itself.
struct WindowHeader {
  uint64_t bytes = 0;  ///< Of the window, its header included.
  wire::WindowIdentity identity;
};

inline constexpr size_t kWindowHeaderFields = 64;  ///< Bytes at the window's start that have a meaning.

/// A header as it stands in memory; what follows up to kWindowHeaderBytes is zero.
std::array<std::byte, kWindowHeaderFields> encode_window_header(const WindowHeader& header);

/// Reads the header of mapped memory that others may be writing: each field is loaded once, as a whole, and
/// checked after. INVALID_ARGUMENT: `memory` is too short, or does not begin with a header of this version.
/// @param memory  Aligned to 8.
Result<WindowHeader> read_window_header(std::span<const std::byte> memory);

}  // namespace vaccel::channel
