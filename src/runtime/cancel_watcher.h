// SPDX-License-Identifier: Apache-2.0
//
// Ends runs early: a backend that can be interrupted registers how, and a thread of this object's calls it
// when the call's flag turns or its deadline passes. The thread starts with the first registration that has
// something to wait for, and sleeps when there is none.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace vaccel::runtime {

class CancelWatcher {
 public:
  /// One registration; belongs to the caller, and stays in place between add() and remove().
  struct Watch {
    const std::atomic<int>* cancelled = nullptr;
    int64_t deadline_ns = 0;
    void (*interrupt)(void*) = nullptr;
    void* argument = nullptr;
    Watch* previous = nullptr;
    Watch* next = nullptr;
    bool listed = false;
  };

  CancelWatcher() = default;
  ~CancelWatcher();
  CancelWatcher(const CancelWatcher&) = delete;
  CancelWatcher& operator=(const CancelWatcher&) = delete;

  /// Interrupts `watch` at most once from now on.
  void add(Watch& watch);
  /// After this, `watch` is not interrupted any more, and no interrupt of it is under way.
  void remove(Watch& watch);

 private:
  void run();
  int64_t fire_due(int64_t now);
  void unlist(Watch& watch);

  std::mutex mutex_;
  std::condition_variable changed_;
  Watch* first_ = nullptr;
  int64_t next_look_ns_ = 0;  // when the thread looks again; 0: it sleeps until it is woken
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vaccel::runtime
