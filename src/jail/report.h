// SPDX-License-Identifier: Apache-2.0
//
// What a process that is being jailed tells the one that started it, before it becomes the program. It is a copy of the agent that
// has nothing but system calls to work with: so the texts are of fixed size, and nothing allocates.
#pragma once

namespace vaccel::jail {

class Report {
 public:
  /// @param fd  a pipe's writing end, closed when the program begins.
  explicit Report(int fd) : fd_(fd) {}

  /// A step failed, as errno says; without it the process must not go on. @return false, for `return report.failed(...)`.
  bool failed(const char* step, const char* what = "") const { return write('e', step, what); }
  /// A step failed that the process goes on without. @return true.
  bool missing(const char* step, const char* what = "") const { return !write('m', step, what); }

 private:
  bool write(char kind, const char* step, const char* what) const;
  int fd_;
};

}  // namespace vaccel::jail
