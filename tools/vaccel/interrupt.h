// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C. It ends the process with exit code 130 at once, or, while somebody watches for it, is told to them first, so that a
// call can be cancelled and statistics printed; a second one ends the process all the same.
#pragma once

namespace vaccel::tool {

inline constexpr int kInterruptedExitCode = 130;

/// One for a process, made in main: signals belong to processes.
class Interrupt {
 public:
  /// Takes SIGINT over, unless whoever started the process has it ignored.
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// As long as it lives, the first Ctrl-C does not end the process.
  class Watch {
   public:
    explicit Watch(const Interrupt& interrupt);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
  };

  /// Readable from the first Ctrl-C on; for poll(). -1 where there is none.
  [[nodiscard]] int fd() const;

  /// Whether there was a Ctrl-C.
  [[nodiscard]] bool happened() const;
};

}  // namespace vaccel::tool
