// SPDX-License-Identifier: Apache-2.0
#include "client/connection.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "client/poll.h"
#include "core/clock.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

constexpr uint64_t kFirstRequest = 3;  // 1 was the greeting, 2 the opening of the window
constexpr int64_t kSilenceNs =
    1'000'000;  // after so long it is worth a look whether the other end is there yet
constexpr int kStepsBetweenWrites =
    16;  // a writer that reads meanwhile looks after its own work now and then
constexpr int64_t kRetryNs = 10'000'000;  // where nobody can be woken

bool is_unix(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

}  // namespace

Connection::Connection(Greeted greeted, std::string endpoint, CompletionQueue& completions,
                       const Buffers& buffers)
    : endpoint_(std::move(endpoint)),
      welcome_(std::move(greeted.welcome)),
      completions_(completions),
      buffers_(buffers),
      window_(std::move(greeted.window)),
      no_window_(std::move(greeted.no_window)),
      channel_(std::move(greeted.channel)),
      may_die_silently_(!is_unix(channel_->fd())),
      next_id_(kFirstRequest) {
  completions_.watch(channel_->fd(), channel_->wake_fd());
}

Connection::~Connection() {
  completions_.unwatch(channel_->fd());
  if (window_) window_->lose();
}

// ---- Sending

Status Connection::begin_writing(Lock& lock, int64_t deadline_ns, bool& unsent) {
  while (writing_ && !lost_) {
    if (writer_turn_.wait(lock, deadline_ns)) continue;
    if (!writing_) writer_turn_.notify_one();  // the turn that was just given to this thread
    return failure(VACCEL_DEADLINE_EXCEEDED, "the deadline passed while other calls were being sent to %s",
                   endpoint_.c_str());
  }
  if (lost_) {
    unsent = true;
    writer_turn_.notify_one();
    return loss_;
  }
  writing_ = true;
  return {};
}

void Connection::end_writing(Lock& lock) {
  if (window_ && window_->has_released()) send_released(lock);
  while (!cancels_.empty() && !lost_) {
    const wire::Cancel cancel{cancels_.back()};
    cancels_.pop_back();
    const uint64_t id = next_id_++;
    lock.unlock();
    // A full socket keeps it until the next frame; a lost connection needs no cancelling.
    (void)channel_->send(wire::Kind::kCancel, id, encoder_.encode(cancel), {}, nullptr);
    lock.lock();
  }
  while (!freed_.empty() && !lost_) {
    const wire::FreeMemory free{freed_.back()};
    freed_.pop_back();
    const uint64_t id = next_id_++;
    lock.unlock();
    (void)channel_->send(wire::Kind::kFreeMemory, id, encoder_.encode(free), {}, nullptr);
    lock.lock();
  }
  leftover_ = !lost_ && channel_->sending();
  writing_ = false;
  writer_turn_.notify_one();
}

// Gives leases back that nobody needs any more.
void Connection::send_released(Lock& lock) {
  while (window_->has_released() && !lost_) {
    const wire::Release release{window_->take_released()};
    const uint64_t id = next_id_++;
    lock.unlock();
    (void)channel_->send(wire::Kind::kRelease, id, encoder_.encode(release), {}, nullptr);
    lock.lock();
  }
}

// Sends what an earlier writer left, as far as it goes.
void Connection::send_leftover(Lock& lock) {
  if (!leftover_ || writing_ || lost_) return;
  writing_ = true;
  lock.unlock();
  (void)channel_->flush();  // who reads finds out if the connection broke
  lock.lock();
  end_writing(lock);
}

bool Connection::closed_meanwhile() const {
  char byte = 0;
  const ssize_t count = ::recv(channel_->fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
}

// Takes an exchange among those under way. With the lock, and the turn to write.
void Connection::enlist(Exchange& exchange) {
  exchange.id_ = next_id_++;
  exchange.sent_ = false;
  exchange.abandoned_ = false;
  exchange.status_ = {};
  exchange.done_.store(false, std::memory_order_relaxed);
  under_way_.push_back(&exchange);
}

// Sends the request of an exchange that has been enlisted. Without the lock; with it when it returns.
Status Connection::transmit(Lock& lock, wire::Kind kind, std::span<const std::byte> body,
                            std::span<const std::span<const std::byte>> payload, int64_t deadline_ns,
                            Exchange& exchange, bool& unsent) {
  const bool watched = reading_.load(std::memory_order_relaxed);  // then who reads finds out at once
  Status status;
  bool doubtful = may_die_silently_;
  if (channel_->attached()) {
    const CallExchange* call = exchange.as_call();
    const int64_t now = call != nullptr ? call->started_ns() : now_ns();
    doubtful = now - std::exchange(last_sent_ns_, now) > kSilenceNs;
  }
  if (doubtful && !watched && closed_meanwhile()) {
    status = failure(VACCEL_UNAVAILABLE, "the agent at %s has closed the connection", endpoint_.c_str());
    unsent = true;
  } else {
    status = channel_->send(kind, exchange.id_, body, payload, nullptr);
    while (status.ok() && channel_->sending())
      status = write_on(deadline_ns);
    if (!status.ok()) unsent = channel_->nothing_sent();
  }
  // What is left of a frame whose caller gives up has to follow yet: the connection is not this call's alone.
  const bool kept = status.code() == VACCEL_DEADLINE_EXCEEDED && channel_->keep_unsent().ok();
  lock.lock();
  if (!status.ok()) {
    if (!exchange.done()) abandon(lock, exchange, status);
    if (kept) {
      cancels_.push_back(exchange.id_);
    } else {
      lose(lock, status);
    }
    return status;
  }
  exchange.sent_ = true;
  if (exchange.done()) exchange.completed();  // the answer came before the last byte had left
  return {};
}

// Waits until the socket takes more, and sends that. Results are taken in meanwhile if nobody else does: else
// this end and the other could both wait for the other to read.
Status Connection::write_on(int64_t deadline_ns) {
  Lock lock(mutex_);
  const bool reads = !reading_;
  if (reads) {
    reading_ = true;
  } else {
    if (!writer_wake_.valid()) writer_wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    writer_wants_to_read_ = true;
  }
  lock.unlock();
  pollfd waiting[] = {{channel_->fd(), static_cast<short>(reads ? POLLIN | POLLOUT : POLLOUT), 0},
                      {reads ? channel_->wake_fd() : writer_wake_.get(), POLLIN, 0}};
  const bool woken = reads || writer_wake_.valid();
  const bool sleeps = !reads || channel_->arm();
  if (sleeps) (void)poll_until(waiting, woken ? deadline_ns : earlier(deadline_ns, now_ns() + kRetryNs));
  if (reads) channel_->woken();
  lock.lock();
  if (reads) {
    Step last = Step::kMoved;
    if (!sleeps || (waiting[0].revents & ~POLLOUT) != 0 || waiting[1].revents != 0) {
      for (int count = 0; count < kStepsBetweenWrites && last == Step::kMoved; ++count)
        last = step(lock, false);
    }
    stop_reading(last == Step::kBlocked);
  } else {
    writer_wants_to_read_ = false;
    uint64_t wakes = 0;
    if (waiting[1].revents != 0) (void)!::read(writer_wake_.get(), &wakes, sizeof wakes);
  }
  if (ended_) return loss_;
  lock.unlock();
  if (waiting[0].revents != 0) {
    if (Status status = channel_->flush(); !status.ok()) return status;
  }
  if (channel_->sending() && has_passed(deadline_ns, deadline_ns != 0 ? now_ns() : 0)) {
    return failure(VACCEL_DEADLINE_EXCEEDED,
                   "the deadline passed while the call was being sent to %s; %llu bytes were left",
                   endpoint_.c_str(), static_cast<unsigned long long>(channel_->unsent_bytes()));
  }
  return {};
}

void Connection::fill_call(const CallSpec& spec, uint32_t model) {
  call_.operator_name = spec.operator_name;
  call_.model = model;
  call_.backend = spec.backend != nullptr ? spec.backend : "";
  call_.timings = spec.timings;
  call_.priority = spec.priority;
  call_.attributes.resize(spec.attributes.size());
  for (size_t index = 0; index < spec.attributes.size(); ++index) {
    const vaccel_attribute& from = spec.attributes[index];
    wire::Attribute& to = call_.attributes[index];
    to.name = from.name;
    if (from.type == VACCEL_ATTRIBUTE_INT) to.value = from.value.integer;
    if (from.type == VACCEL_ATTRIBUTE_FLOAT) to.value = from.value.real;
    if (from.type == VACCEL_ATTRIBUTE_STRING) to.value = std::string(from.value.string);
  }
  call_.timeout_us = 0;
  if (spec.deadline_ns != 0) {
    const int64_t left_us = (spec.deadline_ns - now_ns()) / 1000;
    call_.timeout_us = static_cast<uint64_t>(std::max<int64_t>(left_us, 1));
  }
}

Status Connection::send_call(const CallSpec& spec, uint32_t model, CallExchange& exchange, bool& unsent) {
  CallLayout layout;
  exchange.memory() = {};
  exchange.memory().window = window_;
  exchange.memory().decoder = &result_decoder_;
  uint64_t area = 0;
  if (window_ || buffers_.any()) {
    Status status = layout.find_in_buffers(spec, buffers_, static_cast<DeviceHome*>(this), exchange.memory());
    if (!status.ok()) return status;
  }
  if (window_ && exchange.wants_outputs()) {
    exchange.memory().result_key = ResultSizes::key(spec.operator_name, spec.model);
    area = result_sizes_.find(exchange.memory().result_key);
  }
  // What has no slab goes inline, so a window that is used up makes calls slower, and fails none.
  if (const uint64_t bytes = layout.bytes_outside(spec); window_ && bytes > CallLayout::kMaxInline) {
    auto inputs = slab(bytes, wire::kTensorAlignment, spec.deadline_ns, unsent);
    if (!inputs && inputs.error().code() != VACCEL_RESOURCE_EXHAUSTED) return inputs.error();
    if (inputs) exchange.memory().inputs = std::move(*inputs);
  }
  if (area > 0) {
    auto results = slab(area, wire::kTensorAlignment, spec.deadline_ns, unsent);
    if (!results && results.error().code() != VACCEL_RESOURCE_EXHAUSTED) return results.error();
    if (results) exchange.memory().area = std::move(*results);
  }
  if (Status status = layout.place(spec, exchange.memory(), *channel_); !status.ok()) return status;
  if (layout.payload_bytes() > welcome_.max_payload_bytes) {
    return failure(VACCEL_RESOURCE_EXHAUSTED,
                   "the inputs take %llu bytes; the agent at %s takes at most %llu bytes in one call",
                   static_cast<unsigned long long>(layout.payload_bytes()), endpoint_.c_str(),
                   static_cast<unsigned long long>(welcome_.max_payload_bytes));
  }
  Lock lock(mutex_);
  if (Status status = begin_writing(lock, spec.deadline_ns, unsent); !status.ok()) return status;
  enlist(exchange);
  lock.unlock();
  fill_call(spec, model);
  layout.fill(spec, exchange.memory(), call_);
  const auto body = encoder_.encode(call_);
  Status status;
  if (body.size() > wire::kMaxBodyBytes) {
    lock.lock();
    if (!exchange.done()) forget(exchange);
    status = failure(VACCEL_INVALID_ARGUMENT,
                     "the call's names, shapes and attributes take %zu bytes; at most %u are allowed",
                     body.size(), wire::kMaxBodyBytes);
  } else {
    status = transmit(lock, wire::Kind::kCall, body, layout.payload(), spec.deadline_ns, exchange, unsent);
  }
  end_writing(lock);
  return status;
}

Result<Slab> Connection::slab(uint64_t bytes, uint64_t alignment, int64_t deadline_ns, bool& unsent) {
  if (bytes > window_->max_leased_bytes()) {
    return fail(VACCEL_RESOURCE_EXHAUSTED,
                "%llu bytes are more than the %llu that this session may have of the window",
                static_cast<unsigned long long>(bytes),
                static_cast<unsigned long long>(window_->max_leased_bytes()));
  }
  const uint64_t size = Window::slab_size(bytes);
  if (Slab kept = window_->take_kept(size, alignment); kept.valid()) return kept;
  auto leased = lease(size, alignment, deadline_ns, unsent);
  if (leased || leased.error().code() != VACCEL_RESOURCE_EXHAUSTED) return leased;
  window_->release_kept();  // what is kept for other sizes may be what is missing
  if (!window_->has_released()) return leased;
  return lease(size, alignment, deadline_ns, unsent);
}

Result<Slab> Connection::lease(uint64_t slab_size, uint64_t alignment, int64_t deadline_ns, bool& unsent) {
  constexpr uint64_t kLeastAlignment = 4096;
  LeaseExchange exchange;
  Lock lock(mutex_);
  if (Status status = begin_writing(lock, deadline_ns, unsent); !status.ok())
    return Unexpected{std::move(status)};
  if (window_->has_released()) send_released(lock);
  const wire::Lease wanted{slab_size, std::max(alignment, kLeastAlignment)};
  enlist(exchange);
  lock.unlock();
  Status status =
      transmit(lock, wire::Kind::kLease, encoder_.encode(wanted), {}, deadline_ns, exchange, unsent);
  end_writing(lock);
  lock.unlock();
  if (!status.ok()) return Unexpected{std::move(status)};
  if (!wait(exchange, deadline_ns)) {
    abandon(exchange,
            failure(VACCEL_DEADLINE_EXCEEDED, "the deadline passed while memory was being leased from %s",
                    endpoint_.c_str()));
  }
  if (!exchange.status().ok()) return Unexpected{exchange.status()};
  const wire::Leased& leased = exchange.leased();
  if (leased.bytes < slab_size || leased.offset % kLeastAlignment != 0 || leased.offset > window_->size() ||
      slab_size > window_->size() - leased.offset) {
    return fail(VACCEL_PROTOCOL_ERROR, "the agent at %s leased %llu bytes at offset %llu of a window of %llu",
                endpoint_.c_str(), static_cast<unsigned long long>(leased.bytes),
                static_cast<unsigned long long>(leased.offset),
                static_cast<unsigned long long>(window_->size()));
  }
  return Slab{window_, leased.offset, slab_size};
}

// A request whose answer is all that matters.
template <typename Message>
Status Connection::send_request(const Message& message, Exchange& exchange, int64_t deadline_ns,
                                bool& unsent) {
  Lock lock(mutex_);
  if (Status status = begin_writing(lock, deadline_ns, unsent); !status.ok()) return status;
  enlist(exchange);
  lock.unlock();
  Status status = transmit(lock, Message::kKind, encoder_.encode(message), {}, deadline_ns, exchange, unsent);
  end_writing(lock);
  return status;
}

Status Connection::send_describe(const wire::Describe& describe, Exchange& exchange, bool& unsent) {
  return send_request(describe, exchange, 0, unsent);
}

Result<BufferMemoryPtr> Connection::allocate_memory(const std::string& backend, size_t bytes, bool& unsent) {
  std::byte* const base = reserve_addresses(bytes);
  if (base == nullptr) return fail(VACCEL_RESOURCE_EXHAUSTED, "there are no addresses for %zu bytes", bytes);
  // From here on the addresses go with it. The other end numbers none 0.
  const auto make = [&](DevicePlace place) {
    return BufferMemoryPtr{new BufferMemory(base, bytes, true, std::move(place))};
  };
  AllocateExchange exchange;
  Status status = send_request(wire::AllocateMemory{backend, bytes, 0}, exchange, 0, unsent);
  if (status.ok()) {
    wait(exchange, 0);
    status = exchange.status();
  }
  if (!status.ok()) {
    make({{}, nullptr, 0, {}}).reset();
    return Unexpected{std::move(status)};
  }
  const auto& [number, chosen] = exchange.allocated();
  return make({weak_from_this(), static_cast<DeviceHome*>(this), number, chosen});
}

void Connection::free_memory(uint32_t number) {
  Lock lock(mutex_);
  if (lost_) return;
  freed_.push_back(number);
  send_left_over(lock);
}

Result<uint32_t> Connection::open_model(const char* name, int64_t deadline_ns, bool& unsent) {
  const auto too_late = [&] {
    return fail(VACCEL_DEADLINE_EXCEEDED, "the deadline passed while model '%s' was being opened", name);
  };
  const auto result_of = [&](const OpenModel& model) -> Result<uint32_t> {
    if (model.status.ok()) return model.handle;
    // The call that wanted the model has not been sent: it may be, on another connection.
    if (lost_ && model.status.code() == VACCEL_UNAVAILABLE) unsent = true;
    return Unexpected{model.status};
  };
  Lock lock(mutex_);
  std::shared_ptr<OpenModel> model;
  for (;;) {
    const auto known = std::find_if(models_.begin(), models_.end(),
                                    [name](const auto& candidate) { return candidate->name == name; });
    if (known == models_.end()) break;
    model = *known;
    while (!model->done) {
      if (!models_changed_.wait(lock, deadline_ns)) return too_late();
    }
    // If it was the deadline of the one who opened it that passed, this thread opens it itself.
    if (model->status.code() != VACCEL_DEADLINE_EXCEEDED) return result_of(*model);
  }
  model.reset(new OpenModel);
  model->name = name;
  models_.push_back(model);
  lock.unlock();
  OpenModelExchange exchange;
  Status status = send_request(wire::OpenModel{name}, exchange, deadline_ns, unsent);
  if (status.ok()) {
    if (!wait(exchange, deadline_ns)) abandon(exchange, too_late().error());
    status = exchange.status();
  }
  lock.lock();
  model->done = true;
  model->handle = exchange.handle();
  model->status = std::move(status);
  if (!model->status.ok()) std::erase(models_, model);
  models_changed_.notify_all();
  return result_of(*model);
}

// ---- Receiving

bool Connection::wait(Exchange& exchange, int64_t deadline_ns) {
  Lock lock(mutex_);
  bool in_time = true;
  while (!exchange.done() && in_time) {
    if (!reading_) {
      reading_ = true;
      read_for(lock, exchange, deadline_ns);
      stop_reading(false);
      in_time = !has_passed(deadline_ns, deadline_ns != 0 ? now_ns() : 0);
    } else {
      followers_.push_back(&exchange);
      in_time = exchange.wake_.wait(lock, deadline_ns);
      std::erase(followers_, &exchange);
    }
  }
  // The turn to read may just have been given to this thread, which leaves.
  if (!reading_) hand_on();
  return exchange.done();
}

void Connection::read_for(Lock& lock, const Exchange& exchange, int64_t deadline_ns) {
  const auto await_input = [&] {
    const auto events = static_cast<short>(leftover_ && !writing_ ? POLLIN | POLLOUT : POLLIN);
    lock.unlock();
    const bool in_time = await(events, deadline_ns);
    lock.lock();
    send_leftover(lock);
    return in_time;
  };
  while (!exchange.done()) {
    // While a payload goes to the memory of another exchange, whose owner may want it back, no recv() blocks.
    const bool block = deadline_ns == 0 && !leftover_ && (receiver_ == nullptr || receiver_ == &exchange);
    if (block) {
      (void)step(lock, true);
      continue;
    }
    if (!channel_->within_frame() && !await_input()) return;
    if (step(lock, false) == Step::kBlocked && !await_input()) return;
  }
}

// Waits for the channel as its reader. @return false: the deadline passed.
bool Connection::await(short events, int64_t deadline_ns) {
  if (events == POLLIN && channel_->spin()) return true;
  if (!channel_->arm()) return true;
  pollfd waiting[] = {{channel_->fd(), events, 0}, {channel_->wake_fd(), POLLIN, 0}};
  const bool in_time = poll_until(waiting, deadline_ns);
  channel_->woken();
  return in_time;
}

void Connection::watch_for_results() {
  const Lock lock(mutex_);
  if (!reading_ && !ended_) let_descriptor_tell();
}

// Of results that are still to come, when nobody reads.
void Connection::let_descriptor_tell() {
  if (channel_->wake_fd() < 0 && !channel_->attached()) return;
  if (completions_.has_descriptor() && !channel_->arm()) completions_.raise();
}

void Connection::take_in() {
  Lock lock(mutex_);
  if (reading_ || ended_) return;
  reading_ = true;
  channel_->woken();
  while (step(lock, false) == Step::kMoved) {
  }
  stop_reading(true);
  send_leftover(lock);
}

// Gives up the turn to read. @param drained  Whether all that was there has been taken in.
void Connection::stop_reading(bool drained) {
  reading_ = false;
  hand_on();
  // Frames in the channel's own memory do not make the socket readable.
  if (!followers_.empty() || under_way_.empty() || ended_) return;
  if (!drained && channel_->within_frame()) completions_.raise();
  let_descriptor_tell();
}

// Gives the turn to read to one who waits for it.
void Connection::hand_on() {
  if (!followers_.empty()) {
    followers_.back()->wake_.notify_one();
  } else if (writer_wants_to_read_ && writer_wake_.valid()) {
    const uint64_t one = 1;
    (void)!::write(writer_wake_.get(), &one, sizeof one);
  }
}

Connection::Step Connection::step(Lock& lock, bool block) {
  if (ended_) return Step::kEnded;
  if (std::exchange(discard_, false)) channel_->discard_payload();
  Exchange* receiver = receiver_;
  if (receiver != nullptr) receiver->busy_ = true;
  lock.unlock();
  auto event = channel_->receive(block);
  lock.lock();
  if (receiver != nullptr) {
    receiver->busy_ = false;
    if (receiver_ != receiver) receiver->wake_.notify_all();  // its owner waits to abandon it
  }
  if (!event) {
    if (event.error().code() == VACCEL_PROTOCOL_ERROR) return end(event.error());
    return end(event.error().within("the connection to the agent at " + endpoint_ + " was lost"));
  }
  switch (*event) {
    case channel::Event::kBlocked:
      return Step::kBlocked;
    case channel::Event::kPartial:
      return Step::kMoved;
    case channel::Event::kFrame:
      return take_frame(lock);
    case channel::Event::kPayload:
      return take_payload(lock);
    case channel::Event::kClosed:
      break;
  }
  return end(failure(VACCEL_UNAVAILABLE, "the agent at %s closed the connection before it answered",
                     endpoint_.c_str()));
}

Connection::Step Connection::take_frame(Lock& lock) {
  const wire::Header header = channel_->header();
  Exchange* exchange = find(header.request_id);
  if (exchange == nullptr) {
    if (header.request_id < kFirstRequest || header.request_id >= next_id_) {
      return end(failure(VACCEL_PROTOCOL_ERROR, "the agent at %s answered request %llu, which was never made",
                         endpoint_.c_str(), static_cast<unsigned long long>(header.request_id)));
    }
    channel_->discard_payload();  // somebody has given up waiting for it
    return Step::kMoved;
  }
  receiver_ = exchange;
  exchange->busy_ = true;
  lock.unlock();
  destinations_.clear();
  Status status;
  bool is_refusal = false;  // the agent's own words, rather than something wrong with its answer
  if (header.kind == wire::Kind::kFailure) {
    const auto refusal = wire::decode_failure(channel_->body());
    is_refusal = refusal.has_value();
    status = is_refusal ? refusal->status() : refusal.error();
  } else if (header.kind != exchange->answer_kind()) {
    status =
        failure(VACCEL_PROTOCOL_ERROR, "the agent at %s answered with a %s frame instead of a %s frame",
                endpoint_.c_str(), wire::kind_name(header.kind), wire::kind_name(exchange->answer_kind()));
  } else {
    status = exchange->take_body(channel_->body(), header.payload_bytes, destinations_);
  }
  const bool payload_follows = status.ok() && header.payload_bytes > 0 && !destinations_.empty();
  if (payload_follows) {
    channel_->accept_payload(destinations_);
  } else {
    channel_->discard_payload();
    if (status.ok()) status = exchange->finish();
  }
  lock.lock();
  exchange->busy_ = false;
  if (receiver_ != exchange) {
    exchange->wake_.notify_all();
    return Step::kMoved;
  }
  if (payload_follows) return Step::kMoved;
  receiver_ = nullptr;
  if (status.code() == VACCEL_PROTOCOL_ERROR && !is_refusal) return end(status);
  complete(*exchange, std::move(status));
  return Step::kMoved;
}

Connection::Step Connection::take_payload(Lock& lock) {
  discard_ = false;
  Exchange* exchange = receiver_;
  if (exchange == nullptr) return Step::kMoved;
  exchange->busy_ = true;
  lock.unlock();
  Status status = exchange->finish();
  lock.lock();
  exchange->busy_ = false;
  if (receiver_ != exchange) {
    exchange->wake_.notify_all();
    discard_ = false;
    return Step::kMoved;
  }
  receiver_ = nullptr;
  if (status.code() == VACCEL_PROTOCOL_ERROR) return end(status);
  complete(*exchange, std::move(status));
  return Step::kMoved;
}

// The connection is over: all that is under way ends with the reason for which it was lost first.
Connection::Step Connection::end(Status status) {
  if (!lost_.exchange(true, std::memory_order_acq_rel)) loss_ = std::move(status);
  ended_ = true;
  if (window_) window_->lose();
  receiver_ = nullptr;
  discard_ = false;
  ::shutdown(channel_->fd(), SHUT_RDWR);
  completions_.unwatch(channel_->fd());
  while (!under_way_.empty())
    complete(*under_way_.back(), loss_);
  writer_turn_.notify_all();
  return Step::kEnded;
}

// A writer found the connection broken. Results that came before that are taken in yet.
void Connection::lose(Lock& lock, Status status) {
  if (lost_.exchange(true, std::memory_order_acq_rel)) return;
  loss_ = std::move(status);
  ::shutdown(channel_->fd(), SHUT_RDWR);
  if (reading_) return;  // who reads finds the end
  reading_ = true;
  while (step(lock, false) == Step::kMoved) {
  }
  if (!ended_) end(loss_);
  stop_reading(true);
}

Exchange* Connection::find(uint64_t id) const {
  const auto at =
      std::lower_bound(under_way_.begin(), under_way_.end(), id,
                       [](const Exchange* exchange, uint64_t wanted) { return exchange->id_ < wanted; });
  return at != under_way_.end() && (*at)->id_ == id ? *at : nullptr;
}

void Connection::complete(Exchange& exchange, Status status) {
  forget(exchange);
  settle(exchange, std::move(status));
}

void Connection::forget(const Exchange& exchange) {
  std::erase(under_way_, &exchange);
}

// After this, and once the lock is free, the exchange may be gone.
void Connection::settle(Exchange& exchange, Status status) {
  if (CallExchange* call = exchange.as_call();
      call != nullptr && status.ok() && call->memory().result_key != 0)
    result_sizes_.remember(call->memory().result_key, call->area_wanted());
  exchange.status_ = std::move(status);
  exchange.done_.store(true, std::memory_order_release);
  if (exchange.sent_) exchange.completed();
  exchange.wake_.notify_all();
}

void Connection::abandon(Exchange& exchange, const Status& status) {
  Lock lock(mutex_);
  abandon(lock, exchange, status);
  send_left_over(lock);
}

void Connection::abandon(Lock& lock, Exchange& exchange, const Status& status) {
  if (exchange.abandoned_) {  // another thread is at it, because its deadline has passed
    while (!exchange.done())
      exchange.wake_.wait(lock, 0);
  }
  if (exchange.done()) return;
  exchange.abandoned_ = true;
  forget(exchange);
  if (exchange.sent_ && exchange.answer_kind() == wire::Kind::kResult) cancels_.push_back(exchange.id_);
  if (receiver_ == &exchange) {
    receiver_ = nullptr;
    discard_ = true;
    while (exchange.busy_)
      exchange.wake_.wait(lock, 0);
  }
  settle(exchange, status);
}

Status Connection::expired() {
  return {VACCEL_DEADLINE_EXCEEDED, "the call's deadline passed before its result was here"};
}

void Connection::end_expired() {
  Lock lock(mutex_);
  const int64_t now = now_ns();
  for (;;) {
    const auto late = std::find_if(under_way_.begin(), under_way_.end(), [now](const Exchange* exchange) {
      return has_passed(exchange->expires_ns_, now);
    });
    if (late == under_way_.end()) break;
    abandon(lock, **late, expired());
  }
  send_left_over(lock);
}

void Connection::cancel(Exchange& exchange) {
  Lock lock(mutex_);
  if (exchange.done()) return;
  cancels_.push_back(exchange.id_);
  send_left_over(lock);
}

// Sends what is to be cancelled and freed, unless somebody writes, who does it then.
void Connection::send_left_over(Lock& lock) {
  if (writing_ || (cancels_.empty() && freed_.empty())) return;
  writing_ = true;
  end_writing(lock);
}

}  // namespace vaccel::client
