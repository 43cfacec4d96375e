// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/interrupt.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace vaccel::tool {
namespace {

// A signal handler can reach nothing but statics.
std::atomic<int> event_fd{-1};
std::atomic<int> watchers{0};
std::atomic<bool> has_happened{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void on_interrupt(int /*signal*/) {
  if (has_happened.exchange(true) || watchers.load() == 0) ::_exit(kInterruptedExitCode);
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_fd.load(), &one, sizeof one);
  errno = saved;
}

}  // namespace

Interrupt::Interrupt() {
  event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct sigaction action {};
  if (event_fd < 0 || ::sigaction(SIGINT, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = on_interrupt;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
}

Interrupt::Watch::Watch(const Interrupt& /*interrupt*/) {
  ++watchers;
}

Interrupt::Watch::~Watch() {
  --watchers;
}

int Interrupt::fd() const {
  return event_fd;
}

bool Interrupt::happened() const {
  return has_happened;
}

}  // namespace vaccel::tool
