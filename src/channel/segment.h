// SPDX-License-Identifier: Apache-2.0
//
// A segment: memory that two processes of ours map (agent and worker), in which payloads lie. One side hands
// out pieces of it; the other is told where they are by offset. The memory is a sealed memfd, so neither can
// shrink it under the other's feet.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "core/status.h"
#include "core/unique_fd.h"
#include "wire/limits.h"

namespace vaccel::channel {

class Segment {
 public:
  /// Makes a segment; its memory is only taken when it is first written. `name` is for /proc.
  static Result<Segment> create(const char* name, uint64_t bytes);
  /// Maps a segment that another process made. INVALID_ARGUMENT: not a memfd that is sealed against
  /// shrinking.
  static Result<Segment> map(UniqueFd fd, bool writable);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] uint64_t size() const { return mapping_.bytes().size(); }
  /// The bytes at an offset; nothing when they do not lie within the segment. Both numbers may come from
  /// elsewhere.
  [[nodiscard]] std::optional<std::span<std::byte>> at(uint64_t offset, uint64_t bytes) const;
  /// Gives the memory of a piece back to the system; it reads as zeros after.
  void forget(uint64_t offset, uint64_t bytes);

 private:
  Segment(UniqueFd fd, Mapping mapping) : fd_(std::move(fd)), mapping_(std::move(mapping)) {}
  UniqueFd fd_;
  Mapping mapping_;
};

/// Hands out pieces of a range of offsets. First fit from the bottom, so that the same warm pages are used
/// again and again. Not thread-safe.
class SegmentAllocator {
 public:
  explicit SegmentAllocator(uint64_t bytes);

  /// @return the offset of a free piece; nothing when there is none. A size of 0 takes a piece too.
  /// @param alignment  Of the offset: a power of two, at least 64.
  std::optional<uint64_t> allocate(uint64_t bytes, uint64_t alignment = wire::kTensorAlignment);
  /// Gives a piece back. @return its size; nothing when no piece begins at `offset`, and nothing has changed
  /// then.
  std::optional<uint64_t> release(uint64_t offset);

  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }
  /// Where the highest piece ends: nothing from there on is handed out at present.
  [[nodiscard]] uint64_t used_end() const {
    return used_.empty() ? 0 : used_.rbegin()->first + used_.rbegin()->second;
  }
  [[nodiscard]] size_t piece_count() const { return used_.size(); }

 private:
  std::map<uint64_t, uint64_t> free_;  // offset -> size; never two that touch
  std::map<uint64_t, uint64_t> used_;
  uint64_t used_bytes_ = 0;
};

}  // namespace vaccel::channel
