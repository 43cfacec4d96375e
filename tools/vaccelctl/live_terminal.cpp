// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/live_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/clock.h"

namespace vaccel::ctl {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // the alternate screen, without a cursor
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kRestOfLine = "\x1b[K";
constexpr std::string_view kRestOfScreen = "\x1b[J";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kPlain = "\x1b[0m";

constexpr char kCtrlC = 3;

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      (void)::poll(&room, 1, -1);
      continue;
    }
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

Unexpected no_terminal(const char* what) {
  return fail(VACCEL_INTERNAL, "cannot set the terminal up: %s: %s", what, errno_text(errno).c_str());
}

}  // namespace

bool LiveTerminal::is_possible() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

Result<LiveTerminal> LiveTerminal::open() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH})
    ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  UniqueFd signals{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!signals.valid()) return no_terminal("signalfd");
  termios before{};
  const bool has_keys = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before) == 0;
  if (has_keys) {
    // Each key at once and unseen; Ctrl-C is a key, and Ctrl-Z is none, since it would leave the other screen there.
    termios keys = before;
    keys.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO | ISIG));
    keys.c_cc[VMIN] = 0;
    keys.c_cc[VTIME] = 0;
    if (::tcsetattr(STDIN_FILENO, TCSANOW, &keys) != 0) return no_terminal("tcsetattr");
  }
  LiveTerminal terminal(std::move(signals), has_keys, before);  // puts it back from here on
  if (!write_all(kEnter)) return no_terminal("write");
  return terminal;
}

LiveTerminal::LiveTerminal(UniqueFd signals, bool has_keys, const termios& before)
    : signals_(std::move(signals)), has_keys_(has_keys), before_(before) {}

LiveTerminal::LiveTerminal(LiveTerminal&& other) noexcept
    : signals_(std::move(other.signals_)), has_keys_(other.has_keys_), before_(other.before_) {}

LiveTerminal::~LiveTerminal() {
  if (!signals_.valid()) return;  // moved from
  (void)write_all(kLeave);
  if (has_keys_) (void)::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

ScreenSize LiveTerminal::size() const {
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0 || window.ws_col == 0)
    return {24, 80};
  return {window.ws_row, window.ws_col};
}

Status LiveTerminal::show(const std::vector<ScreenLine>& lines) {
  std::string frame(kHome);
  for (size_t index = 0; index < lines.size(); ++index) {
    if (index > 0) frame += "\r\n";
    if (lines[index].heading) frame += kBold;
    frame += lines[index].text;
    if (lines[index].heading) frame += kPlain;
    frame += kRestOfLine;
  }
  frame += kRestOfScreen;
  if (!write_all(frame)) return no_terminal("write").error();
  return {};
}

// Reads what has been typed.
bool LiveTerminal::asks_to_end() {
  char keys[64];
  const ssize_t count = ::read(STDIN_FILENO, keys, sizeof keys);
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) return true;  // the terminal has gone
  for (ssize_t index = 0; index < count; ++index) {
    if (keys[index] == 'q' || keys[index] == 'Q' || keys[index] == kCtrlC) return true;
  }
  return false;
}

LiveTerminal::Event LiveTerminal::wait_until(int64_t deadline_ns) {
  for (;;) {
    const int64_t left_ns = deadline_ns - now_ns();
    if (left_ns <= 0) return Event::kTime;
    pollfd both[] = {{signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    const int ready = ::poll(both, has_keys_ ? 2 : 1,
                             static_cast<int>(std::min<int64_t>(left_ns / 1'000'000 + 1, 3'600'000)));
    if (ready <= 0) continue;
    if (has_keys_ && both[1].revents != 0 && asks_to_end()) return Event::kEnd;
    signalfd_siginfo signal{};
    bool resized = false;
    while (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) {
      if (signal.ssi_signo != SIGWINCH) return Event::kEnd;
      resized = true;
    }
    if (resized) return Event::kResized;
  }
}

}  // namespace vaccel::ctl
