// SPDX-License-Identifier: Apache-2.0
//
// Private memory that takes in what a model computes, kept from call to call: fresh pages for each would cost more than
// filling them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <span>

#include "runtime/backend_run.h"
#include "runtime/scratch.h"

namespace vaccel::runtime {

class ModelOutputs {
 public:
  /// One output of the model, as the backend gave it.
  struct Output {
    int32_t dtype = 0;  ///< 0: it was not given.
    size_t rank = 0;
    std::array<int64_t, VACCEL_MAX_RANK> dimensions{};
    std::span<const std::byte> bytes;

    [[nodiscard]] std::span<const int64_t> shape() const { return {dimensions.data(), rank}; }
  };

  /// Makes ready for a run of a model with so many outputs; what was there before is gone.
  void begin(size_t count) {
    count_ = count;
    while (slots_.size() < count)
      slots_.emplace_back();
    for (Slot& slot : slots_)
      slot.output = {};
  }
  /// Nobody reads them any more, for a while.
  void rest() {
    for (Slot& slot : slots_)
      slot.memory.rest();
  }
  [[nodiscard]] OutputSink sink() { return {this, get}; }
  [[nodiscard]] const Output& operator[](size_t index) const { return slots_[index].output; }

 private:
  struct Slot {
    Output output;
    Scratch memory;
  };

  static void* get(void* context, size_t index, const char* /*name*/, vaccel_dtype dtype, int32_t rank,
                   const int64_t* shape, size_t bytes) {
    auto* self = static_cast<ModelOutputs*>(context);
    if (index >= self->count_ || rank < 0 || rank > VACCEL_MAX_RANK) return nullptr;
    Slot& slot = self->slots_[index];
    std::byte* memory = slot.memory.take(bytes);
    if (memory == nullptr) return nullptr;
    slot.output.dtype = dtype;
    slot.output.rank = static_cast<size_t>(rank);
    std::copy_n(shape, rank, slot.output.dimensions.begin());
    slot.output.bytes = {memory, bytes};
    return memory;
  }

  std::deque<Slot> slots_;  // stable addresses
  size_t count_ = 0;
};

}  // namespace vaccel::runtime
