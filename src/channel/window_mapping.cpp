// SPDX-License-Identifier: Apache-2.0
#include "channel/window_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "core/unique_fd.h"

namespace vaccel::channel {
namespace {

// What the signal handler sees of a guarded mapping. `begin` is written last when a slot is taken and first when
// it is freed, so a handler that finds the same `begin` before and after it read `end` has a pair.
struct Slot {
  std::atomic<uintptr_t> begin{0};  // 0: free
  std::atomic<uintptr_t> end{0};
  std::atomic<bool> broken{false};
};

// Guarded mappings at a time: one for each VM that has a window file.
constexpr size_t kSlots = 4096;

// A signal handler can be given nothing, so what it reads is the process's.
std::array<Slot, kSlots> slots;
std::mutex taking;  // of slots; the handler does not ask
std::atomic<bool> installed{false};
struct sigaction before {};

static_assert(std::atomic<uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

size_t page_bytes() {
  static const auto bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

bool restore(Slot& slot, uintptr_t address) {
  const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
  const uintptr_t end = slot.end.load(std::memory_order_acquire);
  if (begin == 0 || address < begin || address >= end ||
      slot.begin.load(std::memory_order_acquire) != begin) {
    return false;
  }
  const uintptr_t page = address / page_bytes() * page_bytes();
  slot.broken.store(true, std::memory_order_release);
  // By its number: where mmap() is a sanitizer's, it may do more than a signal handler should.
  return ::syscall(SYS_mmap, page, end - page, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0L) != -1;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const bool by_address = info->si_code > 0;  // and not by kill()
  if (by_address) {
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    for (Slot& slot : slots) {
      if (restore(slot, address)) {
        errno = error;
        return;  // and what touched the memory does so again
      }
    }
  }
  // Not ours: as if this handler were not there.
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    // What touched the memory does so again, and ends the process; what somebody sent is sent again.
    ::sigaction(signal, &before, nullptr);
    if (!by_address) ::raise(signal);
  }
  errno = error;
}

Slot* take_slot(uintptr_t begin, uintptr_t end) {
  const std::lock_guard lock(taking);
  for (Slot& slot : slots) {
    if (slot.begin.load(std::memory_order_relaxed) != 0) continue;
    slot.broken.store(false, std::memory_order_relaxed);
    slot.end.store(end, std::memory_order_release);
    slot.begin.store(begin, std::memory_order_release);
    return &slot;
  }
  return nullptr;
}

bool can_shrink(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals < 0 || (seals & F_SEAL_SHRINK) == 0;
}

}  // namespace

void install_window_guard() {
  const std::lock_guard lock(taking);
  if (installed.load(std::memory_order_relaxed)) return;
  (void)page_bytes();  // known before a handler asks
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGBUS, &action, &before) == 0) installed.store(true, std::memory_order_release);
}

class WindowMapping::Region {
 public:
  Region(Mapping memory, Slot* slot) : memory_(std::move(memory)), slot_(slot) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;
  ~Region() {
    if (before_unmapping_) before_unmapping_();
    if (slot_ == nullptr) return;
    const std::lock_guard lock(taking);
    slot_->begin.store(0, std::memory_order_release);
  }

  [[nodiscard]] bool broken() const {
    return slot_ != nullptr && slot_->broken.load(std::memory_order_acquire);
  }
  void before_unmapping(std::function<void()> function) { before_unmapping_ = std::move(function); }

 private:
  Mapping memory_;  // unmapped after the slot is free
  Slot* slot_;
  std::function<void()> before_unmapping_;
};

bool WindowMapping::broken() const {
  return region_->broken();
}

void WindowMapping::before_unmapping(std::function<void()> function) const {
  region_->before_unmapping(std::move(function));
}

Result<WindowMapping> WindowMapping::map(int fd, uint64_t start, uint64_t bytes) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) {
    return fail(VACCEL_INVALID_ARGUMENT, "descriptor %d has no size: %s", fd, errno_text(errno).c_str());
  }
  const auto file_bytes = static_cast<uint64_t>(file.st_size);
  if (bytes == 0 || start > file_bytes || bytes > file_bytes - start) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "%llu bytes of a window at offset %llu cannot be mapped: its file has %llu",
                static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(start),
                static_cast<unsigned long long>(file_bytes));
  }
  const bool guarded = can_shrink(fd);
  if (guarded && !installed.load(std::memory_order_acquire)) {
    return fail(VACCEL_INTERNAL, "a window that is a file is mapped before the guard is installed");
  }
  const uint64_t before_start = start % page_bytes();
  const uint64_t length = before_start + bytes;
  void* address = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                         static_cast<off_t>(start - before_start));
  if (address == MAP_FAILED) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot map %llu bytes of a window: %s",
                static_cast<unsigned long long>(bytes), errno_text(errno).c_str());
  }
  Mapping memory{address, length};
  const auto begin = reinterpret_cast<uintptr_t>(address);
  Slot* slot = guarded ? take_slot(begin, begin + length) : nullptr;
  if (guarded && slot == nullptr) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "%zu window files are mapped, and there cannot be more", kSlots);
  }
  const auto used = memory.bytes().subspan(before_start, bytes);
  // Not make_shared, which would bring exceptions into the guest library: see client/lean.cpp.
  return WindowMapping{std::shared_ptr<Region>(new Region(std::move(memory), slot)), used};
}

}  // namespace vaccel::channel
