// SPDX-License-Identifier: Apache-2.0
#include "client/buffers.h"

#include <algorithm>
#include <cstdlib>

namespace vaccel::client {

namespace {

// For std::upper_bound: the first buffer that begins behind an address.
bool begins_behind(const std::byte* at, const BufferMemoryPtr& entry) {
  return at < entry->slab.data();
}

}  // namespace

void Buffers::add(BufferMemoryPtr memory) {
  const std::lock_guard lock(mutex_);
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), memory->slab.data(), begins_behind);
  entries_.insert(after, std::move(memory));
  count_.store(entries_.size(), std::memory_order_relaxed);
}

void Buffers::remove(const BufferMemory& memory) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const BufferMemoryPtr& entry) { return entry.get() == &memory; });
  count_.store(entries_.size(), std::memory_order_relaxed);
}

Result<std::optional<Buffers::Found>> Buffers::find(const void* data, size_t bytes,
                                                    const Window& window) const {
  if (count_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const auto* begin = static_cast<const std::byte*>(data);
  const std::lock_guard lock(mutex_);
  auto next = std::upper_bound(entries_.begin(), entries_.end(), begin, begins_behind);
  bool stale = false;
  // In a VM, a lost window and the present one are the same memory: buffers of both may begin at one address.
  while (next != entries_.begin()) {
    const BufferMemoryPtr& entry = *--next;
    const auto offset = static_cast<size_t>(begin - entry->slab.data());
    const bool inside = offset < entry->bytes;
    if (entry->slab.window().get() != &window) {
      stale = stale || inside;
      continue;
    }
    if (!inside) break;  // buffers of one window do not overlap
    if (bytes > entry->bytes - offset) {
      return fail(VACCEL_INVALID_ARGUMENT,
                  "a tensor of %zu bytes begins %zu bytes into a buffer of %zu: it reaches beyond its end",
                  bytes, offset, entry->bytes);
    }
    return Found{static_cast<uint64_t>(begin - window.base()), entry};
  }
  if (stale) {
    return fail(VACCEL_UNAVAILABLE,
                "the buffer was leased from an agent that has gone since; free it and allocate another");
  }
  return std::nullopt;
}

Result<std::unique_ptr<vaccel_buffer>> ordinary_buffer(size_t bytes, uint64_t alignment) {
  auto buffer = std::make_unique<vaccel_buffer>(bytes, static_cast<size_t>(alignment));
  if (buffer->data == nullptr)
    return fail(VACCEL_RESOURCE_EXHAUSTED, "there is no memory for a buffer of %zu bytes", bytes);
  return buffer;
}

}  // namespace vaccel::client

vaccel_buffer::vaccel_buffer(vaccel::client::Slab slab, size_t bytes,
                             std::shared_ptr<vaccel::client::Buffers> registry)
    : data(slab.data()),
      size(bytes),
      memory(new vaccel::client::BufferMemory(std::move(slab), bytes)),
      buffers(std::move(registry)) {
  buffers->add(memory);
}

vaccel_buffer::vaccel_buffer(size_t bytes, size_t alignment) : size(bytes) {
  if (::posix_memalign(&data, alignment, bytes) != 0) data = nullptr;
}

vaccel_buffer::~vaccel_buffer() {
  if (shared()) {
    buffers->remove(*memory);
  } else {
    std::free(data);
  }
}
