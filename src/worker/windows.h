// SPDX-License-Identifier: Apache-2.0
//
// The windows that the agent has given to this worker: memory of its clients', mapped here too. The clients write to
// it whenever they like, so nothing in it may be looked at twice.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "channel/window_mapping.h"
#include "core/status.h"
#include "core/unique_fd.h"
#include "runtime/runtime.h"
#include "wire/messages.h"

namespace vaccel::worker {

/// Thread-safe.
class Windows {
 public:
  /// `runtime`, whose backends hear of each window, outlives this and all calls.
  explicit Windows(runtime::Runtime& runtime) : runtime_(runtime) {}

  /// Maps a window under the number that the agent chose.
  Status import(const wire::ImportWindow& import, const UniqueFd& memory);
  /// Forgets one; it stays mapped for calls that have it.
  void drop(uint32_t number);
  /// A window; INTERNAL: the agent has given none of that number. A call may come by the ring a moment before the
  /// window that it uses has come by the stream: that is waited for.
  Result<channel::WindowMapping> find(uint32_t number) const;

 private:
  runtime::Runtime& runtime_;
  mutable std::mutex mutex_;
  mutable std::condition_variable imported_;
  std::map<uint32_t, channel::WindowMapping> windows_;
};

}  // namespace vaccel::worker
