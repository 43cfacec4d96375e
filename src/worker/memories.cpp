// SPDX-License-Identifier: Apache-2.0
#include "worker/memories.h"

namespace vaccel::worker {

void Memories::add(uint32_t number, std::unique_ptr<runtime::Memory> memory) {
  const std::lock_guard lock(mutex_);
  memories_.insert_or_assign(number, std::move(memory));
}

void Memories::free(uint32_t number) {
  // What goes, goes without the lock: a device may take its time.
  decltype(memories_)::node_type gone;
  const std::lock_guard lock(mutex_);
  gone = memories_.extract(number);
}

Result<MemoryPtr> Memories::find(uint32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto memory = memories_.find(number);
  if (memory != memories_.end()) return memory->second;
  return fail(VACCEL_UNAVAILABLE,
              "the device buffer was lost with the worker that held it; free it and allocate another");
}

Status CallMemories::find(const wire::Call& call, const Memories& memories) {
  for (const wire::Tensor& tensor : call.inputs) {
    if (!wire::is_device_memory(tensor.segment)) continue;
    if (Status status = add(tensor.segment, tensor.offset, tensor.bytes, memories); !status.ok())
      return status;
  }
  for (const wire::Place& place : call.places) {
    if (!wire::is_device_memory(place.segment)) continue;
    if (Status status = add(place.segment, place.offset, place.bytes, memories); !status.ok()) return status;
  }
  return {};
}

Status CallMemories::add(wire::Segment segment, uint64_t offset, uint64_t bytes, const Memories& memories) {
  auto known = used_.find(segment);
  if (known == used_.end()) {
    auto memory = memories.find(static_cast<uint32_t>(segment));
    if (!memory) return memory.error();
    known = used_.emplace(segment, std::move(*memory)).first;
    if (known->second->backend() != nullptr) on_devices_.push_back(known->second.get());
  }
  const uint64_t size = known->second->bytes().size();
  if (offset <= size && bytes <= size - offset) return {};
  return failure(VACCEL_INTERNAL, "%llu bytes at offset %llu do not lie in device memory of %llu",
                 static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(offset),
                 static_cast<unsigned long long>(size));
}

runtime::Memory& CallMemories::at(wire::Segment segment) const {
  return *used_.at(segment);
}

}  // namespace vaccel::worker
