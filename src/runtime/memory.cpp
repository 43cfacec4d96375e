// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "core/tensor.h"

namespace vaccel::runtime {
namespace {

// Fresh pages of the system: they hold zeros, and take memory only once they are written to.
Result<std::span<std::byte>> map_ordinary(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(VACCEL_RESOURCE_EXHAUSTED, "there is no memory for %zu bytes", bytes);
  return std::span(static_cast<std::byte*>(memory), bytes);
}

Result<std::span<std::byte>> allocate_on(BackendLibrary& backend, size_t bytes) {
  BackendFailure failure;
  const vaccel_backend_error error = failure.sink();
  void* address = nullptr;
  const vaccel_status code = backend.memory()->allocate(backend.instance(), bytes, &error, &address);
  if (Status status = failure.outcome(code, backend.name()); !status.ok())
    return Unexpected{std::move(status)};
  if (address == nullptr)
    return fail(VACCEL_INTERNAL, "backend '%s' allocated memory at no address", backend.name());
  return std::span(static_cast<std::byte*>(address), bytes);
}

const Memory* memory_at(const RuntimeCall& call, const void* address) {
  for (size_t index = 0; index < call.memory_count; ++index) {
    if (call.memories[index]->has(address)) return call.memories[index];
  }
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<Memory>> Memory::allocate(BackendLibrary& backend, size_t bytes) {
  const bool on_device = backend.memory() != nullptr;
  auto memory = on_device ? allocate_on(backend, bytes) : map_ordinary(bytes);
  if (!memory) return Unexpected{memory.error()};
  return std::unique_ptr<Memory>(new Memory(on_device ? &backend : nullptr, *memory));
}

Memory::~Memory() {
  if (backend_ != nullptr) {
    backend_->memory()->release(backend_->instance(), bytes_.data());
  } else {
    ::munmap(bytes_.data(), bytes_.size());
  }
}

Status choose_backend_of_memories(RuntimeCall& call) {
  const BackendLibrary& backend = *call.memories[0]->backend();
  for (size_t index = 1; index < call.memory_count; ++index) {
    const BackendLibrary& other = *call.memories[index]->backend();
    if (&other == &backend) continue;
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "the call uses memory on the devices of backends '%s' and '%s'; one call works on one device",
        backend.name(), other.name());
  }
  if (call.backend != nullptr && std::strcmp(call.backend, backend.name()) != 0) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "the call wants backend '%s' and uses memory on the device of backend '%s'",
                   printable(call.backend).c_str(), backend.name());
  }
  call.backend = backend.name();
  for (size_t index = 0; index < call.input_count; ++index) {
    const vaccel_tensor& input = call.inputs[index];
    if (Status status = check_alignment(call, "input", input.name, input.dtype, input.data); !status.ok())
      return status;
  }
  return {};
}

Status check_alignment(const RuntimeCall& call, const char* what, const char* name, int32_t dtype,
                       const void* data) {
  const Memory* memory = memory_at(call, data);
  const size_t size = element_size(dtype);
  if (memory == nullptr || size == 0) return {};
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(data) - memory->bytes().data());
  if (offset % size == 0) return {};
  return failure(
      VACCEL_INVALID_ARGUMENT,
      "%s '%s' begins %zu bytes into a device buffer; it must be a multiple of %zu, an element of %s", what,
      name != nullptr ? printable(name).c_str() : "", offset, size, dtype_name(dtype));
}

Status copy_bytes(const RuntimeCall& call, void* to, const void* from, size_t bytes) {
  if (bytes == 0) return {};
  const Memory* memory = memory_at(call, to);
  if (memory == nullptr) memory = memory_at(call, from);
  if (memory == nullptr) {
    std::memcpy(to, from, bytes);
    return {};
  }
  BackendLibrary& backend = *memory->backend();
  BackendFailure failure;
  const vaccel_backend_error error = failure.sink();
  return failure.outcome(backend.memory()->copy(backend.instance(), to, from, bytes, &error), backend.name());
}

}  // namespace vaccel::runtime
