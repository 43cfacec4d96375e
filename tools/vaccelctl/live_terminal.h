// SPDX-License-Identifier: Apache-2.0
//
// A terminal that shows one screen after the other until its user has seen enough: the alternate screen, keys as they are
// pressed, and everything as it was before when it goes. ANSI's sequences alone; no library.
#pragma once

#include <termios.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "core/unique_fd.h"
#include "tools/vaccelctl/top_screen.h"

namespace vaccel::ctl {

class LiveTerminal {
 public:
  /// Standard output is a terminal that is not dumb.
  static bool is_possible();
  /// From now on SIGINT, SIGTERM, SIGHUP and SIGWINCH are its. INTERNAL: the terminal cannot be set up.
  static Result<LiveTerminal> open();
  LiveTerminal(LiveTerminal&& other) noexcept;
  LiveTerminal& operator=(LiveTerminal&&) = delete;
  ~LiveTerminal();

  /// As it is now; what cannot be told is 24 by 80.
  [[nodiscard]] ScreenSize size() const;
  Status show(const std::vector<ScreenLine>& lines);

  enum class Event { kTime, kResized, kEnd };
  /// Until the moment has come, the window has another size, or the user (q, Ctrl-C) or a signal ends it.
  Event wait_until(int64_t deadline_ns);

 private:
  LiveTerminal(UniqueFd signals, bool has_keys, const termios& before);
  [[nodiscard]] bool asks_to_end();

  UniqueFd signals_;
  bool has_keys_;  // standard input is a terminal, too
  termios before_;
};

}  // namespace vaccel::ctl
