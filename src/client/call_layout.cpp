// SPDX-License-Identifier: Apache-2.0
#include "client/call_layout.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/tensor.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

// Copies the tensors of a call into a slab, one after the other.
class Copying {
 public:
  Copying(uint64_t bytes, channel::Channel& other_end) : left_(bytes), other_end_(other_end) {}

  /// Writes a tensor's elements, dense.
  void write(const vaccel_tensor& tensor, uint64_t bytes, std::byte* to) {
    if (!is_dense(tensor)) {
      pack(tensor, to);
    } else if (left_ > kRouseBefore && left_ - std::min(left_, bytes) <= kRouseBefore) {
      const auto first = static_cast<size_t>(std::min(left_ - kRouseBefore, bytes));
      const auto* from = static_cast<const std::byte*>(tensor.data);
      std::memcpy(to, from, first);
      other_end_.rouse();
      std::memcpy(to + first, from + first, static_cast<size_t>(bytes) - first);
    } else {
      std::memcpy(to, tensor.data, static_cast<size_t>(bytes));
    }
    left_ -= std::min(left_, bytes);
  }

 private:
  // What takes about as long to copy as a process takes to wake up and to look around: 40 us at 40 GB/s.
  static constexpr uint64_t kRouseBefore = uint64_t{3} << 19;

  uint64_t left_;
  channel::Channel& other_end_;
};

Status has_gaps(const vaccel_tensor& tensor) {
  return failure(VACCEL_INVALID_ARGUMENT,
                 "a tensor of shape %s lies in a device buffer with gaps; there it must be dense",
                 shape_text(shape_of(tensor)).c_str());
}

}  // namespace

void CallLayout::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

Status CallLayout::find_in_buffers(const CallSpec& spec, const Buffers& buffers, const void* home,
                                   CallMemory& memory) {
  const Buffers::Present present{memory.window.get(), home};
  inputs_.reserve(spec.inputs.size());
  for (const vaccel_tensor& tensor : spec.inputs) {
    Input input{wire::Segment::kPayload, 0, dense_size(tensor)};
    if (input.bytes > 0 && !is_dense(tensor) && buffers.on_device(tensor.data)) return has_gaps(tensor);
    if (input.bytes > 0 && is_dense(tensor)) {
      auto found = buffers.find(tensor.data, static_cast<size_t>(input.bytes), present);
      if (!found) return found.error();
      if (*found) {
        input = {(*found)->segment, (*found)->offset, input.bytes};
        memory.buffers.push_back(std::move((*found)->memory));
      }
    }
    inputs_.push_back(input);
  }
  for (size_t index = 0; index < spec.places.size(); ++index) {
    const vaccel_tensor& place = spec.places[index];
    if (place.bytes == 0) continue;
    auto found = buffers.find(place.data, place.bytes, present);
    if (!found) return found.error();
    if (!*found) continue;
    const uint64_t offset = (*found)->offset;
    const wire::Segment segment =
        wire::is_device_memory((*found)->segment) ? (*found)->segment : wire::Segment::kPayload;
    memory.buffers.push_back(std::move((*found)->memory));
    // A place without a name is for the result at its position, so those before it need an entry each.
    if (place.name == nullptr && places_.size() <= index) places_.resize(index + 1);
    if (place.name == nullptr) {
      places_[index] = {{}, offset, place.bytes, segment};
    } else {
      places_.push_back({place.name, offset, place.bytes, segment});
    }
  }
  return {};
}

uint64_t CallLayout::bytes_outside(const CallSpec& spec) const {
  uint64_t total = 0;
  for (size_t index = 0; index < spec.inputs.size(); ++index) {
    const bool found = index < inputs_.size() && inputs_[index].segment != wire::Segment::kPayload;
    if (!found) total = wire::align_up(total, wire::kTensorAlignment) + dense_size(spec.inputs[index]);
  }
  return total;
}

Status CallLayout::place(const CallSpec& spec, CallMemory& memory, channel::Channel& other_end) {
  for (size_t index = inputs_.size(); index < spec.inputs.size(); ++index)
    inputs_.push_back({wire::Segment::kPayload, 0, dense_size(spec.inputs[index])});
  pieces_.reserve(2 * spec.inputs.size());
  Copying copying(memory.inputs.valid() ? bytes_outside(spec) : 0, other_end);
  uint64_t used = 0;
  for (size_t index = 0; index < spec.inputs.size(); ++index) {
    Input& input = inputs_[index];
    if (input.segment != wire::Segment::kPayload || input.bytes == 0) continue;
    if (memory.inputs.valid()) {
      used = wire::align_up(used, wire::kTensorAlignment);
      copying.write(spec.inputs[index], input.bytes, memory.inputs.data() + used);
      input.segment = wire::Segment::kWindow;
      input.offset = memory.inputs.offset() + used;
      used += input.bytes;
      memory.copied_bytes += input.bytes;
    } else if (Status status = add_to_payload(spec.inputs[index], input); !status.ok()) {
      return status;
    }
  }
  return {};
}

Status CallLayout::add_to_payload(const vaccel_tensor& tensor, Input& input) {
  const std::byte* data = static_cast<const std::byte*>(tensor.data);
  if (!is_dense(tensor)) {
    packed_.emplace_back(static_cast<std::byte*>(std::malloc(static_cast<size_t>(input.bytes))));
    if (!packed_.back()) {
      return failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory to pack a strided tensor of %llu bytes",
                     static_cast<unsigned long long>(input.bytes));
    }
    pack(tensor, packed_.back().get());
    data = packed_.back().get();
  }
  static constexpr std::byte kPadding[wire::kTensorAlignment]{};
  input.offset = wire::align_up(payload_bytes_, wire::kTensorAlignment);
  if (input.offset > payload_bytes_)
    pieces_.push_back({kPadding, static_cast<size_t>(input.offset - payload_bytes_)});
  pieces_.push_back({data, static_cast<size_t>(input.bytes)});
  payload_bytes_ = input.offset + input.bytes;
  return {};
}

void CallLayout::fill(const CallSpec& spec, const CallMemory& memory, wire::Call& call) const {
  call.inputs.resize(spec.inputs.size());
  for (size_t index = 0; index < spec.inputs.size(); ++index) {
    const vaccel_tensor& from = spec.inputs[index];
    wire::Tensor& to = call.inputs[index];
    to.name = from.name != nullptr ? from.name : "";
    to.dtype = from.dtype;
    to.rank = from.rank;
    std::copy_n(from.shape, static_cast<size_t>(from.rank), to.shape.begin());
    to.segment = inputs_[index].segment;
    to.offset = inputs_[index].offset;
    to.bytes = inputs_[index].bytes;
  }
  call.places = places_;
  const Slab& area = memory.area;
  call.area_offset = area.valid() ? area.offset() : 0;
  call.area_bytes = area.valid() ? area.bytes() : 0;
  call.window = memory.window != nullptr && (!places_.empty() || area.valid()) ? wire::Segment::kWindow
                                                                               : wire::Segment::kPayload;
}

// ---- ResultSizes

// FNV-1a; two calls that collide only get an area of the wrong size.
uint64_t ResultSizes::key(const char* operator_name, const char* model) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](const char* text) {
    for (; text != nullptr && *text != '\0'; ++text)
      hash = (hash ^ static_cast<unsigned char>(*text)) * 0x100000001b3;
    hash = (hash ^ 0xff) * 0x100000001b3;
  };
  add(operator_name);
  add(model);
  return hash;
}

uint64_t ResultSizes::find(uint64_t key) const {
  const size_t known = known_.load(std::memory_order_acquire);
  for (size_t index = 0; index < known; ++index) {
    if (entries_[index].key.load(std::memory_order_relaxed) == key)
      return entries_[index].bytes.load(std::memory_order_relaxed);
  }
  return 0;
}

void ResultSizes::remember(uint64_t key, uint64_t bytes) {
  const size_t known = known_.load(std::memory_order_relaxed);
  for (size_t index = 0; index < known; ++index) {
    if (entries_[index].key.load(std::memory_order_relaxed) != key) continue;
    entries_[index].bytes.store(bytes, std::memory_order_relaxed);
    return;
  }
  if (bytes == 0) return;
  Entry& entry = entries_[used_++ % entries_.size()];
  entry.key.store(key, std::memory_order_relaxed);
  entry.bytes.store(bytes, std::memory_order_relaxed);
  known_.store(std::min(used_, entries_.size()), std::memory_order_release);
}

}  // namespace vaccel::client
