// SPDX-License-Identifier: Apache-2.0
//
// What a worker and the frameworks in it write to their standard error, as lines of the agent's log: each says whose it is, none can
// pass for the agent's own, and whoever writes without end is not read for a while, so that neither the log nor the loop is flooded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/line_meter.h"
#include "agent/log.h"
#include "agent/reactor.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace vaccel::agent {

class WorkerOutput {
 public:
  /// A process may have a whole report to make when it fails; what it makes of it in the long run is little.
  static constexpr int64_t kBurst = 200;
  static constexpr int64_t kEachNs = 500'000'000;
  /// A longer line is cut in pieces.
  static constexpr size_t kMaxLineBytes = 1024;

  /// @param name  Before each line: "worker 3". @param reactor, log  Outlive this.
  WorkerOutput(Reactor& reactor, Log& log, std::string name)
      : reactor_(reactor), log_(log), name_(std::move(name)) {}
  ~WorkerOutput() { forget(); }
  WorkerOutput(const WorkerOutput&) = delete;
  WorkerOutput& operator=(const WorkerOutput&) = delete;

  /// A process begins: what it writes comes out of this pipe. A line may begin with its level as syslog has it, "<4>"; it is
  /// "info" without.
  Status begin(UniqueFd pipe);
  /// It has ended: what it had written last is told, and the pipe is closed.
  void end();

 private:
  void on_readable();
  bool read_once();  // whether there may be more
  void take(std::string_view bytes);
  void tell(std::string_view line);
  void tell_left_out();
  void pause();
  void forget();

  Reactor& reactor_;
  Log& log_;
  const std::string name_;
  UniqueFd pipe_;
  bool watched_ = false;
  Reactor::TimerId pause_;
  std::string line_;  // that has not ended yet
  LineMeter meter_{kBurst, kEachNs};
  uint64_t left_out_ = 0;  // by the pipe's last piece: whether to pause
};

}  // namespace vaccel::agent
