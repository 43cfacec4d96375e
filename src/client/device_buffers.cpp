// SPDX-License-Identifier: Apache-2.0
//
// Of the C API: buffers on devices. Their bytes come and go as the input and the result of an operator, "transfer", so
// deadlines, windows and rings are those of any call.
#include "client/device_buffers.h"

#include <algorithm>
#include <cstring>

#include "client/api.h"
#include "client/error.h"
#include "client/session.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

// What travels at once: enough that a call costs nothing beside it, little enough for every limit and any slab.
constexpr size_t kPiece = size_t{16} << 20;

// One piece, from memory that the call can read to memory that it can write. @param offset  In the buffer.
vaccel_status transfer(vaccel_session* session, void* to, const void* from, size_t offset, size_t bytes,
                       CallSpec spec) {
  // Numbers with a fraction are used where they lie; other types are copied first, since they could be indices.
  const bool words = (offset | bytes) % sizeof(float) == 0;
  const auto count = static_cast<int64_t>(words ? bytes / sizeof(float) : bytes);
  vaccel_tensor data{};
  data.name = "data";
  data.data = const_cast<void*>(from);
  data.bytes = bytes;
  data.shape = &count;
  data.rank = 1;
  data.dtype = words ? VACCEL_FLOAT32 : VACCEL_UINT8;
  vaccel_tensor place{};
  place.data = to;
  place.bytes = bytes;
  spec.operator_name = "transfer";
  spec.inputs = {&data, 1};
  spec.places = {&place, 1};
  return call(session, spec, nullptr);
}

// What upload and download have in common. @param up  Into the buffer.
vaccel_status copy(vaccel_session* session, const vaccel_buffer* buffer, size_t offset, std::byte* memory,
                   size_t bytes, const vaccel_call_options* options, bool up) {
  if (session == nullptr) return report(is_null("the session"));
  if (buffer == nullptr) return report(is_null("the buffer"));
  if (memory == nullptr && bytes > 0) return report(is_null("the data"));
  CallSpec spec;
  if (Status status = read_options(options, spec); !status.ok()) return report(status);
  if (!spec.places.empty()) {
    return report({VACCEL_INVALID_ARGUMENT, "options.outputs is set; the bytes go where the arguments say"});
  }
  if (offset > buffer->size || bytes > buffer->size - offset) {
    return report(failure(VACCEL_INVALID_ARGUMENT,
                          "%zu bytes at offset %zu reach beyond the end of a buffer of %zu bytes", bytes,
                          offset, buffer->size));
  }
  std::byte* in_buffer = static_cast<std::byte*>(buffer->data) + offset;
  if (!buffer->on_device()) {
    if (buffer->lost()) {
      return report(
          {VACCEL_UNAVAILABLE,
           "the buffer was leased from an agent that has gone since; free it and allocate another"});
    }
    if (bytes > 0) std::memmove(up ? in_buffer : memory, up ? memory : in_buffer, bytes);
    return VACCEL_OK;
  }
  if (buffer->buffers.get() != &session->transport->buffers())
    return report({VACCEL_INVALID_ARGUMENT, "the device buffer belongs to another session"});
  for (size_t done = 0; done < bytes;) {
    const size_t piece = std::min(kPiece, bytes - done);
    std::byte* const mine = memory + done;
    std::byte* const its = in_buffer + done;
    const vaccel_status status =
        transfer(session, up ? its : mine, up ? mine : its, offset + done, piece, spec);
    if (status != VACCEL_OK) return status;
    done += piece;
  }
  return VACCEL_OK;
}

}  // namespace

vaccel_status allocate_on_device(vaccel_session& session, size_t bytes, const vaccel_buffer_options& options,
                                 vaccel_buffer** buffer) {
  if ((options.flags & VACCEL_BUFFER_SHARED) != 0 || options.alignment != 0) {
    return report({VACCEL_INVALID_ARGUMENT,
                   "a device buffer is not shared, and aligned as its device wants it: flags other than "
                   "VACCEL_BUFFER_DEVICE and alignment must be 0"});
  }
  if (bytes > wire::kMaxMemoryBytes) {
    return report(failure(VACCEL_RESOURCE_EXHAUSTED, "a device buffer of %zu bytes is over the limit of %llu",
                          bytes, static_cast<unsigned long long>(wire::kMaxMemoryBytes)));
  }
  if (options.backend != nullptr) {
    if (Status status = check_name(options.backend, "backend's name"); !status.ok()) return report(status);
  }
  auto allocated = session.transport->allocate_on_device(options.backend, bytes);
  if (!allocated) return report(allocated.error());
  *buffer = allocated->release();
  return VACCEL_OK;
}

}  // namespace vaccel::client

using vaccel::client::is_null;
using vaccel::client::report;

vaccel_status vaccel_buffer_device_address(const vaccel_buffer* buffer, void** address) {
  if (buffer == nullptr) return report(is_null("the buffer"));
  if (address == nullptr) return report(is_null("the place for the address"));
  if (!buffer->on_device()) return vaccel_buffer_map(buffer, address);
  *address = buffer->data;
  return VACCEL_OK;
}

const char* vaccel_buffer_device(const vaccel_buffer* buffer) {
  return buffer != nullptr && buffer->on_device() ? buffer->memory->device->backend.c_str() : "";
}

vaccel_status vaccel_buffer_upload(vaccel_session* session, vaccel_buffer* buffer, size_t offset,
                                   const void* data, size_t bytes, const vaccel_call_options* options) {
  auto* memory = static_cast<std::byte*>(const_cast<void*>(data));
  return vaccel::client::copy(session, buffer, offset, memory, bytes, options, true);
}

vaccel_status vaccel_buffer_download(vaccel_session* session, const vaccel_buffer* buffer, size_t offset,
                                     void* data, size_t bytes, const vaccel_call_options* options) {
  return vaccel::client::copy(session, buffer, offset, static_cast<std::byte*>(data), bytes, options, false);
}
