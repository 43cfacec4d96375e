// SPDX-License-Identifier: Apache-2.0
#include "client/window.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "wire/limits.h"

namespace vaccel::client {
namespace {

constexpr uint64_t kLeastSlab = 4096;
constexpr size_t kMostKept = 64;
constexpr uint64_t kMostKeptBytes = uint64_t{64} << 20;

// Maps shared memory where an offset that is aligned makes an address that is, up to the largest alignment that a
// buffer can have. (Devices are mapped like that by the kernel.)
Result<Mapping> map_aligned(int fd, uint64_t bytes) {
  constexpr uint64_t kAlignment = wire::kMaxLeaseAlignment;
  const auto no_room = [] {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot map the window: %s", errno_text(errno).c_str());
  };
  if (bytes > SIZE_MAX - kAlignment)
    return fail(VACCEL_RESOURCE_EXHAUSTED, "a window of %llu bytes cannot be mapped here",
                static_cast<unsigned long long>(bytes));
  const auto reserved = static_cast<size_t>(bytes + kAlignment);
  void* const room = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return no_room();
  auto* const begin = static_cast<std::byte*>(room);
  const auto before = static_cast<size_t>(wire::align_up(reinterpret_cast<uintptr_t>(begin), kAlignment) -
                                          reinterpret_cast<uintptr_t>(begin));
  std::byte* const aligned = begin + before;
  const auto size = static_cast<size_t>(bytes);
  if (::mmap(aligned, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0) ==
      MAP_FAILED) {
    const Unexpected failed = no_room();
    ::munmap(room, reserved);
    return failed;
  }
  const size_t pages = (size + 4095) / 4096 * 4096;
  if (before > 0) ::munmap(begin, before);
  ::munmap(aligned + pages, reserved - before - pages);
  return Mapping{aligned, size};
}

}  // namespace

// ---- Slab

Slab& Slab::operator=(Slab&& other) noexcept {
  if (this != &other) {
    reset();
    window_ = std::move(other.window_);
    offset_ = other.offset_;
    bytes_ = other.bytes_;
  }
  return *this;
}

std::byte* Slab::data() const {
  return window_->base() + offset_;
}

void Slab::reset() {
  if (!window_) return;
  window_->keep(offset_, bytes_);
  window_.reset();
}

void Slab::discard() {
  if (!window_) return;
  window_->release(offset_);
  window_.reset();
}

// ---- Window

Window::Window(const wire::WindowOpened& opened, Mapping mapping, std::shared_ptr<DeviceWindow> device)
    : mapping_(std::move(mapping)),
      device_(std::move(device)),
      bytes_(device_ ? device_->bytes() : mapping_.bytes()),
      max_leased_bytes_(opened.max_leased_bytes) {}

Result<std::shared_ptr<Window>> Window::of_memory(const wire::WindowOpened& opened, const UniqueFd& memory) {
  struct stat file {};
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(memory.get(), &file) != 0 ||
      static_cast<uint64_t>(file.st_size) < opened.bytes || opened.bytes == 0) {
    return fail(VACCEL_PROTOCOL_ERROR, "the window that the agent sent is no sealed memory of %llu bytes",
                static_cast<unsigned long long>(opened.bytes));
  }
  auto mapping = map_aligned(memory.get(), opened.bytes);
  if (!mapping) return Unexpected{mapping.error()};
  return std::shared_ptr<Window>(new Window(opened, std::move(*mapping), nullptr));
}

Result<std::shared_ptr<Window>> Window::of_device(const wire::WindowOpened& opened) {
  auto device = open_device_window(opened.identity, opened.bytes);
  if (!device) return Unexpected{device.error()};
  return std::shared_ptr<Window>(new Window(opened, {}, std::move(*device)));
}

std::string Window::description() const {
  return (device_ ? device_->path() : std::string("shared memory")) + ", " + std::to_string(size() >> 20) +
         " MiB";
}

// Four sizes to each doubling: at most a quarter is wasted, and sizes that differ a little share slabs.
uint64_t Window::slab_size(uint64_t bytes) {
  if (bytes <= kLeastSlab) return kLeastSlab;
  const uint64_t step = std::max(kLeastSlab, std::bit_floor(bytes) / 4);
  return wire::align_up(bytes, step);
}

Slab Window::take_kept(uint64_t slab_size, uint64_t alignment) {
  const std::lock_guard lock(mutex_);
  for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept) {  // the one used last: its memory is warm
    if (kept->bytes != slab_size || kept->offset % alignment != 0) continue;
    const Kept found = *kept;
    kept_.erase(std::next(kept).base());
    kept_bytes_ -= found.bytes;
    return {shared_from_this(), found.offset, found.bytes};
  }
  return {};
}

void Window::keep(uint64_t offset, uint64_t bytes) {
  if (lost()) return;
  const std::lock_guard lock(mutex_);
  kept_.push_back({offset, bytes});
  kept_bytes_ += bytes;
  while (kept_.size() > kMostKept || kept_bytes_ > std::min(kMostKeptBytes, max_leased_bytes_ / 4)) {
    released_.push_back(kept_.front().offset);
    kept_bytes_ -= kept_.front().bytes;
    kept_.erase(kept_.begin());
    has_released_.store(true, std::memory_order_relaxed);
  }
}

void Window::release(uint64_t offset) {
  const std::lock_guard lock(mutex_);
  released_.push_back(offset);
  has_released_.store(true, std::memory_order_relaxed);
}

void Window::release_kept() {
  const std::lock_guard lock(mutex_);
  for (const Kept& kept : kept_)
    released_.push_back(kept.offset);
  kept_.clear();
  kept_bytes_ = 0;
  has_released_.store(!released_.empty(), std::memory_order_relaxed);
}

std::vector<uint64_t> Window::take_released() {
  const std::lock_guard lock(mutex_);
  const size_t count = std::min(released_.size(), wire::kMaxReleases);
  std::vector<uint64_t> taken(released_.end() - static_cast<std::ptrdiff_t>(count), released_.end());
  released_.resize(released_.size() - count);
  has_released_.store(!released_.empty(), std::memory_order_relaxed);
  return taken;
}

}  // namespace vaccel::client
