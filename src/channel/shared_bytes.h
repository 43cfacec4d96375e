// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing memory that another process, perhaps a hostile one, writes to at the same time. Each word is
// loaded or stored once, atomically: what was read is one value that stays what it is, and the compiler may not read
// it again. Nothing here looks at what the bytes mean.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace vaccel::channel {

/// A word in shared memory; the address is a multiple of its size.
template <typename T>
std::atomic_ref<T> shared(std::byte* at) {
  return std::atomic_ref<T>(*reinterpret_cast<T*>(at));
}

/// Copies `words` 8-byte words out of shared memory. Both addresses are multiples of 8.
inline void copy_words_out(std::byte* to, std::byte* from, size_t words) {
  for (size_t index = 0; index < words; ++index) {
    const uint64_t word = shared<uint64_t>(from + index * 8).load(std::memory_order_relaxed);
    std::memcpy(to + index * 8, &word, sizeof word);
  }
}

/// Copies `words` 8-byte words into shared memory.
inline void copy_words_in(std::byte* to, const std::byte* from, size_t words) {
  for (size_t index = 0; index < words; ++index) {
    uint64_t word;
    std::memcpy(&word, from + index * 8, sizeof word);
    shared<uint64_t>(to + index * 8).store(word, std::memory_order_relaxed);
  }
}

}  // namespace vaccel::channel
