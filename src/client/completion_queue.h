// SPDX-License-Identifier: Apache-2.0
//
// Submitted calls that have completed and wait for vaccel_poll(), and the descriptor that tells an event loop of
// them.
#pragma once

#include <atomic>
#include <mutex>

#include "core/status.h"
#include "core/unique_fd.h"

struct vaccel_request;

namespace vaccel::client {

/// Thread-safe. Its lock is the innermost: nothing else is locked under it.
class CompletionQueue {
 public:
  /// Appends a request that has completed.
  void push(vaccel_request& request);
  /// Takes the oldest out; nullptr: there is none.
  vaccel_request* pop();
  /// Takes a request out that is handed out in another way, or freed. It need not be in the queue.
  void remove(vaccel_request& request);

  /// The descriptor of vaccel_session_fd(): readable when the queue was not empty or a watched descriptor is
  /// readable. Made at first use; RESOURCE_EXHAUSTED.
  Result<int> descriptor();
  /// Makes the descriptor readable until the next begin_poll().
  void raise();
  /// Lets the descriptor tell of a connection's socket, or not any more.
  /// @param wake  A second descriptor that tells of its results; -1: there is none.
  void watch(int socket, int wake);
  void unwatch(int socket);
  /// Whether the descriptor has been made, so that somebody may be waiting on it.
  [[nodiscard]] bool has_descriptor() const { return has_descriptor_.load(std::memory_order_acquire); }

  /// Around vaccel_poll(): between the two, push() need not wake anyone.
  void begin_poll();
  void end_poll();

 private:
  void raise_locked();

  std::mutex mutex_;
  vaccel_request* first_ = nullptr;
  vaccel_request* last_ = nullptr;
  UniqueFd epoll_;
  std::atomic<bool> has_descriptor_ = false;
  UniqueFd event_;
  int wake_ = -1;
  int socket_ = -1;  // what is watched, so that it can be added when the descriptor is made later
  bool raised_ = false;
  int polling_ = 0;
};

}  // namespace vaccel::client
