// SPDX-License-Identifier: Apache-2.0
#include "agent/window.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>

#include "channel/window_file.h"
#include "channel/window_format.h"
#include "wire/limits.h"

namespace vaccel::agent {
namespace {

constexpr uint64_t kPage = 4096;
/// Cleared at once when a lease ends, all leases of one turn together: what a program frees and allocates in a
/// loop is there again at once, and no guest keeps the agent busy with it.
constexpr uint64_t kAtOnceBytes = uint64_t{1} << 20;
/// In one turn of the reactor, so that other sessions do not notice: some 15 microseconds for zeros over memory that
/// is there, 50 for giving it back, 40 for taking it.
constexpr uint64_t kClearStepBytes = uint64_t{256} << 10;
constexpr uint64_t kTakeStepBytes = uint64_t{64} << 10;
/// Pieces in which a window that was used before comes into use again.
constexpr uint64_t kChunkBytes = uint64_t{8} << 20;

using Text = unsigned long long;  // for printf

// Never used again: a worker may hear late that a window has gone, and early of a call that uses another.
uint32_t next_number() {
  static std::atomic<uint32_t> next = wire::kFirstWindowNumber;
  return next.fetch_add(1, std::memory_order_relaxed);
}

Result<UniqueFd> sealed_memory(const std::string& name, uint64_t bytes) {
  UniqueFd fd{::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot make a window of %llu bytes: %s", static_cast<Text>(bytes),
                errno_text(errno).c_str());
  }
  return fd;
}

wire::WindowIdentity new_identity() {
  using channel::random_identity;
  return {.vm_low = random_identity(),
          .vm_high = random_identity(),
          .generation = 1,
          .nonce_low = random_identity(),
          .nonce_high = random_identity()};
}

}  // namespace

// ---- Making

Window::Window(wire::WindowKind kind, UniqueFd fd, uint64_t start, uint64_t bytes)
    : number_(next_number()),
      kind_(kind),
      fd_(std::move(fd)),
      start_(start),
      bytes_(bytes),
      allocator_(bytes),
      at_once_left_(kAtOnceBytes) {
  allocator_.allocate(channel::kWindowHeaderBytes);  // at offset 0, for good
}

Window::~Window() {
  if (at_end_) at_end_();
}

Result<std::shared_ptr<Window>> Window::for_session(uint64_t bytes) {
  bytes = wire::align_up(std::max(bytes, 2 * kPage), kPage);
  auto fd = sealed_memory("vaccel-window", bytes);
  if (!fd) return Unexpected{fd.error()};
  auto window = std::shared_ptr<Window>(new Window(wire::WindowKind::kMemory, std::move(*fd), 0, bytes));
  window->identity_ = new_identity();
  Status status = channel::write_window_header(window->fd(), 0, {bytes, window->identity_});
  if (!status.ok()) return Unexpected{std::move(status)};
  return window;
}

Result<std::shared_ptr<Window>> Window::from_file(Reactor& reactor, const std::string& path, bool prefault) {
  const std::string context = "window '" + path + "'";
  auto file = channel::open_window_file(path);
  if (!file) return Unexpected{file.error().within(context)};
  // Opened anew, for a lock belongs to all who share the open file, and workers are given this descriptor.
  UniqueFd fd{::open(("/proc/self/fd/" + std::to_string(file->lock.get())).c_str(), O_RDWR | O_CLOEXEC)};
  if (!fd.valid()) {
    const Status status =
        failure(VACCEL_RESOURCE_EXHAUSTED, "cannot open it a second time: %s", errno_text(errno).c_str());
    return Unexpected{status.within(context)};
  }
  auto window = std::shared_ptr<Window>(
      new Window(wire::WindowKind::kDevice, std::move(fd), channel::kWindowDataOffset, file->header.bytes));
  window->lock_ = std::move(file->lock);
  window->path_ = path;
  window->identity_ = new_identity();
  window->identity_.vm_low = file->header.identity.vm_low;
  window->identity_.vm_high = file->header.identity.vm_high;
  window->identity_.generation = file->header.identity.generation + 1;
  if (Status status = window->open_for_vm(reactor, prefault); !status.ok()) {
    return Unexpected{status.within(context)};
  }
  return window;
}

Result<std::shared_ptr<Window>> Window::in_memory(Reactor& reactor, const std::string& name, uint64_t bytes,
                                                  bool prefault) {
  if (Status status = channel::check_window_file_size(bytes); !status.ok())
    return Unexpected{std::move(status)};
  auto fd = sealed_memory("vaccel-window-" + name, bytes);
  if (!fd) return Unexpected{fd.error()};
  if (Status status = channel::write_window_info_block(fd->get(), bytes); !status.ok()) {
    return Unexpected{std::move(status)};
  }
  auto window =
      std::shared_ptr<Window>(new Window(wire::WindowKind::kDevice, std::move(*fd),
                                         channel::kWindowDataOffset, bytes - channel::kWindowDataOffset));
  window->path_ = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(window->fd());
  window->identity_ = new_identity();
  if (Status status = window->open_for_vm(reactor, prefault); !status.ok()) {
    return Unexpected{std::move(status)};
  }
  return window;
}

// What an earlier agent's sessions left in the window is nobody's: it is cleared piece by piece, the first one
// before anybody can ask for it.
Status Window::open_for_vm(Reactor& reactor, bool prefault) {
  reactor_ = &reactor;
  prefault_ = prefault;
  Status status = channel::write_window_header(fd(), start_, {bytes_, identity_});
  if (!status.ok()) return status;
  if (auto mapped = whole(); !mapped) return mapped.error();
  std::vector<Clearing> chunks;
  for (uint64_t left = bytes_ - channel::kWindowHeaderBytes; left > 0; left -= chunks.back().bytes) {
    const uint64_t size = std::min(kChunkBytes, left);
    chunks.push_back({*allocator_.allocate(size), size});  // one after the other: nothing is free before them
  }
  for (const Clearing& chunk : chunks) {
    if (prefault_ || has_data(chunk.offset, chunk.bytes)) {
      clearing_.push_back({chunk.offset, chunk.bytes, prefault_});
    } else {
      allocator_.release(chunk.offset);
    }
  }
  if (!clearing_.empty() && clearing_.front().offset == channel::kWindowHeaderBytes) {
    while (problem_.empty() && !clear_some(clearing_.front())) {
    }
    if (!problem_.empty()) return failure(VACCEL_RESOURCE_EXHAUSTED, "%s", problem_.c_str());
    allocator_.release(clearing_.front().offset);
    clearing_.pop_front();
  }
  if (!clearing_.empty()) schedule();
  return {};
}

// ---- Leasing

std::string Window::problem() const {
  if (!problem_.empty()) return problem_;
  if (mapping_ && mapping_->broken()) {
    return "its memory was lost: the file was truncated, or its file system is full";
  }
  struct stat file {};
  if (lock_.valid() && (::fstat(fd(), &file) != 0 || static_cast<uint64_t>(file.st_size) < start_ + bytes_)) {
    return "its file was truncated";
  }
  return {};
}

Result<std::shared_ptr<WindowLease>> Window::lease(uint64_t bytes, uint64_t alignment) {
  if (bytes == 0 || !std::has_single_bit(alignment) || alignment > wire::kMaxLeaseAlignment) {
    return fail(VACCEL_INVALID_ARGUMENT, "a lease of %llu bytes aligned to %llu cannot be had",
                static_cast<Text>(bytes), static_cast<Text>(alignment));
  }
  if (const std::string wrong = problem(); !wrong.empty()) {
    return fail(VACCEL_UNAVAILABLE, "the window cannot be used: %s", wrong.c_str());
  }
  const uint64_t size = bytes <= bytes_ ? wire::align_up(bytes, kPage) : bytes;
  const auto offset = allocator_.allocate(size, std::max(alignment, kPage));
  if (!offset) {
    uint64_t unclear = 0;
    for (const Clearing& piece : clearing_)
      unclear += piece.bytes;
    return fail(
        VACCEL_RESOURCE_EXHAUSTED,
        "the window has no %llu bytes free in one piece: of its %llu, %llu are leased and %llu are being "
        "cleared",
        static_cast<Text>(size), static_cast<Text>(bytes_), static_cast<Text>(leased_bytes_),
        static_cast<Text>(unclear));
  }
  leased_bytes_ += size;
  ++leases_;
  return std::make_shared<WindowLease>(shared_from_this(), *offset, size);
}

Result<channel::WindowMapping> Window::map(uint64_t offset, uint64_t bytes) {
  if (bytes == 0 || offset > bytes_ || bytes > bytes_ - offset) {
    return fail(VACCEL_INVALID_ARGUMENT, "%llu bytes at offset %llu are not in a window of %llu",
                static_cast<Text>(bytes), static_cast<Text>(offset), static_cast<Text>(bytes_));
  }
  // There are many sessions on a host, each with a window: what they do not use is not mapped.
  if (kind_ == wire::WindowKind::kMemory) return channel::WindowMapping::map(fd(), start_ + offset, bytes);
  auto all = whole();
  if (!all) return all;
  return all->part(offset, bytes);
}

Result<channel::WindowMapping> Window::whole() {
  if (!mapping_) {
    auto mapped = channel::WindowMapping::map(fd(), start_, bytes_);
    if (!mapped) return mapped;
    mapping_ = std::move(*mapped);
  }
  return *mapping_;
}

// ---- Clearing: what one session leaves in a VM's window, no other gets to see

void Window::give_back(uint64_t offset, uint64_t bytes) {
  leased_bytes_ -= bytes;
  --leases_;
  // Nobody but this one session ever has its own window.
  if (kind_ == wire::WindowKind::kMemory) {
    allocator_.release(offset);
    return;
  }
  clearing_.push_back({offset, bytes});
  if (clearing_.size() == 1 && bytes <= at_once_left_) {
    at_once_left_ -= bytes;
    while (!clear_some(clearing_.front())) {
    }
    allocator_.release(offset);
    clearing_.pop_front();
  }
  schedule();
}

void Window::schedule() {
  if (std::exchange(scheduled_, true)) return;
  reactor_->defer([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->turn();
  });
}

void Window::turn() {
  scheduled_ = false;
  at_once_left_ = kAtOnceBytes;
  if (!clearing_.empty() && clear_some(clearing_.front())) {
    allocator_.release(clearing_.front().offset);
    clearing_.pop_front();
  }
  if (!clearing_.empty()) return schedule();
  for (auto& task : std::exchange(when_settled_, {}))
    task();
}

// @return whether the piece is clear. Where memory is lost there is nothing to clear, and nothing is leased from it
// again: see problem().
bool Window::clear_some(Clearing& piece) {
  const uint64_t offset = piece.offset + piece.done;
  const uint64_t left = piece.bytes - piece.done;
  const uint64_t step = std::min(left, piece.take ? kTakeStepBytes : kClearStepBytes);
  if (piece.take && !populate(offset, step)) {
    piece.done = piece.bytes;
    return true;
  }
  // What prefaulting has taken is kept, and so is what is small enough to be wanted again at once.
  const bool keeps = prefault_ || piece.bytes <= kAtOnceBytes;
  if (keeps || !punch(offset, step)) std::memset(mapping_->bytes().subspan(offset, step).data(), 0, step);
  piece.done += step;
  return piece.done == piece.bytes;
}

bool Window::punch(uint64_t offset, uint64_t bytes) {
  if (punches_ && ::fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(start_ + offset), static_cast<off_t>(bytes)) != 0) {
    punches_ = false;
  }
  return punches_;
}

// Takes the memory of what is to be written, so that a host without any says so here.
bool Window::populate(uint64_t offset, uint64_t bytes) {
  static const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));  // may be larger than ours
  const uint64_t begin = offset / page * page;
  const auto memory = mapping_->bytes().subspan(begin, offset - begin + bytes);
  if (::madvise(memory.data(), memory.size(), MADV_POPULATE_WRITE) == 0) return true;
  if (problem_.empty()) problem_ = "cannot take its memory in advance: " + errno_text(errno);
  return false;
}

bool Window::has_data(uint64_t offset, uint64_t bytes) const {
  const off_t begin = static_cast<off_t>(start_ + offset);
  const off_t data = ::lseek(fd(), begin, SEEK_DATA);
  if (data < 0) return errno != ENXIO;
  return data < begin + static_cast<off_t>(bytes);
}

void Window::when_settled(std::move_only_function<void()> task) {
  if (clearing_.empty()) return task();
  when_settled_.push_back(std::move(task));
}

}  // namespace vaccel::agent
