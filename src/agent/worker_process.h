// SPDX-License-Identifier: Apache-2.0
//
// One worker process: starting it with its channel and segments, and learning how it ended. What is said over
// the channel is WorkerSlot's business.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "channel/ring_channel.h"
#include "channel/segment.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace vaccel::agent {

class WorkerProcess {
 public:
  /// Starts `program` with `arguments`; it inherits the other end of channel(), `calls`, a results
  /// segment of its own, and a pair of rings.
  static Result<std::unique_ptr<WorkerProcess>> start(const std::filesystem::path& program,
                                                      const std::vector<std::string>& arguments,
                                                      const channel::Segment& calls, uint64_t result_bytes);
  /// Kills it if it still runs, and waits for its end.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable when the process has ended.
  [[nodiscard]] int pid_fd() const { return pid_fd_.get(); }
  [[nodiscard]] channel::RingChannel& channel() { return *channel_; }
  [[nodiscard]] const channel::Segment& results() const { return results_; }
  void kill();
  /// Closes the channel, on which the worker finishes and exits, and waits for that; kills it when it takes
  /// too long.
  void end(int timeout_ms);
  /// Collects a process that has ended. @return how, for a sentence: "exited with status 1", "was killed by
  /// signal 11 (Segmentation fault)".
  std::string collect();
  /// Of one that was collected: the signal that ended it; 0: none did.
  [[nodiscard]] int end_signal() const { return end_signal_; }

 private:
  WorkerProcess(pid_t pid, UniqueFd pid_fd, std::unique_ptr<channel::RingChannel> channel,
                channel::Segment results)
      : pid_(pid), pid_fd_(std::move(pid_fd)), channel_(std::move(channel)), results_(std::move(results)) {}

  pid_t pid_;
  UniqueFd pid_fd_;
  std::unique_ptr<channel::RingChannel> channel_;
  channel::Segment results_;
  int end_signal_ = 0;
};

}  // namespace vaccel::agent
