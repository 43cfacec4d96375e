// SPDX-License-Identifier: Apache-2.0
//
// A submitted call, as both transports have it.
#pragma once

#include "client/outputs.h"
#include "client/vision_arguments.h"
#include "core/status.h"

namespace vaccel::client {

/// What the caller wants to know again when a request is done.
struct RequestTraits {
  void* user_data = nullptr;
  VisionOperator which =
      VisionOperator::kNone;  ///< Whose typed results it has; none of a call of any operator.
  uint32_t image_count = 0;   ///< Of a vision operator.
};

}  // namespace vaccel::client

/// Belongs to one thread of the caller's at a time; another thread may complete it meanwhile.
struct vaccel_request {
  explicit vaccel_request(const vaccel::client::RequestTraits& its_traits) : traits(its_traits) {}
  vaccel_request(const vaccel_request&) = delete;
  vaccel_request& operator=(const vaccel_request&) = delete;
  /// Gives the call up if it has not completed.
  virtual ~vaccel_request() = default;

  [[nodiscard]] virtual bool done() const = 0;
  /// Waits until the call is done. @return false: the deadline of this wait passed first.
  virtual bool wait(int64_t deadline_ns) = 0;
  /// The caller knows that it is done: the queue need not tell of it any more.
  virtual void handed_out() = 0;
  virtual void cancel() = 0;
  /// What became of it, once done.
  [[nodiscard]] virtual const vaccel::Status& status() const = 0;
  /// Its results, once done; empty when they have been taken.
  virtual vaccel::client::OutputsPtr& outputs() = 0;

  const vaccel::client::RequestTraits traits;

  /// Of the CompletionQueue, and guarded by its lock.
  struct {
    vaccel_request* previous = nullptr;
    vaccel_request* next = nullptr;
    bool queued = false;
  } link;
};
