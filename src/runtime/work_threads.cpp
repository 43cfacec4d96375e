// SPDX-License-Identifier: Apache-2.0
#include "runtime/work_threads.h"

#include <system_error>

namespace vaccel::runtime {

WorkThreads::~WorkThreads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  posted_.notify_all();
  for (std::thread& thread : threads_)
    thread.join();
}

Status WorkThreads::post(void (*work)(void*), void* argument) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= idle_ && threads_.size() < most_threads_) {
      try {
        threads_.emplace_back([this] { run(); });
      } catch (const std::system_error& error) {
        if (threads_.empty()) {
          return failure(VACCEL_RESOURCE_EXHAUSTED, "cannot start a thread: %s", error.what());
        }
      }
    }
    queue_.push_back({work, argument});
  }
  posted_.notify_one();
  return {};
}

void WorkThreads::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    posted_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    const Work work = queue_.front();
    queue_.pop_front();
    lock.unlock();
    work.run(work.argument);
    lock.lock();
  }
}

}  // namespace vaccel::runtime
