// SPDX-License-Identifier: Apache-2.0
//
// What a session does its calls with: an agent at the end of a connection (remote.h), or the runtime in this
// process (local.h).
#pragma once

#include <memory>

#include "client/buffers.h"
#include "client/call.h"
#include "client/descriptions.h"
#include "client/outputs.h"
#include "client/request.h"

namespace vaccel::client {

/// Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;

  /// Runs a checked call. @param outputs  out; nullptr: results are not wanted.
  virtual Status call(const CallSpec& spec, OutputsPtr* outputs) = 0;
  /// Starts a checked call; the spec is not needed any more when it returns, except for the memory of its
  /// places.
  virtual Result<std::unique_ptr<vaccel_request>> submit(const CallSpec& spec,
                                                         const RequestTraits& traits) = 0;
  /// Takes in what has arrived for submitted calls, without blocking, and ends those whose deadline has passed.
  virtual void take_in() = 0;

  /// Memory for tensors. @param alignment  A power of two, at least that of a pointer.
  /// RESOURCE_EXHAUSTED; UNIMPLEMENTED: it must be shared, and cannot be.
  virtual Result<std::unique_ptr<vaccel_buffer>> allocate_buffer(size_t bytes, uint64_t alignment,
                                                                 bool must_be_shared) = 0;

  /// Memory on a device, of `backend` or, with nullptr, of the best there is.
  virtual Result<std::unique_ptr<vaccel_buffer>> allocate_on_device(const char* backend, size_t bytes) = 0;
  /// Of this session.
  [[nodiscard]] virtual const Buffers& buffers() const = 0;

  /// Whether a tensor that lies there is used where it lies. Errors as Buffers::find().
  virtual Result<bool> is_in_place(const void* data, size_t bytes) = 0;

  /// A sign of life.
  virtual Status ping(int64_t deadline_ns) = 0;
  virtual Status load_model(const char* name) = 0;
  virtual Result<std::unique_ptr<ModelList>> list_models() = 0;
  virtual Result<std::unique_ptr<Model>> describe_model(const char* name) = 0;
  virtual Result<std::unique_ptr<Agent>> describe_agent() = 0;
  virtual Result<std::unique_ptr<OperatorList>> list_operators() = 0;
};

}  // namespace vaccel::client
