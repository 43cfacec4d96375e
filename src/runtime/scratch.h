// SPDX-License-Identifier: Apache-2.0
//
// A block of memory that is used again and again: it grows as asked, and is given back when what it was last
// asked for was unusually large.
#pragma once

#include <cstddef>

#include "core/memory_block.h"

namespace vaccel::runtime {

class Scratch {
 public:
  /// `bytes` of unspecified content, aligned to 64 bytes, valid until the next take(); nullptr: no memory.
  /// Never nullptr for 0 bytes.
  std::byte* take(size_t bytes) {
    const size_t size = memory_.size();
    const bool too_large = size > kKeep && bytes <= kKeep;
    if (bytes <= size && !too_large && memory_.valid()) return memory_.data();
    memory_ = {};  // before another is made: never both
    memory_ = MemoryBlock(MemoryBlock::with_room(bytes, kKeep));
    return memory_.data();
  }
  /// Nobody uses it for a while: unusually much goes back now.
  void rest() {
    if (memory_.size() > kKeep) memory_ = {};
  }

 private:
  static constexpr size_t kKeep = size_t{16} << 20;

  MemoryBlock memory_;
};

}  // namespace vaccel::runtime
