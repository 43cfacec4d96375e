// SPDX-License-Identifier: Apache-2.0
//
// What a worker and the frameworks in it write to their standard error, as lines of the agent's log: each says whose it is, none can
// pass for the agent's own, and nobody floods the log, nor keeps the loop busy: so much is read in a second and no more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
  /// What is read, however short the lines. Who writes more waits, once the socket is full.
  static constexpr int64_t kBytesPerMs = 320;

  /// @param name  Of the worker, "worker 3": lines begin with "worker 3 says: ". @param reactor, log  Outlive this.
  WorkerOutput(Reactor& reactor, Log& log, std::string name)
      : reactor_(reactor), log_(log), name_(std::move(name)) {}
  ~WorkerOutput() { forget(); }
  WorkerOutput(const WorkerOutput&) = delete;
  WorkerOutput& operator=(const WorkerOutput&) = delete;

  /// A process begins: what it writes arrives at this stream socket. (Not a pipe: a read of one waits while the other end writes from
  /// memory that is not there.) A line may begin with its level as syslog has it, "<4>"; it is "info" without.
  Status begin(UniqueFd socket);
  /// Reads what is there. For who waits for the process's end, without the loop.
  void drain();
  /// The process has ended: what it had written last is told, and the socket is closed.
  void end();

 private:
  void on_readable();
  size_t read_once();  // how many bytes; 0: none are there
  void take(std::string_view bytes);
  void tell_line();
  void tell_left_out();
  void watch();
  void unwatch();
  void forget();

  Reactor& reactor_;
  Log& log_;
  const std::string name_;
  UniqueFd socket_;
  bool watched_ = false;
  Reactor::TimerId pause_;
  std::string line_;               // or what of it has come
  std::optional<LogLevel> level_;  // of a line that has been cut: its pieces'
  LineMeter meter_{kBurst, kEachNs};
};

}  // namespace vaccel::agent
