// SPDX-License-Identifier: Apache-2.0
#include "client/completion_queue.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "client/request.h"

namespace vaccel::client {
namespace {

void add_to(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

}  // namespace

void CompletionQueue::push(vaccel_request& request) {
  const std::lock_guard lock(mutex_);
  request.link = {last_, nullptr, true};
  (last_ != nullptr ? last_->link.next : first_) = &request;
  last_ = &request;
  if (polling_ == 0) raise_locked();
}

vaccel_request* CompletionQueue::pop() {
  const std::lock_guard lock(mutex_);
  vaccel_request* request = first_;
  if (request == nullptr) return nullptr;
  first_ = request->link.next;
  (first_ != nullptr ? first_->link.previous : last_) = nullptr;
  request->link = {};
  return request;
}

void CompletionQueue::remove(vaccel_request& request) {
  const std::lock_guard lock(mutex_);
  if (!request.link.queued) return;
  vaccel_request* previous = request.link.previous;
  vaccel_request* next = request.link.next;
  (previous != nullptr ? previous->link.next : first_) = next;
  (next != nullptr ? next->link.previous : last_) = previous;
  request.link = {};
}

Result<int> CompletionQueue::descriptor() {
  const std::lock_guard lock(mutex_);
  if (epoll_.valid()) return epoll_.get();
  UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!epoll.valid() || !event.valid()) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "cannot make a descriptor for the session: %s",
                errno_text(errno).c_str());
  }
  add_to(epoll.get(), event.get());
  if (socket_ >= 0) add_to(epoll.get(), socket_);
  if (wake_ >= 0) add_to(epoll.get(), wake_);
  epoll_ = std::move(epoll);
  has_descriptor_.store(true, std::memory_order_release);
  event_ = std::move(event);
  // There may be something that came before anyone could be told.
  raise_locked();
  return epoll_.get();
}

void CompletionQueue::raise() {
  const std::lock_guard lock(mutex_);
  raise_locked();
}

void CompletionQueue::raise_locked() {
  if (raised_ || !event_.valid()) return;
  const uint64_t one = 1;
  raised_ = ::write(event_.get(), &one, sizeof one) == sizeof one;
}

void CompletionQueue::watch(int socket, int wake) {
  const std::lock_guard lock(mutex_);
  socket_ = socket;
  wake_ = wake;
  if (!epoll_.valid()) return;
  add_to(epoll_.get(), socket);
  if (wake >= 0) add_to(epoll_.get(), wake);
}

void CompletionQueue::unwatch(int socket) {
  const std::lock_guard lock(mutex_);
  const int wake = socket_ == socket ? std::exchange(wake_, -1) : -1;
  if (socket_ == socket) socket_ = -1;
  if (!epoll_.valid()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr);
  if (wake >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, wake, nullptr);
}

void CompletionQueue::begin_poll() {
  const std::lock_guard lock(mutex_);
  ++polling_;
  if (!raised_) return;
  uint64_t count = 0;
  raised_ = ::read(event_.get(), &count, sizeof count) != sizeof count;
}

void CompletionQueue::end_poll() {
  const std::lock_guard lock(mutex_);
  --polling_;
  if (first_ != nullptr) raise_locked();
}

}  // namespace vaccel::client
