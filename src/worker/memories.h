// SPDX-License-Identifier: Apache-2.0
//
// Device memory that this worker holds for the agent's sessions, by the number that the agent gave it, and what of it one
// call uses. Calls of one session may write to it while others of the same session read: what windows.h says of a window's
// content holds here too.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/status.h"
#include "runtime/memory.h"
#include "wire/messages.h"

namespace vaccel::worker {

/// Shared with the calls that use it.
using MemoryPtr = std::shared_ptr<runtime::Memory>;

/// Thread-safe.
class Memories {
 public:
  void add(uint32_t number, std::unique_ptr<runtime::Memory> memory);
  /// Forgets one; calls that have it keep it.
  void free(uint32_t number);
  /// UNAVAILABLE: there is none of that number. It was allocated from a worker that has gone since.
  Result<MemoryPtr> find(uint32_t number) const;

 private:
  mutable std::mutex mutex_;
  std::map<uint32_t, MemoryPtr> memories_;
};

/// What one call uses.
class CallMemories {
 public:
  /// Finds what inputs and places lie in. Errors as Memories::find(); INTERNAL: one lies beyond the end.
  Status find(const wire::Call& call, const Memories& memories);

  /// One that was found.
  [[nodiscard]] runtime::Memory& at(wire::Segment segment) const;
  /// Those that only a backend's device can reach.
  [[nodiscard]] std::span<const runtime::Memory* const> on_devices() const { return on_devices_; }

 private:
  Status add(wire::Segment segment, uint64_t offset, uint64_t bytes, const Memories& memories);

  std::map<wire::Segment, MemoryPtr> used_;
  std::vector<const runtime::Memory*> on_devices_;
};

}  // namespace vaccel::worker
