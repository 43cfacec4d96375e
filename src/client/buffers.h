// SPDX-License-Identifier: Apache-2.0
//
// Buffers: memory that the program asked for, in the window where there is one, or on a device. The registry tells of any
// address whether it lies in a buffer of the session's, and whether what is behind that is still there.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/window.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::client {

/// Who has device memory: a connection, or the runtime in this process. Thread-safe.
class DeviceHome {
 public:
  virtual void free_memory(uint32_t number) = 0;

 protected:
  ~DeviceHome() = default;
};

/// Device memory, as a session sees it.
struct DevicePlace {
  std::weak_ptr<DeviceHome> home;  ///< Shared by nothing: it may have gone.
  const void* home_address;        ///< Tells it from others, also when it has gone.
  uint32_t number;                 ///< The segment by which the wire knows it.
  std::string backend;             ///< The only one that can use it; "": every one can.
};

/// The memory of a buffer in a window or on a device. The program's buffer has it, and each call that uses it until that
/// call is done: a program may free a buffer before, and nothing else may come to lie there meanwhile.
struct BufferMemory {
  BufferMemory(Slab its_slab, size_t its_bytes)
      : slab(std::move(its_slab)), base(slab.data()), bytes(its_bytes) {}
  /// @param reserved  Whether `its_base` is a range that was reserved for it, see reserve_addresses().
  BufferMemory(std::byte* its_base, size_t its_bytes, bool reserved, DevicePlace place)
      : base(its_base), bytes(its_bytes), is_reserved(reserved), device(std::move(place)) {}
  BufferMemory(const BufferMemory&) = delete;
  BufferMemory& operator=(const BufferMemory&) = delete;
  ~BufferMemory();

  [[nodiscard]] bool has(const void* address) const {
    const auto* at = static_cast<const std::byte*>(address);
    return at >= base && static_cast<size_t>(at - base) < bytes;
  }

  Slab slab;  ///< Of a window; invalid: it is on a device.
  std::byte* const base;
  const size_t bytes;
  const bool is_reserved = false;
  const std::optional<DevicePlace> device;
  /// A call that uses it was given up, and may yet be running at the other end.
  std::atomic<bool> given_up = false;
};
using BufferMemoryPtr = std::shared_ptr<BufferMemory>;

/// The buffers of one session that lie in windows and on devices. Thread-safe.
class Buffers {
 public:
  void add(BufferMemoryPtr memory);
  void remove(const BufferMemory& memory);

  /// What of a buffer's memory a call uses.
  struct Found {
    wire::Segment segment;  ///< The window, or device memory.
    uint64_t offset;        ///< In that.
    BufferMemoryPtr memory;
  };
  /// What a session has at present.
  struct Present {
    const Window* window;  ///< nullptr: none.
    const void* home;      ///< Where its device memory is.
  };
  /// Where memory lies; nothing: in no buffer. UNAVAILABLE: it lies in a buffer of a window or home that has been lost.
  /// INVALID_ARGUMENT: it reaches beyond the end of its buffer.
  Result<std::optional<Found>> find(const void* data, size_t bytes, const Present& present) const;
  /// Whether there are any.
  [[nodiscard]] bool any() const { return count_.load(std::memory_order_relaxed) != 0; }
  /// Whether an address is one of a device: nobody may read or write there.
  [[nodiscard]] bool on_device(const void* data) const;

 private:
  std::atomic<size_t> count_ = 0;  // so that programs without buffers pay nothing
  mutable std::mutex mutex_;
  std::vector<BufferMemoryPtr> entries_;  // by address
};

}  // namespace vaccel::client

/// What vaccel_buffer_alloc() hands out: a slab, device memory, or ordinary memory.
struct vaccel_buffer {
  vaccel_buffer(vaccel::client::BufferMemoryPtr its_memory,
                std::shared_ptr<vaccel::client::Buffers> registry);
  /// Ordinary memory; data is nullptr where there is none.
  vaccel_buffer(size_t bytes, size_t alignment);
  vaccel_buffer(const vaccel_buffer&) = delete;
  vaccel_buffer& operator=(const vaccel_buffer&) = delete;
  ~vaccel_buffer();

  [[nodiscard]] bool on_device() const { return memory != nullptr && memory->device; }
  [[nodiscard]] bool shared() const { return memory != nullptr && !memory->device; }
  [[nodiscard]] bool lost() const { return shared() && memory->slab.window()->lost(); }

  void* data = nullptr;
  size_t size = 0;
  vaccel::client::BufferMemoryPtr memory;            // null: data is ordinary memory
  std::shared_ptr<vaccel::client::Buffers> buffers;  // shared: a program may free a buffer late
};

namespace vaccel::client {

/// Addresses that stand for device memory: nobody can read or write there. nullptr: there are none left.
std::byte* reserve_addresses(size_t bytes);

/// A buffer that nobody shares. RESOURCE_EXHAUSTED: there is no memory.
Result<std::unique_ptr<vaccel_buffer>> ordinary_buffer(size_t bytes, uint64_t alignment);

}  // namespace vaccel::client
