// SPDX-License-Identifier: Apache-2.0
#include "client/buffers.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace vaccel::client {

namespace {

// For std::upper_bound: the first buffer that begins behind an address.
bool begins_behind(const std::byte* at, const BufferMemoryPtr& entry) {
  return at < entry->base;
}

}  // namespace

BufferMemory::~BufferMemory() {
  if (given_up.load(std::memory_order_relaxed)) slab.discard();
  if (!device) return;
  if (const auto home = device->home.lock()) home->free_memory(device->number);
  if (is_reserved) ::munmap(base, bytes);
}

std::byte* reserve_addresses(size_t bytes) {
  void* addresses = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return addresses != MAP_FAILED ? static_cast<std::byte*>(addresses) : nullptr;
}

void Buffers::add(BufferMemoryPtr memory) {
  const std::lock_guard lock(mutex_);
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), memory->base, begins_behind);
  entries_.insert(after, std::move(memory));
  count_.store(entries_.size(), std::memory_order_relaxed);
}

void Buffers::remove(const BufferMemory& memory) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const BufferMemoryPtr& entry) { return entry.get() == &memory; });
  count_.store(entries_.size(), std::memory_order_relaxed);
}

Result<std::optional<Buffers::Found>> Buffers::find(const void* data, size_t bytes,
                                                    const Present& present) const {
  if (!any()) return std::nullopt;
  const auto* begin = static_cast<const std::byte*>(data);
  const std::lock_guard lock(mutex_);
  auto next = std::upper_bound(entries_.begin(), entries_.end(), begin, begins_behind);
  bool stale = false;
  // In a VM, a lost window and the present one are the same memory: buffers of both may begin at one address.
  while (next != entries_.begin()) {
    const BufferMemoryPtr& entry = *--next;
    const auto offset = static_cast<size_t>(begin - entry->base);
    const bool inside = offset < entry->bytes;
    const bool is_present = entry->device ? entry->device->home_address == present.home
                                          : entry->slab.window().get() == present.window;
    if (!is_present) {
      stale = stale || inside;
      continue;
    }
    if (!inside) break;  // what is present does not overlap
    if (bytes > entry->bytes - offset) {
      return fail(VACCEL_INVALID_ARGUMENT,
                  "a tensor of %zu bytes begins %zu bytes into a buffer of %zu: it reaches beyond its end",
                  bytes, offset, entry->bytes);
    }
    if (entry->device) return Found{static_cast<wire::Segment>(entry->device->number), offset, entry};
    return Found{wire::Segment::kWindow, static_cast<uint64_t>(begin - present.window->base()), entry};
  }
  if (stale) {
    return fail(VACCEL_UNAVAILABLE,
                "the buffer was leased from an agent that has gone since; free it and allocate another");
  }
  return std::nullopt;
}

bool Buffers::on_device(const void* data) const {
  if (!any()) return false;
  const std::lock_guard lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(),
                     [data](const BufferMemoryPtr& entry) { return entry->device && entry->has(data); });
}

Result<std::unique_ptr<vaccel_buffer>> ordinary_buffer(size_t bytes, uint64_t alignment) {
  auto buffer = std::make_unique<vaccel_buffer>(bytes, static_cast<size_t>(alignment));
  if (buffer->data == nullptr)
    return fail(VACCEL_RESOURCE_EXHAUSTED, "there is no memory for a buffer of %zu bytes", bytes);
  return buffer;
}

}  // namespace vaccel::client

vaccel_buffer::vaccel_buffer(vaccel::client::BufferMemoryPtr its_memory,
                             std::shared_ptr<vaccel::client::Buffers> registry)
    : data(its_memory->base),
      size(its_memory->bytes),
      memory(std::move(its_memory)),
      buffers(std::move(registry)) {
  buffers->add(memory);
}

vaccel_buffer::vaccel_buffer(size_t bytes, size_t alignment) : size(bytes) {
  if (::posix_memalign(&data, alignment, bytes) != 0) data = nullptr;
}

vaccel_buffer::~vaccel_buffer() {
  if (memory != nullptr) {
    buffers->remove(*memory);
  } else {
    std::free(data);
  }
}
