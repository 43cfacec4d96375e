// SPDX-License-Identifier: Apache-2.0
//
// Threads that run posted work. None exists before the first post; one is added when work is posted and none
// is idle, up to a limit.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "core/status.h"

namespace vaccel::runtime {

class WorkThreads {
 public:
  explicit WorkThreads(size_t most_threads) : most_threads_(most_threads) {}
  /// Runs what has been posted to its end.
  ~WorkThreads();
  WorkThreads(const WorkThreads&) = delete;
  WorkThreads& operator=(const WorkThreads&) = delete;

  /// RESOURCE_EXHAUSTED: not even one thread can be started.
  Status post(void (*work)(void*), void* argument);

 private:
  struct Work {
    void (*run)(void*);
    void* argument;
  };
  void run();

  const size_t most_threads_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<Work> queue_;
  size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace vaccel::runtime
