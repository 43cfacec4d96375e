// SPDX-License-Identifier: Apache-2.0
//
// Gives the system back, when there has been nothing to do for a while, what the heap keeps of memory that calls have freed: what a
// worker has at rest is what it needs, whatever the last hour was like. The next call takes what it uses anew.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace vaccel::worker {

class IdleTrim {
 public:
  static constexpr std::chrono::milliseconds kQuiet{2'000};

  /// @param trim  Called on a thread of its own when no call has begun for `quiet`, and none runs; once until the next call.
  explicit IdleTrim(std::function<void()> trim, std::chrono::milliseconds quiet = kQuiet);
  ~IdleTrim();
  IdleTrim(const IdleTrim&) = delete;
  IdleTrim& operator=(const IdleTrim&) = delete;

  /// While one lives, a call runs. Costs two counters.
  class Call {
   public:
    explicit Call(IdleTrim& idle) : idle_(idle) { idle_.begin(); }
    ~Call() { idle_.running_.fetch_sub(1); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    IdleTrim& idle_;
  };

 private:
  void begin();
  void run();

  const std::function<void()> trim_;
  const std::chrono::milliseconds quiet_;
  std::atomic<uint32_t> running_ = 0;
  std::atomic<uint64_t> begun_ = 0;
  std::atomic<bool> sleeps_ = false;  // until somebody calls
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vaccel::worker
