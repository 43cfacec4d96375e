// SPDX-License-Identifier: Apache-2.0
#include "agent/reactor.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/clock.h"

namespace vaccel::agent {
namespace {

epoll_event event_of(int fd, uint32_t generation, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = (uint64_t{generation} << 32) | static_cast<uint32_t>(fd);
  return event;
}

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::create() {
  UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  if (!epoll.valid()) return fail(VACCEL_RESOURCE_EXHAUSTED, "epoll_create1: %s", errno_text(errno).c_str());
  return std::unique_ptr<Reactor>(new Reactor(std::move(epoll)));
}

Status Reactor::add(int fd, uint32_t events, Ready ready) {
  const uint32_t generation = next_generation_++;
  epoll_event event = event_of(fd, generation, events);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "epoll_ctl: %s", errno_text(errno).c_str());
  }
  watches_[fd] = {generation, std::make_shared<Ready>(std::move(ready))};
  return {};
}

void Reactor::change(int fd, uint32_t events) {
  const auto watch = watches_.find(fd);
  if (watch == watches_.end()) return;
  epoll_event event = event_of(fd, watch->second.generation, events);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Reactor::remove(int fd) {
  if (watches_.erase(fd) > 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Reactor::TimerId Reactor::at(int64_t due_ns, Task task) {
  const TimerId timer{due_ns, next_timer_++};
  timers_.emplace(std::pair{timer.due_ns, timer.number}, std::move(task));
  return timer;
}

Reactor::TimerId Reactor::after_ms(int64_t milliseconds, Task task) {
  return at(now_ns() + milliseconds * 1'000'000, std::move(task));
}

void Reactor::cancel(TimerId& timer) {
  if (timer.set()) timers_.erase({timer.due_ns, timer.number});
  timer = {};
}

// One round: what a task defers has its turn after the next event, so that no two tasks, and no client, can keep
// the loop to themselves.
void Reactor::run_deferred() {
  std::vector<Task> tasks;
  tasks.swap(deferred_);
  for (Task& task : tasks)
    task();
}

void Reactor::drop_deferred() {
  while (!deferred_.empty())  // what goes may defer something in turn
    std::vector<Task>().swap(deferred_);
}

void Reactor::run_timers() {
  if (timers_.empty()) return;
  const int64_t now = now_ns();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

int Reactor::wait_ms() const {
  if (!deferred_.empty()) return 0;
  if (timers_.empty()) return -1;
  const int64_t left = timers_.begin()->first.first - now_ns();
  return left <= 0 ? 0 : static_cast<int>(std::min<int64_t>((left + 999'999) / 1'000'000, 60'000));
}

// ---- What is looked at

void Reactor::look_at(Polled& polled) {
  if (std::ranges::find(polled_, &polled) == polled_.end()) polled_.push_back(&polled);
}

void Reactor::look_away(Polled& polled) {
  std::ranges::replace(polled_, &polled, nullptr);
}

// Takes in what news there is, from each once. @return whether there was any.
bool Reactor::serve_polled() {
  bool served = false;
  const size_t count = polled_.size();  // more may come, and have their turn next time
  for (size_t index = 0; index < count; ++index) {
    if (polled_[index] == nullptr || !polled_[index]->ready()) continue;
    polled_[index]->serve();
    run_deferred();
    served = true;
  }
  std::erase(polled_, nullptr);
  return served;
}

bool Reactor::has_events() const {
  pollfd events{epoll_.get(), POLLIN, 0};
  return ::poll(&events, 1, 0) > 0;
}

// Looks again and again, until there is news, a descriptor has an event, or it is time to sleep.
Reactor::Spun Reactor::spin() {
  constexpr int kLooksBeforeClock = 64;
  constexpr int kLooksBetweenClocks = 16;
  constexpr int64_t kAloneNs =
      5'000;  // after so long, descriptors are asked too, and who waits for this CPU gets it
  const int64_t limit = spin_.next();
  if (limit == 0) return Spun::kNothing;
  const auto look = [this] {
    return std::ranges::any_of(polled_, [](const Polled* polled) { return polled->ready(); });
  };
  // The quickest news is here before it is worth asking the clock.
  for (int count = 0; count < kLooksBeforeClock; ++count) {
    if (look()) return Spun::kNews;
    channel::spin_pause();
  }
  const Stopwatch waited;
  for (;;) {
    for (int count = 0; count < kLooksBetweenClocks; ++count) {
      if (look()) {
        spin_.found_after(static_cast<int64_t>(waited.elapsed_ns()));
        return Spun::kNews;
      }
      channel::spin_pause();
    }
    const auto elapsed = static_cast<int64_t>(waited.elapsed_ns());
    if (elapsed >= limit) break;
    if (elapsed < kAloneNs) continue;
    if (has_events()) return Spun::kEvents;
    ::sched_yield();
  }
  spin_.in_vain();
  return Spun::kNothing;
}

// @return whether all may be slept on; those that may are forgotten.
bool Reactor::arm_polled() {
  std::erase_if(polled_, [](Polled* polled) { return polled->arm(); });
  return polled_.empty();
}

void Reactor::run() {
  constexpr int kRoundsBetweenEvents = 32;
  std::array<epoll_event, 64> events;
  run_deferred();
  while (!stopped_) {
    bool quiet = polled_.empty();
    for (int round = 0; round < kRoundsBetweenEvents && !quiet && !stopped_; ++round) {
      if (serve_polled()) continue;
      const Spun spun = deferred_.empty() ? spin() : Spun::kEvents;
      if (spun == Spun::kEvents) break;
      quiet = spun == Spun::kNothing;
    }
    const bool was_looking = !polled_.empty();
    const bool sleeps = quiet && deferred_.empty() && arm_polled();
    const int64_t asleep_ns = was_looking && sleeps ? now_ns() : 0;
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), sleeps ? wait_ms() : 0);
    if (asleep_ns != 0 && count > 0) spin_.slept(now_ns() - asleep_ns);
    for (int index = 0; index < count; ++index) {
      const epoll_event& event = events[static_cast<size_t>(index)];
      const auto watch = watches_.find(static_cast<int>(event.data.u64 & 0xffffffff));
      if (watch == watches_.end() || watch->second.generation != event.data.u64 >> 32)
        continue;  // removed meanwhile
      const std::shared_ptr<Ready> ready =
          watch->second.ready;  // stays while it runs, also when it removes itself
      (*ready)(event.events);
      run_deferred();
    }
    run_timers();
    run_deferred();
  }
}

}  // namespace vaccel::agent
