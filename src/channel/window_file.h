// SPDX-License-Identifier: Apache-2.0
//
// A VM's window as a file: what vaccelctl makes, an agent takes over, and a VMM maps into its guest. Who holds the
// file's lock (flock) has it as its window; there is one such agent at a time. Layouts are in window_format.h.
//
// The sentences here do not name the file: who calls knows what it is about.
#pragma once

#include <string>

#include "channel/window_format.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace vaccel::channel {

/// A window file, locked as long as `lock` is open. The lock is the open file's: whoever is given this descriptor
/// holds it, too.
struct WindowFile {
  UniqueFd lock;
  uint64_t bytes = 0;  ///< Of the file.
  WindowHeader header;
};

/// Opens a window file for reading and writing, locks it, and checks all that it says of itself.
/// NOT_FOUND; PERMISSION_DENIED; UNAVAILABLE: an agent has it; INVALID_ARGUMENT: it is no window file, or has been
/// truncated or damaged.
Result<WindowFile> open_window_file(const std::string& path);

/// What a window file says of itself, and whether an agent has it.
struct WindowFileState {
  uint64_t bytes = 0;
  uint64_t taken_bytes = 0;  ///< Of memory or disk, so far.
  WindowHeader header;
  bool held = false;
};

/// Looks at a window file without changing anything. Same errors, less UNAVAILABLE.
Result<WindowFileState> inspect_window_file(const std::string& path);

/// Makes a window file for a new VM, readable and writable for its owner alone: all of it or nothing, so that no VMM
/// ever maps half of one. Takes no memory for what nobody has written.
/// INVALID_ARGUMENT: the size, or there is something at `path`; UNAVAILABLE: an agent has what is there;
/// RESOURCE_EXHAUSTED: the file system has no room for it; NOT_FOUND; PERMISSION_DENIED.
/// @param bytes    A multiple of kWindowFileGranule, at least kMinWindowFileBytes.
/// @param replace  Take the place of a file that is there. Who has mapped the old one goes on using that.
Status create_window_file(const std::string& path, uint64_t bytes, bool replace);

/// INVALID_ARGUMENT: no window file has this size.
Status check_window_file_size(uint64_t bytes);

/// Random numbers for an identity.
uint64_t random_identity();

/// Writes a window's header. @param start  Where in the file the window begins.
Status write_window_header(int fd, uint64_t start, const WindowHeader& header);

/// Writes an info block with a UUID of its own into a window file.
Status write_window_info_block(int fd, uint64_t file_bytes);

}  // namespace vaccel::channel
