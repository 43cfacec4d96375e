// SPDX-License-Identifier: Apache-2.0
//
// The worker's server: takes calls from the agent over one channel and runs them with the runtime. Inputs lie
// in the calls segment, which the agent writes and this process maps read-only, or in windows (windows.h); outputs go
// where call_memory.h says: into a window, or to the results segment, which the agent maps read-only, where they stay
// until the agent releases them.
//
// Threads: `threads + 1` alike. One of them at a time, the leader, waits on the channel; when it has taken a
// frame in, the next one leads and it does the work itself, so no call is handed from thread to thread. Since
// the agent has at most `threads` calls under way, a leader is always there, to hear of cancellations.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "channel/ring_channel.h"
#include "channel/segment.h"
#include "core/pool.h"
#include "core/status.h"
#include "runtime/runtime.h"
#include "wire/messages.h"
#include "worker/call_memory.h"
#include "worker/idle_trim.h"
#include "worker/memories.h"
#include "worker/windows.h"

namespace vaccel::worker {

class Server {
 public:
  /// @param channel  outlives this. @param calls    mapped for reading. @param results  mapped for writing.
  Server(runtime::Runtime& runtime, channel::RingChannel& channel, channel::Segment calls,
         channel::Segment results);

  /// Serves until the agent closes the channel, and until the calls that it had sent are done. OK: it was
  /// closed in order.
  Status serve(uint32_t threads);

 private:
  struct Frame {
    wire::Header header;
    std::vector<std::byte> body;
    std::shared_ptr<std::atomic<int>> cancelled;  // of a call
  };

  struct Turn {
    std::condition_variable given;
    bool mine = false;
  };

  void work(Turn& turn);
  bool take_turn(Turn& turn);  // false: the channel has ended
  void pass_turn(bool ended);
  Result<bool> receive(Frame& frame);  // false: the channel was closed
  void import_window();
  void handle(Frame& frame);
  void handle_guarded(Frame& frame);
  void handle_hello(const Frame& frame);
  void handle_open_model(const Frame& frame);
  void handle_close_model(const Frame& frame);
  void handle_describe(const Frame& frame);
  void handle_reload(const Frame& frame);
  void handle_call(const Frame& frame);
  void handle_cancel(const Frame& frame);
  void handle_release(const Frame& frame);
  void handle_allocate_memory(const Frame& frame);
  Status run_call(const wire::Call& call, const Frame& frame, std::span<const vaccel_tensor> inputs,
                  const CallMemories& memories, OutputSink& sink, vaccel_timings& timings,
                  runtime::RuntimeCall& run);

  template <typename Message>
  void reply(uint64_t request_id, const Message& message,
             std::span<const std::span<const std::byte>> payload = {});
  void reply_failure(uint64_t request_id, const Status& status);
  void end(Status status);

  runtime::Runtime& runtime_;
  channel::Segment calls_;
  ResultSegment results_;
  Windows windows_;
  Memories memories_;
  Pool<Scratch> scratches_;  // one a call
  IdleTrim idle_trim_;

  channel::RingChannel& channel_;  // its receiving half is the leader's

  std::mutex turn_mutex_;
  bool led_ = false;         // somebody leads
  std::vector<Turn*> idle_;  // the one that has waited least is next: its stack and its core are warm
  bool ended_ = false;
  Status end_status_;

  std::mutex send_mutex_;
  wire::Encoder encoder_;

  std::mutex state_mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<std::atomic<int>>> running_;
  std::map<std::string, uint32_t, std::less<>> handles_;
  std::vector<runtime::Model*> models_;  // handle h is models_[h - 1]; nullptr: it has been closed

  std::mutex describe_mutex_;  // descriptions live until the next one is asked for
};

}  // namespace vaccel::worker
