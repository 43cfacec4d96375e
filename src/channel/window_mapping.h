// SPDX-License-Identifier: Apache-2.0
//
// A window's memory in this process, agent or worker. A VM's window may be a file that its VMM can truncate at
// any time; touching what is gone then raises SIGBUS, which would end agent and worker. The guard turns that
// into zeros and a mark: see install_window_guard(). Sealed memory cannot shrink and needs none of this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "core/status.h"

namespace vaccel::channel {

/// Takes SIGBUS for this process, once: main calls it before any window file is mapped. Where a guarded mapping
/// has lost its memory (its file was truncated, or the file system had no room for a page), the rest of the
/// mapping from there on becomes zeros of this process's own, and broken() says so. SIGBUS for any other reason
/// does what it did before. A system call that is given such an address fails with EFAULT and breaks nothing.
void install_window_guard();

/// Memory of a window, shared and writable, mapped as long as a WindowMapping of it lives. Cheap to copy; copies
/// and parts share the one mapping.
class WindowMapping {
 public:
  /// Maps bytes of a descriptor's file; the descriptor may be closed after.
  /// INVALID_ARGUMENT: the file does not have these bytes; RESOURCE_EXHAUSTED: no address space, or the guard's
  /// table is full; INTERNAL: it is not sealed, and the guard is not installed.
  /// @param start  Need not be a multiple of anything.
  static Result<WindowMapping> map(int fd, uint64_t start, uint64_t bytes);

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  /// Some of it. The caller has checked that it lies within bytes().
  [[nodiscard]] WindowMapping part(uint64_t offset, uint64_t bytes) const {
    return {region_, bytes_.subspan(offset, bytes)};
  }
  /// Whether memory of this mapping was lost since it was made; it reads as zeros, and the other end does not
  /// see what is written. Never true of sealed memory. For any thread.
  [[nodiscard]] bool broken() const;
  /// Has `function` called when the last copy or part goes, while the memory is still there, on the thread whose that was.
  /// Set it before anyone else has a copy.
  void before_unmapping(std::function<void()> function) const;

 private:
  class Region;
  WindowMapping(std::shared_ptr<Region> region, std::span<std::byte> bytes)
      : region_(std::move(region)), bytes_(bytes) {}

  std::shared_ptr<Region> region_;  // shared: parts of a window are used by sessions of one VM
  std::span<std::byte> bytes_;
};

}  // namespace vaccel::channel
