// SPDX-License-Identifier: Apache-2.0
//
// Buffers: memory that the program asked for, in the window where there is one. The registry tells of any address
// whether it lies in a buffer of the session's, and whether that buffer's lease still holds.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "client/window.h"
#include "core/status.h"

namespace vaccel::client {

/// The memory of a buffer in a window. The program's buffer has it, and each call that uses it until that call is done:
/// a program may free a buffer before, and nothing else may come to lie there meanwhile.
struct BufferMemory {
  BufferMemory(Slab its_slab, size_t its_bytes) : slab(std::move(its_slab)), bytes(its_bytes) {}
  BufferMemory(const BufferMemory&) = delete;
  BufferMemory& operator=(const BufferMemory&) = delete;
  ~BufferMemory() {
    if (given_up.load(std::memory_order_relaxed)) slab.discard();
  }

  Slab slab;
  size_t bytes;
  /// A call that uses it was given up, and may yet be running at the other end.
  std::atomic<bool> given_up = false;
};
using BufferMemoryPtr = std::shared_ptr<BufferMemory>;

/// The buffers of one session that lie in windows. Thread-safe.
class Buffers {
 public:
  void add(BufferMemoryPtr memory);
  void remove(const BufferMemory& memory);

  /// What of a buffer's memory a call uses.
  struct Found {
    uint64_t offset;  ///< In the window.
    BufferMemoryPtr memory;
  };
  /// Where memory lies in `window`; nothing: in no buffer. UNAVAILABLE: it lies in a buffer of a window that has been
  /// lost. INVALID_ARGUMENT: it reaches beyond the end of its buffer.
  Result<std::optional<Found>> find(const void* data, size_t bytes, const Window& window) const;

 private:
  std::atomic<size_t> count_ = 0;  // so that programs without buffers pay nothing
  mutable std::mutex mutex_;
  std::vector<BufferMemoryPtr> entries_;  // by address
};

}  // namespace vaccel::client

/// What vaccel_buffer_alloc() hands out: a slab, or ordinary memory.
struct vaccel_buffer {
  vaccel_buffer(vaccel::client::Slab slab, size_t bytes, std::shared_ptr<vaccel::client::Buffers> registry);
  /// Ordinary memory; data is nullptr where there is none.
  vaccel_buffer(size_t bytes, size_t alignment);
  vaccel_buffer(const vaccel_buffer&) = delete;
  vaccel_buffer& operator=(const vaccel_buffer&) = delete;
  ~vaccel_buffer();

  [[nodiscard]] bool shared() const { return memory != nullptr; }
  [[nodiscard]] bool lost() const { return shared() && memory->slab.window()->lost(); }

  void* data = nullptr;
  size_t size = 0;
  vaccel::client::BufferMemoryPtr memory;            // null: data is ordinary memory
  std::shared_ptr<vaccel::client::Buffers> buffers;  // shared: a program may free a buffer late
};

namespace vaccel::client {

/// A buffer that nobody shares. RESOURCE_EXHAUSTED: there is no memory.
Result<std::unique_ptr<vaccel_buffer>> ordinary_buffer(size_t bytes, uint64_t alignment);

}  // namespace vaccel::client
