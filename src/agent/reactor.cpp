// SPDX-License-Identifier: Apache-2.0
#include "agent/reactor.h"

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

void Reactor::run() {
  std::array<epoll_event, 64> events;
  run_deferred();
  while (!stopped_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
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
