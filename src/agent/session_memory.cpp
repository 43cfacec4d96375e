// SPDX-License-Identifier: Apache-2.0
#include "agent/session_memory.h"

#include <algorithm>

namespace vaccel::agent {
namespace {

using Number = unsigned long long;  // for printf

void hold(const std::shared_ptr<DeviceMemory>& memory, HeldMemories& held) {
  if (std::ranges::find(held, memory) == held.end()) held.push_back(memory);
}

// Two results in one place would be nobody's.
Status check_disjoint(const std::vector<wire::Place>& places) {
  struct Range {
    wire::Segment memory;
    uint64_t begin;
    uint64_t end;
  };
  std::vector<Range> ranges;
  for (const wire::Place& place : places) {
    if (place.bytes > 0 && wire::is_device_memory(place.segment))
      ranges.push_back({place.segment, place.offset, place.offset + place.bytes});
  }
  std::ranges::sort(ranges, {}, [](const Range& range) { return std::pair{range.memory, range.begin}; });
  for (size_t index = 1; index < ranges.size(); ++index) {
    if (ranges[index].memory == ranges[index - 1].memory && ranges[index].begin < ranges[index - 1].end) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "two places for results overlap in a device buffer at offset %llu",
                     static_cast<Number>(ranges[index].begin));
    }
  }
  return {};
}

}  // namespace

DeviceMemory::DeviceMemory(WorkerSlot& worker, uint64_t bytes, Traffic& traffic,
                           std::shared_ptr<DeviceUsage> usage, std::array<Taken, 2> taken)
    : worker_(worker),
      traffic_(traffic),
      usage_(std::move(usage)),
      taken_(std::move(taken)),
      bytes_(bytes),
      number_(worker.next_memory_number()) {
  traffic_.device_bytes += bytes_;
  usage_->bytes += bytes_;
  ++usage_->count;
}

DeviceMemory::~DeviceMemory() {
  traffic_.device_bytes -= bytes_;
  usage_->bytes -= bytes_;
  --usage_->count;
  if (process_ != 0 && !lost()) worker_.free_memory(number_);
}

WorkerSlot* SessionMemory::worker_of(const wire::Call& call) const {
  const auto uses = [](const auto& one) { return wire::is_device_memory(one.segment); };
  const bool any = std::ranges::any_of(call.inputs, uses) || std::ranges::any_of(call.places, uses);
  return any ? worker_ : nullptr;
}

Result<std::shared_ptr<DeviceMemory>> SessionMemory::reserve(WorkerSlot& worker, uint64_t bytes,
                                                             Tenant& tenant) {
  if (usage_->count >= limits_.max_device_buffers) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "this session has %u device buffers; the limit is %u",
                usage_->count, limits_.max_device_buffers);
  }
  if (bytes > limits_.max_device_bytes || usage_->bytes > limits_.max_device_bytes - bytes) {
    return fail(
        VACCEL_RESOURCE_EXHAUSTED,
        "this session has %llu bytes of device buffers; with %llu more it would be over the limit of %llu",
        static_cast<Number>(usage_->bytes), static_cast<Number>(bytes),
        static_cast<Number>(limits_.max_device_bytes));
  }
  if (bytes > limits_.max_total_device_bytes ||
      traffic_.device_bytes > limits_.max_total_device_bytes - bytes) {
    return fail(VACCEL_RESOURCE_EXHAUSTED,
                "%llu bytes are more than the agent has left for device buffers, of %llu for all sessions",
                static_cast<Number>(bytes), static_cast<Number>(limits_.max_total_device_bytes));
  }
  auto buffer = tenant.take(Resource::kDeviceBuffers);
  if (!buffer) return Unexpected{buffer.error()};
  auto of_tenant = tenant.take(Resource::kDeviceBytes, bytes);
  if (!of_tenant) return Unexpected{of_tenant.error()};
  worker_ = &worker;
  return std::make_shared<DeviceMemory>(worker, bytes, traffic_, usage_,
                                        std::array{std::move(*buffer), std::move(*of_tenant)});
}

uint32_t SessionMemory::add(std::shared_ptr<DeviceMemory> memory) {
  do {
    next_ = (next_ + 1) | wire::kFirstMemoryNumber;
  } while (memories_.contains(next_));
  memories_.emplace(next_, std::move(memory));
  return next_;
}

Status SessionMemory::free(uint32_t number) {
  if (memories_.erase(number) > 0) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "device buffer %u is freed, which is none of this session's",
                 number);
}

Result<std::shared_ptr<DeviceMemory>> SessionMemory::find(wire::Segment segment, uint64_t offset,
                                                          uint64_t bytes, const std::string& what) const {
  const auto known = memories_.find(static_cast<uint32_t>(segment));
  if (known == memories_.end()) {
    return fail(VACCEL_INVALID_ARGUMENT, "%s lies in device buffer %u, which is none of this session's",
                what.c_str(), static_cast<uint32_t>(segment));
  }
  const DeviceMemory& memory = *known->second;
  if (offset > memory.bytes() || bytes > memory.bytes() - offset) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "%s, %llu bytes at offset %llu, reaches beyond the end of a device buffer of %llu bytes",
                what.c_str(), static_cast<Number>(bytes), static_cast<Number>(offset),
                static_cast<Number>(memory.bytes()));
  }
  if (memory.lost()) {
    return fail(VACCEL_UNAVAILABLE,
                "the device buffer was lost with the worker that held it; free it and allocate another");
  }
  return known->second;
}

Status SessionMemory::resolve(wire::Call& call, HeldMemories& held) const {
  for (wire::Tensor& tensor : call.inputs) {
    if (!wire::is_device_memory(tensor.segment)) continue;
    const auto memory =
        find(tensor.segment, tensor.offset, tensor.bytes, "input '" + printable(tensor.name) + "'");
    if (!memory) return memory.error();
    tensor.segment = static_cast<wire::Segment>((*memory)->number());
    hold(*memory, held);
  }
  if (Status status = check_disjoint(call.places); !status.ok()) return status;
  for (wire::Place& place : call.places) {
    if (!wire::is_device_memory(place.segment)) continue;
    const auto memory = find(place.segment, place.offset, place.bytes, "a place for a result");
    if (!memory) return memory.error();
    place.segment = static_cast<wire::Segment>((*memory)->number());
    hold(*memory, held);
  }
  return {};
}

Status SessionMemory::translate(wire::CallResult& result, const HeldMemories& held) const {
  for (wire::Tensor& tensor : result.outputs) {
    if (!wire::is_device_memory(tensor.segment)) continue;
    const auto number = static_cast<uint32_t>(tensor.segment);
    const bool was_held =
        std::ranges::any_of(held, [&](const auto& memory) { return memory->number() == number; });
    const auto known =
        std::ranges::find_if(memories_, [&](const auto& one) { return one.second->number() == number; });
    if (was_held && known == memories_.end()) {
      return failure(VACCEL_INVALID_ARGUMENT, "the device buffer of result '%s' was freed during the call",
                     printable(tensor.name).c_str());
    }
    if (!was_held || tensor.offset > known->second->bytes() ||
        tensor.bytes > known->second->bytes() - tensor.offset) {
      return failure(VACCEL_INTERNAL, "the worker placed result '%s' where the call has no memory",
                     printable(tensor.name).c_str());
    }
    tensor.segment = static_cast<wire::Segment>(known->first);
  }
  return {};
}

}  // namespace vaccel::agent
