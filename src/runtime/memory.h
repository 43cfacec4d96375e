// SPDX-License-Identifier: Apache-2.0
//
// Memory that stays where the work is done: on the device of a backend that has memory of its own (vaccel_backend.memory),
// or, for all others, in this process. Device memory has an address, by which tensors refer to it, and nothing that this
// process could read: who gets a call that uses some must know what to do with it, see Operator::takes_device_memory().
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/status.h"
#include "runtime/backend_library.h"
#include "runtime/runtime_abi.h"

namespace vaccel::runtime {

/// Freed when it goes; no call may use it then.
class Memory {
 public:
  /// On the device of `backend`, or in this process where that has none; it holds zeros. RESOURCE_EXHAUSTED.
  static Result<std::unique_ptr<Memory>> allocate(BackendLibrary& backend, size_t bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// The backend whose device it lies on, the only one that can use it; nullptr: it is ordinary memory.
  [[nodiscard]] BackendLibrary* backend() const { return backend_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] bool has(const void* address) const {
    const auto* at = static_cast<const std::byte*>(address);
    return at >= bytes_.data() && at < bytes_.data() + bytes_.size();
  }

 private:
  Memory(BackendLibrary* backend, std::span<std::byte> bytes) : backend_(backend), bytes_(bytes) {}

  BackendLibrary* backend_;
  std::span<std::byte> bytes_;
};

/// Whether the device memories that a call refers to lie on one backend, which is the one that the call names, if it names
/// any; it is chosen for the call. INVALID_ARGUMENT: no.
Status choose_backend_of_memories(RuntimeCall& call);

/// Whether what is of a device's memory begins at an element: a device computes with elements where they lie. `what`:
/// "input", "result". INVALID_ARGUMENT.
Status check_alignment(const RuntimeCall& call, const char* what, const char* name, int32_t dtype,
                       const void* data);

/// Copies between any two places that a call refers to, which do not overlap.
Status copy_bytes(const RuntimeCall& call, void* to, const void* from, size_t bytes);

}  // namespace vaccel::runtime
