// SPDX-License-Identifier: Apache-2.0
#include "core/memory_block.h"

#include <sys/mman.h>

#include <bit>
#include <limits>

namespace vaccel {
namespace {

constexpr size_t kPage = 4096;

// AddressSanitizer sees what runs over the end of a block on the heap.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VACCEL_BLOCKS_ON_THE_HEAP 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define VACCEL_BLOCKS_ON_THE_HEAP 1
#endif
#if defined(VACCEL_BLOCKS_ON_THE_HEAP)
constexpr bool kPagesOfTheirOwn = false;
#else
constexpr bool kPagesOfTheirOwn = true;
#endif

}  // namespace

size_t MemoryBlock::with_room(size_t bytes, size_t most) {
  return kPagesOfTheirOwn && bytes <= most ? std::bit_ceil(bytes) : bytes;
}

MemoryBlock::MemoryBlock(size_t bytes) {
  const bool large = kPagesOfTheirOwn && bytes >= kLarge;
  const size_t unit = large ? kPage : kAlignment;
  if (bytes > std::numeric_limits<size_t>::max() - unit) return;
  size_ = bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
  if (large) {
    void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address != MAP_FAILED) pages_ = Mapping(address, size_);
  } else {
    small_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, size_)));
  }
}

}  // namespace vaccel
