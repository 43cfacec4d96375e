// SPDX-License-Identifier: Apache-2.0
//
// A block of memory that is used again and again: it grows as asked, and is given back when what it was last
// asked for was unusually large.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace vaccel::runtime {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory_); }

  /// `bytes` of unspecified content, aligned to 64 bytes, valid until the next take(); nullptr: no memory.
  /// Never nullptr for 0 bytes.
  std::byte* take(size_t bytes) {
    const bool too_large = size_ > kKeep && bytes <= kKeep;
    if (bytes <= size_ && !too_large && memory_ != nullptr) return memory_;
    std::free(std::exchange(memory_, nullptr));
    size_ = 0;
    const size_t rounded = (bytes + kAlignment) / kAlignment * kAlignment;
    if (rounded < bytes) return nullptr;
    memory_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
    if (memory_ != nullptr) size_ = rounded;
    return memory_;
  }

 private:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kKeep = size_t{16} << 20;

  std::byte* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vaccel::runtime
