// SPDX-License-Identifier: Apache-2.0
//
// One worker process: starting it with its channel and segments, and learning how it ended. What is said over
// the channel is WorkerSlot's business.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "channel/ring_channel.h"
#include "channel/segment.h"
#include "core/status.h"
#include "core/unique_fd.h"
#include "jail/jail.h"

namespace vaccel::agent {

class WorkerProcess {
 public:
  /// Starts `program` in `jail` with `arguments`; it inherits the other end of channel(), `calls`, a results
  /// segment of its own, a pair of rings, and the file `config`, open; "": an empty one.
  static Result<std::unique_ptr<WorkerProcess>> start(jail::Jail& jail, const std::filesystem::path& program,
                                                      const std::vector<std::string>& arguments,
                                                      const std::filesystem::path& config,
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
  /// The socket where what it writes to standard output and error arrives; for the caller, once.
  [[nodiscard]] UniqueFd take_output() { return std::move(output_); }
  void kill();
  /// Closes the channel, on which the worker finishes and exits, and waits for that; kills it when it takes
  /// too long. Calls `meanwhile` now and then.
  void end(int timeout_ms, const std::function<void()>& meanwhile);
  /// Collects a process that has ended. @return how, for a sentence: "exited with status 1", "was killed by
  /// signal 11 (Segmentation fault)", "took more memory than the 2147483648 bytes that it may have".
  std::string collect();
  /// Of one that was collected: the signal that ended it; 0: none did.
  [[nodiscard]] int end_signal() const { return end_signal_; }
  /// Likewise: whether it took more memory than it may.
  [[nodiscard]] bool ran_out_of_memory() const { return ran_out_of_memory_; }

 private:
  WorkerProcess(jail::Started started, uint64_t memory_bytes, std::unique_ptr<channel::RingChannel> channel,
                channel::Segment results, UniqueFd output)
      : pid_(started.pid),
        pid_fd_(std::move(started.pid_fd)),
        cgroup_(std::move(started.cgroup)),
        memory_bytes_(memory_bytes),
        channel_(std::move(channel)),
        results_(std::move(results)),
        output_(std::move(output)) {}

  pid_t pid_;
  UniqueFd pid_fd_;
  jail::Cgroup cgroup_;
  uint64_t memory_bytes_;  // that it may have; 0: no limit
  std::unique_ptr<channel::RingChannel> channel_;
  channel::Segment results_;
  UniqueFd output_;
  int end_signal_ = 0;
  bool ran_out_of_memory_ = false;
};

}  // namespace vaccel::agent
