// SPDX-License-Identifier: Apache-2.0
//
// Where the tensors of a call lie when it is sent: in a buffer of the program's, in a slab that they were copied to, or
// inline, in the call's payload.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "client/buffers.h"
#include "client/call.h"
#include "client/exchange.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::client {

class CallLayout {
 public:
  /// Up to so many bytes outside of the window go inline: through a ring that is no slower than a slab.
  static constexpr uint64_t kMaxInline = 1024;

  /// Looks which tensors and places lie in buffers of memory.window or on `home`'s devices, and adds these to
  /// memory.buffers. Errors as Buffers::find(); INVALID_ARGUMENT: one with gaps lies on a device.
  Status find_in_buffers(const CallSpec& spec, const Buffers& buffers, const void* home, CallMemory& memory);
  /// What the inputs that lie in no buffer take together, each on its alignment.
  [[nodiscard]] uint64_t bytes_outside(const CallSpec& spec) const;
  /// Copies these into memory.inputs if there is such a slab; else they are the payload, from where the caller has
  /// them. RESOURCE_EXHAUSTED: no memory to pack a strided one.
  /// @param other_end  Roused when a long copy is nearly done: it fell asleep over it, and waking takes as long as the rest.
  Status place(const CallSpec& spec, CallMemory& memory, channel::Channel& other_end);
  /// Puts it all into the message.
  void fill(const CallSpec& spec, const CallMemory& memory, wire::Call& call) const;

  [[nodiscard]] uint64_t payload_bytes() const { return payload_bytes_; }
  [[nodiscard]] std::span<const std::span<const std::byte>> payload() const { return pieces_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  struct Input {
    wire::Segment segment;
    uint64_t offset;
    uint64_t bytes;
  };
  Status add_to_payload(const vaccel_tensor& tensor, Input& input);

  std::vector<Input> inputs_;
  std::vector<wire::Place> places_;
  uint64_t payload_bytes_ = 0;
  std::vector<std::span<const std::byte>> pieces_;
  std::vector<std::unique_ptr<std::byte, Free>> packed_;
};

/// How large the results of past calls were, by operator and model, so that the next such call brings memory for them.
/// Looked up without a lock: what it says is a hint, and a wrong one only costs a copy.
class ResultSizes {
 public:
  static uint64_t key(const char* operator_name, const char* model);
  [[nodiscard]] uint64_t find(uint64_t key) const;
  /// One thread at a time.
  void remember(uint64_t key, uint64_t bytes);

 private:
  struct Entry {
    std::atomic<uint64_t> key = 0;
    std::atomic<uint64_t> bytes = 0;
  };
  std::array<Entry, 16> entries_;
  size_t used_ = 0;  // of the one who remembers
  std::atomic<size_t> known_ = 0;
};

}  // namespace vaccel::client
