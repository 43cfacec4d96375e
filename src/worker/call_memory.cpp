// SPDX-License-Identifier: Apache-2.0
#include "worker/call_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>

#include "core/tensor.h"
#include "wire/limits.h"

namespace vaccel::worker {
namespace {

constexpr size_t kScratchKept = size_t{16} << 20;
constexpr size_t kScratchBlock = size_t{64} << 10;
static_assert(MemoryBlock::kAlignment % wire::kTensorAlignment == 0);

bool usable_in_place(int32_t dtype, const std::byte* data) {
  return is_usable_in_place(dtype, reinterpret_cast<uintptr_t>(data));
}

// Strings need someone who looks at them.
Status check_not_strings(const wire::Tensor& tensor, const char* what) {
  if (tensor.dtype != VACCEL_STRING) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "%s '%s' are strings, which cannot lie in a device buffer", what,
                 printable(tensor.name).c_str());
}

}  // namespace

// ---- Scratch

std::byte* Scratch::take(size_t bytes) {
  const size_t needed = wire::align_up(std::max<size_t>(bytes, 1), wire::kTensorAlignment);
  for (Block& block : blocks_) {
    if (block.memory.size() - block.used < needed) continue;
    std::byte* memory = block.memory.data() + block.used;
    block.used += needed;
    return memory;
  }
  // Those that are free are too small for this call, and would stay beside the new one for calls like it.
  std::erase_if(blocks_, [](const Block& block) { return block.used == 0; });
  MemoryBlock memory(MemoryBlock::with_room(std::max(needed, kScratchBlock), kScratchKept));
  if (!memory.valid()) throw std::bad_alloc();
  blocks_.push_back({std::move(memory), needed});
  return blocks_.back().memory.data();
}

void Scratch::rewind() {
  size_t kept = 0;
  std::erase_if(blocks_, [&](const Block& block) {
    kept += block.memory.size();
    return kept > kScratchKept;
  });
  for (Block& block : blocks_)
    block.used = 0;
}

// ---- Inputs

std::byte* Inputs::in_place_or_copied(const wire::Tensor& tensor, std::byte* data, Scratch& scratch) {
  if (usable_in_place(tensor.dtype, data)) return data;
  std::byte* copy = scratch.take(tensor.bytes);
  std::memcpy(copy, data, tensor.bytes);
  copied_bytes_ += tensor.bytes;
  return copy;
}

Status Inputs::map(const wire::Call& call, const channel::Segment& calls, const Windows& windows,
                   const CallMemories& memories, Scratch& scratch) {
  views_.reserve(call.inputs.size());
  for (const wire::Tensor& tensor : call.inputs) {
    std::byte* data = nullptr;
    if (wire::is_imported_window(tensor.segment)) {
      auto window = windows.find(static_cast<uint32_t>(tensor.segment));
      if (!window) return window.error();
      const uint64_t size = window->bytes().size();
      if (tensor.offset > size || tensor.bytes > size - tensor.offset) {
        return failure(VACCEL_INTERNAL, "input '%s' does not lie in its window",
                       printable(tensor.name).c_str());
      }
      std::byte* in_window = window->bytes().data() + tensor.offset;
      data = in_place_or_copied(tensor, in_window, scratch);
      if (data == in_window) mappings_.push_back(std::move(*window));
    } else if (wire::is_device_memory(tensor.segment)) {
      const runtime::Memory& memory = memories.at(tensor.segment);
      if (Status status = check_not_strings(tensor, "input"); !status.ok()) return status;
      data = memory.bytes().data() + tensor.offset;
      if (memory.backend() == nullptr) data = in_place_or_copied(tensor, data, scratch);
    } else {
      const auto bytes =
          tensor.segment == wire::Segment::kCalls ? calls.at(tensor.offset, tensor.bytes) : std::nullopt;
      if (!bytes && tensor.bytes > 0) {
        return failure(VACCEL_INTERNAL, "input '%s' does not lie in the calls segment",
                       printable(tensor.name).c_str());
      }
      data = bytes ? bytes->data() : nullptr;
    }
    vaccel_tensor view{};
    view.name = tensor.name.empty() ? nullptr : tensor.name.c_str();
    view.data = data;
    view.bytes = tensor.bytes;
    view.shape = tensor.shape.data();
    view.rank = tensor.rank;
    view.dtype = tensor.dtype;
    // What is looked at here (the offsets of strings) lies in memory that only this process or the agent writes.
    if (Status status = check_view(view); !status.ok()) return status;
    views_.push_back(view);
  }
  return {};
}

// ---- ResultSegment

std::optional<uint64_t> ResultSegment::allocate(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto offset = allocator_.allocate(bytes);
  warm_end_ = std::max(warm_end_, allocator_.used_end());
  return offset;
}

void ResultSegment::rest() {
  const std::lock_guard lock(mutex_);
  const uint64_t used = allocator_.used_end();
  if (warm_end_ > used) segment_.forget(used, warm_end_ - used);
  warm_end_ = used;
}

void ResultSegment::release(std::span<const uint64_t> offsets) {
  // Warm memory is kept for the next results; what lies above is what only a peak needed.
  constexpr uint64_t kKeepBelow = uint64_t{64} << 20;
  const std::lock_guard lock(mutex_);
  for (const uint64_t offset : offsets) {
    const auto size = allocator_.release(offset);
    if (size && offset + *size > kKeepBelow) segment_.forget(offset, *size);
  }
}

// ---- OutputSink

OutputSink::~OutputSink() {
  if (told_) return;
  for (const Output& output : outputs_) {
    if (output.tensor.segment == wire::Segment::kResults)
      results_.release(std::span(&output.tensor.offset, 1));
  }
}

void* OutputSink::output(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                         const int64_t* shape, size_t bytes) {
  return static_cast<OutputSink*>(context)->add(index, name, dtype, rank, shape, bytes);
}

const wire::Place* OutputSink::place_for(size_t index, const std::string& name) const {
  for (size_t at = 0; at < call_.places.size(); ++at) {
    const wire::Place& place = call_.places[at];
    if (place.bytes > 0 && (place.name.empty() ? at == index : place.name == name)) return &place;
  }
  return nullptr;
}

void* OutputSink::add(size_t index, const char* name, vaccel_dtype dtype, int32_t rank, const int64_t* shape,
                      size_t bytes) {
  if (outputs_.size() == wire::kMaxTensors || rank < 0 || rank > VACCEL_MAX_RANK) return nullptr;
  Output output{.index = index,
                .tensor = {.name = name != nullptr ? name : "", .dtype = dtype, .rank = rank}};
  std::copy_n(shape, rank, output.tensor.shape.begin());
  output.tensor.bytes = bytes;
  if (const wire::Place* place = place_for(index, output.tensor.name)) {
    if (bytes > place->bytes) {
      status_ = failure(
          VACCEL_INVALID_ARGUMENT,
          "options.outputs has a place of %llu bytes for result %zu, '%s', which takes %zu bytes",
          static_cast<unsigned long long>(place->bytes), index, printable(output.tensor.name).c_str(), bytes);
      return nullptr;
    }
    return wire::is_device_memory(place->segment) ? put_in_memory(std::move(output), *place)
                                                  : put_in_window(std::move(output), place->offset);
  }
  if (bytes <= kMaxInlineOutput) {
    output.travels = scratch_.take(bytes);
    outputs_.push_back(std::move(output));
    return outputs_.back().travels;
  }
  if (bytes <= call_.area_bytes - area_used_) {
    const uint64_t offset = call_.area_offset + area_used_;
    area_used_ += std::min(wire::align_up(bytes, wire::kTensorAlignment), call_.area_bytes - area_used_);
    return put_in_window(std::move(output), offset);
  }
  const auto offset = results_.allocate(bytes);
  if (!offset) return nullptr;
  output.tensor.segment = wire::Segment::kResults;
  output.tensor.offset = *offset;
  outputs_.push_back(std::move(output));
  return results_.at(*offset, bytes);
}

void* OutputSink::put_in_window(Output output, uint64_t offset) {
  if (!window_) {
    auto window = windows_.find(static_cast<uint32_t>(call_.window));
    if (!window) {
      status_ = window.error();
      return nullptr;
    }
    window_ = std::move(*window);
  }
  const uint64_t size = window_->bytes().size();
  if (offset > size || output.tensor.bytes > size - offset) {
    status_ = failure(VACCEL_INTERNAL, "a place for a result does not lie in its window");
    return nullptr;
  }
  output.tensor.segment = call_.window;
  output.tensor.offset = offset;
  return put_at(window_->bytes().data() + offset, std::move(output));
}

void* OutputSink::put_in_memory(Output output, const wire::Place& place) {
  output.tensor.segment = place.segment;
  output.tensor.offset = place.offset;
  const runtime::Memory& memory = memories_.at(place.segment);
  std::byte* data = memory.bytes().data() + place.offset;
  status_ = check_not_strings(output.tensor, "result");
  if (!status_.ok()) return nullptr;
  if (memory.backend() == nullptr) return put_at(data, std::move(output));
  outputs_.push_back(std::move(output));
  return data;
}

void* OutputSink::put_at(std::byte* data, Output output) {
  output.place = data;
  if (!usable_in_place(output.tensor.dtype, data)) output.private_copy = scratch_.take(output.tensor.bytes);
  outputs_.push_back(std::move(output));
  return outputs_.back().private_copy != nullptr ? outputs_.back().private_copy : data;
}

wire::CallResult OutputSink::take(std::vector<std::span<const std::byte>>& pieces) {
  static constexpr std::array<std::byte, wire::kTensorAlignment> kPadding{};
  std::ranges::sort(outputs_, {}, &Output::index);
  wire::CallResult result;
  uint64_t end = 0;
  for (Output& output : outputs_) {
    if (output.private_copy != nullptr) {
      std::memcpy(output.place, output.private_copy, output.tensor.bytes);
      result.copied_bytes += output.tensor.bytes;
    }
    if (output.travels != nullptr) {
      const uint64_t begin = wire::align_up(end, wire::kTensorAlignment);
      if (begin > end) pieces.push_back(std::span(kPadding).first(begin - end));
      output.tensor.offset = begin;
      pieces.emplace_back(output.travels, output.tensor.bytes);
      end = begin + output.tensor.bytes;
    }
    result.outputs.push_back(std::move(output.tensor));
  }
  told_ = true;
  return result;
}

}  // namespace vaccel::worker
