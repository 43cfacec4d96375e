// SPDX-License-Identifier: Apache-2.0
//
// The agent's event loop: descriptors (epoll), timers, memory that is looked at (rings), and work to be done after the
// current event. One thread runs it, and everything that it calls back runs there. It knows nothing of sessions or
// workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "channel/spin.h"
#include "core/status.h"
#include "core/unique_fd.h"

namespace vaccel::agent {

/// Something whose news no descriptor tells of while it is being looked at: a ring in shared memory.
class Polled {
 public:
  /// Whether there is news. Cheap: asked again and again.
  [[nodiscard]] virtual bool ready() const = 0;
  /// Takes the news in.
  virtual void serve() = 0;
  /// Nobody looks any more: from now on a descriptor has to tell. @return false: there is news already.
  [[nodiscard]] virtual bool arm() = 0;

 protected:
  ~Polled() = default;
};

class Reactor {
 public:
  using Task = std::move_only_function<void()>;
  using Ready = std::move_only_function<void(uint32_t events)>;
  struct TimerId {
    int64_t due_ns = 0;
    uint64_t number = 0;  ///< 0: no timer.
    [[nodiscard]] bool set() const { return number != 0; }
  };

  static Result<std::unique_ptr<Reactor>> create();

  /// Calls `ready` when the descriptor has one of `events` (EPOLLIN, EPOLLOUT; errors and hang-ups always).
  /// It stays the caller's, who must call remove() before closing it.
  Status add(int fd, uint32_t events, Ready ready);
  void change(int fd, uint32_t events);
  void remove(int fd);

  /// Calls `task` once at a time of CLOCK_MONOTONIC.
  TimerId at(int64_t due_ns, Task task);
  TimerId after_ms(int64_t milliseconds, Task task);
  /// Takes a timer back and clears its id; one that has fired or was never set is left alone.
  void cancel(TimerId& timer);

  /// Calls `task` after the present event, and before the loop sleeps. One that is deferred within a task comes
  /// after the next event, if there is one.
  void defer(Task task) { deferred_.push_back(std::move(task)); }

  /// Looks at `polled` from now on, as long as any such thing has news often enough to be worth spinning for; then all
  /// are armed, and forgotten.
  void look_at(Polled& polled);
  /// News is known to come soon, so that it is worth spinning for, whatever there was lately.
  void expect_news() { spin_.expect(); }
  /// Forgets it now: it is about to go.
  void look_away(Polled& polled);
  /// The longest that the loop spins before it sleeps; 0: not at all.
  void set_spin(int64_t max_ns) { spin_ = channel::SpinLimit(max_ns); }

  /// Forgets what was deferred and has not run: what it refers to is about to go.
  void drop_deferred();

  /// Runs until stop().
  void run();
  void stop() { stopped_ = true; }

 private:
  explicit Reactor(UniqueFd epoll) : epoll_(std::move(epoll)) {}
  void run_deferred();
  void run_timers();
  [[nodiscard]] int wait_ms() const;
  bool serve_polled();
  enum class Spun { kNews, kEvents, kNothing };
  Spun spin();
  [[nodiscard]] bool has_events() const;
  bool arm_polled();

  struct Watch {
    uint32_t generation;  // tells a descriptor's events from those of an earlier one with its number
    std::shared_ptr<Ready> ready;
  };

  UniqueFd epoll_;
  bool stopped_ = false;
  uint32_t next_generation_ = 1;
  uint64_t next_timer_ = 1;
  std::unordered_map<int, Watch> watches_;
  std::map<std::pair<int64_t, uint64_t>, Task> timers_;
  std::vector<Task> deferred_;
  std::vector<Polled*> polled_;  // nullptr: one that went while another was served
  channel::SpinLimit spin_{0};
};

}  // namespace vaccel::agent
