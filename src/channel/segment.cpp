// SPDX-License-Identifier: Apache-2.0
#include "channel/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "wire/limits.h"

namespace vaccel::channel {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<Segment> Segment::create(const char* name, uint64_t bytes) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot make a segment of %llu bytes: %s",
                static_cast<unsigned long long>(bytes), errno_text(errno).c_str());
  }
  return map(std::move(fd), true);
}

Result<Segment> Segment::map(UniqueFd fd, bool writable) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return fail(VACCEL_INVALID_ARGUMENT, "descriptor %d is not a memfd that is sealed against shrinking",
                fd.get());
  }
  struct stat file {};
  if (::fstat(fd.get(), &file) != 0 || file.st_size <= 0) {
    return fail(VACCEL_INVALID_ARGUMENT, "descriptor %d has no size", fd.get());
  }
  const auto size = static_cast<size_t>(file.st_size);
  void* address = ::mmap(nullptr, size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                         MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
  if (address == MAP_FAILED) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot map a segment of %zu bytes: %s", size,
                errno_text(errno).c_str());
  }
  return Segment{std::move(fd), Mapping{address, size}};
}

std::optional<std::span<std::byte>> Segment::at(uint64_t offset, uint64_t bytes) const {
  const auto all = mapping_.bytes();
  if (offset > all.size() || bytes > all.size() - offset) return std::nullopt;
  return all.subspan(offset, bytes);
}

void Segment::forget(uint64_t offset, uint64_t bytes) {
  if (!at(offset, bytes)) return;
  // Whole pages only: FALLOC_FL_PUNCH_HOLE zeroes the rest of partial ones, which a neighbour may be using.
  constexpr uint64_t kPage = 4096;
  const uint64_t begin = wire::align_up(offset, kPage);
  const uint64_t end = (offset + bytes) / kPage * kPage;
  if (begin < end) {
    ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                static_cast<off_t>(end - begin));
  }
}

SegmentAllocator::SegmentAllocator(uint64_t bytes) {
  if (bytes > 0) free_.emplace(0, bytes / wire::kTensorAlignment * wire::kTensorAlignment);
}

std::optional<uint64_t> SegmentAllocator::allocate(uint64_t bytes, uint64_t alignment) {
  if (bytes > wire::kMaxPayloadBytes) return std::nullopt;
  const uint64_t size = wire::align_up(std::max<uint64_t>(bytes, 1), wire::kTensorAlignment);
  const auto piece = std::ranges::find_if(free_, [size, alignment](const auto& entry) {
    const uint64_t skipped = wire::align_up(entry.first, alignment) - entry.first;
    return entry.second >= skipped && entry.second - skipped >= size;
  });
  if (piece == free_.end()) return std::nullopt;
  const auto [begin, available] = *piece;
  const uint64_t offset = wire::align_up(begin, alignment);
  const uint64_t skipped = offset - begin;
  if (skipped > 0) {
    piece->second = skipped;
  } else {
    free_.erase(piece);
  }
  if (available - skipped > size) free_.emplace(offset + size, available - skipped - size);
  used_.emplace(offset, size);
  used_bytes_ += size;
  return offset;
}

std::optional<uint64_t> SegmentAllocator::release(uint64_t offset) {
  const auto piece = used_.find(offset);
  if (piece == used_.end()) return std::nullopt;
  const uint64_t size = piece->second;
  used_.erase(piece);
  used_bytes_ -= size;
  auto merged = free_.emplace(offset, size).first;
  if (const auto after = std::next(merged); after != free_.end() && offset + size == after->first) {
    merged->second += after->second;
    free_.erase(after);
  }
  if (merged != free_.begin()) {
    const auto before = std::prev(merged);
    if (before->first + before->second == offset) {
      before->second += merged->second;
      free_.erase(merged);
    }
  }
  return size;
}

}  // namespace vaccel::channel
