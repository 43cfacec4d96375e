// SPDX-License-Identifier: Apache-2.0
//
// The window of one connection as the library uses it: where it is mapped, and the slabs of it that the agent has
// leased to this session. Slabs that are not in use are kept for the next taker, so that a program which does the same
// again and again asks the agent for nothing. Asking the agent is Connection's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/device_window.h"
#include "core/status.h"
#include "core/unique_fd.h"
#include "wire/messages.h"

namespace vaccel::client {

class Window;

/// A piece of a window that somebody uses. Gone, it may be used again.
class Slab {
 public:
  Slab() = default;
  Slab(std::shared_ptr<Window> window, uint64_t offset, uint64_t bytes)
      : window_(std::move(window)), offset_(offset), bytes_(bytes) {}
  Slab(Slab&& other) noexcept = default;
  Slab& operator=(Slab&& other) noexcept;
  ~Slab() { reset(); }

  [[nodiscard]] bool valid() const { return window_ != nullptr; }
  [[nodiscard]] const std::shared_ptr<Window>& window() const { return window_; }
  [[nodiscard]] uint64_t offset() const { return offset_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::byte* data() const;
  void reset();
  /// Gives it up without using it again, because somebody at the other end may still write to it: the agent knows
  /// when that is over.
  void discard();

 private:
  std::shared_ptr<Window> window_;  // shared: results and buffers may outlive the connection
  uint64_t offset_ = 0;
  uint64_t bytes_ = 0;
};

/// Thread-safe.
class Window : public std::enable_shared_from_this<Window> {
 public:
  /// Maps the memory that an agent of this host sent. PROTOCOL_ERROR: it is not what the agent said.
  static Result<std::shared_ptr<Window>> of_memory(const wire::WindowOpened& opened, const UniqueFd& memory);
  /// Finds the VM's window among the guest's devices; errors as open_device_window().
  static Result<std::shared_ptr<Window>> of_device(const wire::WindowOpened& opened);

  [[nodiscard]] std::byte* base() const { return bytes_.data(); }
  [[nodiscard]] uint64_t size() const { return bytes_.size(); }
  /// Whether it is this session's alone: then its memory stays as it is, also when the connection is lost.
  [[nodiscard]] bool is_own() const { return device_ == nullptr; }
  /// For people: "/dev/dax0.0, 512 MiB".
  [[nodiscard]] std::string description() const;
  [[nodiscard]] uint64_t max_leased_bytes() const { return max_leased_bytes_; }

  /// The connection is over, and with it all leases.
  void lose() { lost_.store(true, std::memory_order_release); }
  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_acquire); }

  /// The size that is leased for so many bytes: a few sizes, so that slabs fit again.
  static uint64_t slab_size(uint64_t bytes);
  /// A kept slab of that size; nothing when there is none.
  Slab take_kept(uint64_t slab_size, uint64_t alignment);
  /// Gives up all kept slabs; see take_released().
  void release_kept();
  /// Offsets of leases to be given back to the agent.
  std::vector<uint64_t> take_released();
  [[nodiscard]] bool has_released() const { return has_released_.load(std::memory_order_relaxed); }

 private:
  friend class Slab;
  struct Kept {
    uint64_t offset;
    uint64_t bytes;
  };

  Window(const wire::WindowOpened& opened, Mapping mapping, std::shared_ptr<DeviceWindow> device);
  void keep(uint64_t offset, uint64_t bytes);
  void release(uint64_t offset);

  Mapping mapping_;                       // of memory
  std::shared_ptr<DeviceWindow> device_;  // or a device, which the sessions of a process share
  const std::span<std::byte> bytes_;
  const uint64_t max_leased_bytes_;
  std::atomic<bool> lost_ = false;
  std::atomic<bool> has_released_ = false;
  std::mutex mutex_;
  std::vector<Kept> kept_;  // oldest first
  uint64_t kept_bytes_ = 0;
  std::vector<uint64_t> released_;
};

}  // namespace vaccel::client
