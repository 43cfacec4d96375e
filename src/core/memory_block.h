// SPDX-License-Identifier: Apache-2.0
//
// Memory that calls work in. Large blocks are pages of their own: what goes back goes back to the system, and leaves no hole among
// the small things of a heap, where blocks of ever other sizes let a process grow for as long as it runs.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "core/unique_fd.h"

namespace vaccel {

class MemoryBlock {
 public:
  static constexpr size_t kAlignment = 64;
  /// From this size on a block is pages of its own.
  static constexpr size_t kLarge = size_t{128} << 10;

  /// How much to ask for where blocks are used again for sizes that differ: twofold steps up to `most`, so that little more finds room,
  /// and no more than is needed beyond it. Pages that are not used take nothing. With AddressSanitizer what is needed: it sees
  /// what runs over the end.
  static size_t with_room(size_t bytes, size_t most);

  MemoryBlock() = default;
  /// `bytes` of unspecified content, aligned to kAlignment. Not valid() where there is no memory; valid() for 0 bytes.
  explicit MemoryBlock(size_t bytes);

  [[nodiscard]] bool valid() const { return data() != nullptr; }
  [[nodiscard]] std::byte* data() const { return pages_.valid() ? pages_.bytes().data() : small_.get(); }
  /// What was asked for, or a little more.
  [[nodiscard]] size_t size() const { return valid() ? size_ : 0; }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> small_;
  Mapping pages_;
  size_t size_ = 0;
};

}  // namespace vaccel
