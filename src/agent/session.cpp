// SPDX-License-Identifier: Apache-2.0
#include "agent/session.h"

#include <sys/epoll.h>
#include <sys/random.h>

#include <algorithm>
#include <array>

#include "core/clock.h"
#include "core/tensor.h"
#include "wire/limits.h"

namespace vaccel::agent {
namespace {

constexpr int64_t kGreetingTimeoutMs = 10'000;
/// A client that leaves this much unread is not read from either, until it has caught up.
constexpr uint64_t kMaxUnsentBytes = uint64_t{1} << 20;
/// Events served at one go before other sessions have their turn.
constexpr int kEventsAtOnce = 32;
constexpr uint64_t kMaxEchoBytes = 64 * 1024;

uint32_t random_handle() {
  uint32_t number = 0;
  (void)::getrandom(&number, sizeof number, 0);
  // Handles of one session mean nothing in another; different ranges make a mistake show itself.
  return (number & 0x3fffffff) + 1;
}

// Of a call's inputs in the window and in device memory: what its worker copies into memory of its own (see
// worker/call_memory.h). Many inputs may lie in one place.
uint64_t bytes_to_copy(const wire::Call& call) {
  uint64_t bytes = 0;
  for (const wire::Tensor& tensor : call.inputs) {
    const bool in_place = wire::is_imported_window(tensor.segment) || wire::is_device_memory(tensor.segment);
    if (in_place && !is_usable_in_place(tensor.dtype, tensor.offset))
      bytes += std::min(tensor.bytes, UINT64_MAX - bytes);
  }
  return bytes;
}

// What a caller gets that did not ask for the stages.
void forget_stages(vaccel_timings& timings) {
  timings.decode_ns = timings.prepare_ns = timings.infer_ns = timings.postprocess_ns = 0;
}

}  // namespace

// A call that a worker has or will get. It outlives its session when that goes first: the worker may still be
// reading its memory.
struct Session::InFlight {
  WorkerSlot& worker;
  uint64_t request_id;
  wire::Call call;
  std::string model;
  CallFigures metrics;
  std::optional<uint64_t> memory;  // in the worker's calls segment
  uint64_t bytes = 0;              // of payload
  uint64_t copied_bytes = 0;       // what the worker copies out of the window
  HeldLeases held;                 // what the call refers to in the window
  HeldMemories held_memories;
  Taken of_tenant;        // of its tenant's calls
  Taken bytes_of_tenant;  // and of their bytes
  uint64_t window_bytes = 0;
  int64_t arrived_ns = now_ns();
  int64_t deadline_ns = 0;
  uint64_t ticket = 0;
  bool answered = false;
  bool wants_timings = false;
  Reactor::TimerId deadline_timer;

  InFlight(WorkerSlot& slot, uint64_t id, wire::Call message, const CallFigures& counts)
      : worker(slot), request_id(id), call(std::move(message)), metrics(counts) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (memory) worker.release(*memory);
  }
};

// ---- Life

Session::Session(SessionHost& host, uint64_t id, UniqueFd socket, Origin origin, Taken taken)
    : host_(host),
      id_(id),
      origin_(std::move(origin)),
      channel_(channel::StreamChannel(std::move(socket))),
      next_handle_(random_handle()),
      taken_(std::move(taken)),
      memory_(host.limits(), host.traffic(), random_handle()),
      metrics_(host.metrics(), *origin_.tenant),
      self_(std::make_shared<Session*>(this)) {}

Session::~Session() {
  *self_ = nullptr;
  host_.reactor().look_away(*this);
  host_.reactor().remove(channel_.fd());
  if (channel_.wake_fd() >= 0) host_.reactor().remove(channel_.wake_fd());
  count_window(-1);
  host_.reactor().cancel(frame_timer_);
  host_.reactor().cancel(send_timer_);
  // Nobody waits for these any more.
  for (auto& [id, call] : calls_) {
    host_.reactor().cancel(call->deadline_timer);
    call->metrics.ended(VACCEL_CANCELLED);
    if (call->ticket != 0) call->worker.cancel(call->ticket);
  }
  for (const uint64_t ticket : allocations_)
    memory_.worker()->cancel(ticket);
}

Status Session::start() {
  interest_ = EPOLLIN;
  frame_timer_ = host_.reactor().after_ms(kGreetingTimeoutMs, [this] { end("no greeting in time"); });
  return host_.reactor().add(channel_.fd(), interest_, [this](uint32_t events) { on_ready(events); });
}

void Session::refuse(const Status& status) {
  metrics_.refused(Refusal::kSessions);
  host_.log().client_line(ClientLine::kRefusedSession, LogLevel::kWarning, log_subject(), "it is refused: %s",
                          status.message().c_str());
  send_failure(0, status);
  close_after_sending();
}

void Session::drain() {
  draining_ = true;
  if (calls_.empty() && !receiving_ && other_requests_ == 0) close_after_sending();
}

void Session::end(const char* why) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  host_.log().client_line(ClientLine::kSession, LogLevel::kDebug, log_subject(), "it ends: %s", why);
  host_.session_ended(id_);
}

void Session::close_after_sending() {
  if (state_ == State::kEnded) return;
  state_ = State::kClosing;
  if (!channel_.sending()) return end("closed");
  update_interest();
}

// ---- Events

bool Session::reads() const {
  return (state_ == State::kGreeting || state_ == State::kOpen) && channel_.unsent_bytes() < kMaxUnsentBytes;
}

// The client has put something into the ring, and says so because nobody was looking.
void Session::on_wake(uint32_t events) {
  if (state_ == State::kEnded) return;
  // A client that does not use the rings has closed its end, and the reactor would say so again and again. Of one that
  // has gone the stream tells.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return host_.reactor().remove(channel_.wake_fd());
  if (channel_.woken()) host_.reactor().expect_news();
  host_.reactor().look_at(*this);  // until it is quiet: then it is armed again
  receive();
}

void Session::on_ready(uint32_t events) {
  if (state_ == State::kEnded) return;
  if (channel_.wake_fd() < 0 &&
      (channel_.in_use() || channel_.ready())) {  // perhaps it is the stream that wakes
    channel_.woken();
    host_.reactor().look_at(*this);
  }
  if ((events & EPOLLOUT) != 0) {
    if (const Status status = channel_.flush(); !status.ok()) return end(status.message().c_str());
    if (!channel_.sending() && state_ == State::kClosing) return end("closed");
    host_.reactor().cancel(send_timer_);  // some went, so the time begins anew
    update_interest();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && state_ != State::kClosing) receive();
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && state_ == State::kClosing) end("closed");
}

// A session whose client does not take its results, or sends one frame for ever, holds memory for nothing.
void Session::update_interest() {
  if (state_ == State::kEnded) return;
  const bool sending = channel_.sending();
  const bool reading = reads();
  const uint32_t wanted = (reading ? EPOLLIN : 0u) | (sending ? EPOLLOUT : 0u);
  if (!sending) host_.reactor().cancel(send_timer_);
  if (sending && !send_timer_.set()) {
    send_timer_ =
        host_.reactor().after_ms(host_.limits().frame_timeout_ms, [this] { end("it takes no results"); });
  }
  if (wanted == interest_) return;
  const bool resumed = reading && (interest_ & EPOLLIN) == 0;
  interest_ = wanted;
  host_.reactor().change(channel_.fd(), wanted);
  // Frames may wait in the channel's own buffer, which no event tells of.
  if (resumed) receive_later();
}

// Goes on after other sessions have had their turn.
void Session::receive_later() {
  if (receives_later_) return;
  receives_later_ = true;
  host_.reactor().defer([self = self_] {
    Session* session = *self;
    if (session == nullptr) return;
    session->receives_later_ = false;
    session->receive();
  });
}

void Session::watch_frame_time() {
  if (state_ != State::kOpen) return;
  const bool within = channel_.within_frame();
  if (within == frame_timer_.set()) return;
  host_.reactor().cancel(frame_timer_);
  if (!within) return;
  const int64_t payload_ms = static_cast<int64_t>(arriving_bytes_ >> 20) * 1000;
  frame_timer_ = host_.reactor().after_ms(host_.limits().frame_timeout_ms + payload_ms,
                                          [this] { end("a frame did not arrive whole in time"); });
}

void Session::receive(bool ring_only) {
  take_in(ring_only);
  // From its first record on, and after whatever woke the agent, the ring is looked at until it is quiet: only then does
  // the client wake the agent again.
  if (channel_.in_use()) host_.reactor().look_at(*this);
}

void Session::take_in(bool ring_only) {
  for (int turn = 0; turn < kEventsAtOnce; ++turn) {
    if (!reads()) return;
    const auto event = ring_only ? channel_.receive_from_ring() : channel_.receive(false);
    if (!event) {
      if (event.error().code() == VACCEL_PROTOCOL_ERROR) {
        log_broken_protocol(0, event.error());
        metrics_.protocol_error();
        send_failure(0, event.error());
        return close_after_sending();
      }
      return end(event.error().message().c_str());
    }
    switch (*event) {
      case channel::Event::kBlocked:
        // What came may have been the first that the client put into the ring, and its wake-up with it: whoever took
        // that has to look, and to arm the ring again.
        if (channel_.in_use()) host_.reactor().look_at(*this);
        return watch_frame_time();
      case channel::Event::kPartial:
        continue;
      case channel::Event::kClosed:
        return end("the client closed it");
      case channel::Event::kPayload:
        host_.reactor().cancel(frame_timer_);
        arriving_bytes_ = 0;
        payload_arrived();
        continue;
      case channel::Event::kFrame:
        break;
    }
    if (state_ == State::kOpen) host_.reactor().cancel(frame_timer_);
    arriving_bytes_ = channel_.header().payload_bytes;
    const uint64_t request_id = channel_.header().request_id;
    if (const Status status = handle_frame(); !status.ok()) {
      // What the frame says cannot be done: its sender is told. A broken frame also ends the session.
      send_failure(request_id, status);
      count_refusal(status);
      if (status.code() == VACCEL_PROTOCOL_ERROR) {
        log_broken_protocol(request_id, status);
        return close_after_sending();
      }
      log_refusal(request_id, channel_.header().kind, status);
      if (channel_.header().payload_bytes > 0) channel_.discard_payload();
    }
  }
  watch_frame_time();
  receive_later();
}

void Session::count_refusal(const Status& status) {
  if (status.code() == VACCEL_PROTOCOL_ERROR) return metrics_.protocol_error();
  const auto known = std::exchange(refused_for_, std::nullopt);
  metrics_.refused(draining_ ? Refusal::kShuttingDown : known.value_or(refusal_of(status.code())));
}

Status Session::handle_frame() {
  const wire::Kind kind = channel_.header().kind;
  // 0 is what a failure carries that belongs to no request.
  if (channel_.header().request_id == 0 && kind != wire::Kind::kCancel && kind != wire::Kind::kRelease &&
      kind != wire::Kind::kFreeMemory) {
    return failure(VACCEL_PROTOCOL_ERROR, "a %s frame has request id 0", wire::kind_name(kind));
  }
  if (state_ == State::kGreeting) return handle_greeting();
  switch (kind) {
    case wire::Kind::kCall:
      return handle_call();
    case wire::Kind::kCancel:
      return handle_cancel();
    case wire::Kind::kOpenModel:
      return handle_open_model();
    case wire::Kind::kCloseModel:
      return handle_close_model();
    case wire::Kind::kDescribe:
      return handle_describe();
    case wire::Kind::kOpenWindow:
      return handle_open_window();
    case wire::Kind::kLease:
      return handle_lease();
    case wire::Kind::kRelease:
      return handle_release();
    case wire::Kind::kAllocateMemory:
      return handle_allocate_memory();
    case wire::Kind::kFreeMemory:
      return handle_free_memory();
    default:
      return failure(VACCEL_PROTOCOL_ERROR, "a client may not send a %s frame%s", wire::kind_name(kind),
                     kind == wire::Kind::kHello ? " twice" : "");
  }
}

Status Session::handle_greeting() {
  if (channel_.header().kind != wire::Kind::kHello) {
    return failure(VACCEL_PROTOCOL_ERROR, "the first frame must be a hello, not a %s frame",
                   wire::kind_name(channel_.header().kind));
  }
  const auto hello = wire::decode_hello(channel_.body());
  if (!hello) return failure(VACCEL_PROTOCOL_ERROR, "%s", hello.error().message().c_str());
  const auto version = wire::negotiate_version(*hello);
  if (!version) {
    host_.log().client_line(ClientLine::kRefusedSession, LogLevel::kWarning, log_subject(),
                            "it is refused: %s", version.error().message().c_str());
    send_failure(channel_.header().request_id, version.error());
    close_after_sending();
    return {};
  }
  client_ = printable(hello->client);
  channel_.stream().set_version(*version);
  state_ = State::kOpen;
  host_.reactor().cancel(frame_timer_);
  send(channel_.header().request_id,
       wire::Welcome{*version, "vacceld " VACCEL_VERSION_TEXT, host_.limits().max_payload_bytes,
                     host_.limits().max_calls_in_flight});
  host_.log().client_line(ClientLine::kSession, LogLevel::kDebug, log_subject(), "it begins, of client '%s'",
                          client_.c_str());
  return {};
}

// ---- Calls

Status Session::handle_call() {
  const wire::Header header = channel_.header();
  auto call = call_decoder_.decode(
      channel_.body(),
      {.payload_bytes = header.payload_bytes, .window = window_ != nullptr, .device_memory = true});
  if (!call) return call.error();
  if (Status status = admit(*call, header.request_id, header.payload_bytes); !status.ok()) return status;
  if (const bool echoes = call->operator_name == kEcho; echoes || call->operator_name == kDiscard)
    return handle_own_operator(std::move(*call), echoes);
  if (is_upload_operator(call->operator_name)) return handle_upload_operator(std::move(*call));
  auto model = model_of(*call);
  if (!model) return model.error();
  WorkerSlot* const holder = memory_.worker_of(*call);
  const auto chosen = holder != nullptr && !is_own_model(*model) ? holder : worker_of(*model);
  if (!chosen) return chosen.error();
  WorkerSlot& worker = **chosen;
  if (holder != nullptr && holder != &worker)
    return failure(VACCEL_INVALID_ARGUMENT, "models of one's own cannot use device buffers");
  // Their names are a client's text, and no label.
  const CallFigures metrics =
      metrics_.calls_of(call->operator_name, is_own_model(*model) ? kOwnModels : *model, host_.workers());
  auto in_flight = std::make_shared<InFlight>(worker, header.request_id, std::move(*call), metrics);
  in_flight->model = std::move(*model);
  if (Status status = permit_backend(in_flight->call, in_flight->model, worker); !status.ok()) return status;
  if (Status status = resolve_memory(*in_flight, header.payload_bytes); !status.ok()) return status;
  if (const uint64_t timeout_us = in_flight->call.timeout_us; timeout_us != 0) {
    constexpr uint64_t kForever = uint64_t{1} << 50;
    in_flight->deadline_ns =
        in_flight->arrived_ns + static_cast<int64_t>(std::min(timeout_us, kForever)) * 1000;
  }
  in_flight->bytes = header.payload_bytes;
  if (Status status = take_of_tenant(*in_flight); !status.ok()) return status;
  if (header.payload_bytes > 0) {
    in_flight->memory = in_flight->worker.allocate(header.payload_bytes);
    if (!in_flight->memory) {
      return failure(VACCEL_RESOURCE_EXHAUSTED,
                     "the agent has no memory for %llu bytes of payload at present",
                     static_cast<unsigned long long>(header.payload_bytes))
          .with_retry_after(origin_.tenant->next_done_us());
    }
  }
  bytes_in_flight_ += in_flight->bytes + in_flight->copied_bytes;
  calls_.emplace(header.request_id, in_flight);
  receiving_ = in_flight;
  if (header.payload_bytes == 0) {
    payload_arrived();
  } else {
    const auto memory = in_flight->worker.memory(*in_flight->memory, in_flight->bytes);
    const channel::Destination destination{memory.data(), memory.size()};
    channel_.accept_payload({&destination, 1});
  }
  return {};
}

Status Session::take_of_tenant(InFlight& call) const {
  auto taken = origin_.tenant->take(Resource::kCalls);
  if (!taken) return taken.error();
  auto bytes = origin_.tenant->take(Resource::kBytes, call.bytes + call.copied_bytes);
  if (!bytes) return bytes.error();
  call.of_tenant = std::move(*taken);
  call.bytes_of_tenant = std::move(*bytes);
  return {};
}

// Puts the worker's numbers for what a call refers to in the window and in device memory.
Status Session::resolve_memory(InFlight& call, uint64_t payload_bytes) const {
  if (window_) {
    const auto bytes = window_->resolve(call.call, call.held);
    if (!bytes) return bytes.error();
    call.window_bytes = *bytes;
  }
  // Always: what is not this session's must not get to a worker, whoever's it is there.
  if (Status status = memory_.resolve(call.call, call.held_memories); !status.ok()) return status;
  call.copied_bytes = bytes_to_copy(call.call);
  return admit_bytes(payload_bytes + std::min(call.copied_bytes, wire::kMaxPayloadBytes));
}

void Session::payload_arrived() {
  if (auto call = std::exchange(receiving_, nullptr)) return submit(call);
  if (own_.piece) return finish_upload();
  if (own_.request_id != 0) answer_own_operator();
  // Neither: it was discarded, and its sender told.
}

// The echo gives its inputs back, where they lie; the other takes any and gives back nothing. Both go as far as the
// agent, so they tell what the way there and back costs.
Status Session::handle_own_operator(wire::Call call, bool echoes) {
  const wire::Header header = channel_.header();
  if (echoes && header.payload_bytes > kMaxEchoBytes) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%s takes at most %llu bytes", kEcho,
                   static_cast<unsigned long long>(kMaxEchoBytes));
  }
  if (std::ranges::any_of(call.inputs,
                          [](const wire::Tensor& input) { return wire::is_device_memory(input.segment); })) {
    return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' takes nothing that lies in device buffers",
                   call.operator_name.c_str());
  }
  uint64_t window_bytes = 0;
  own_.held.clear();
  if (window_) {
    const auto bytes = window_->resolve(call, own_.held);
    if (!bytes) return bytes.error();
    window_bytes = *bytes;
  }
  auto taken = origin_.tenant->take(Resource::kBytes, header.payload_bytes);
  if (!taken) return taken.error();
  own_.taken = std::move(*taken);
  count_call(header.payload_bytes, window_bytes);
  own_.metrics = metrics_.calls_of(call.operator_name, {}, host_.workers());
  own_.request_id = header.request_id;
  own_.result = {};
  own_.result.copied_bytes = header.payload_bytes;
  if (echoes) own_.result.outputs = std::move(call.inputs);
  if (header.payload_bytes == 0) {
    answer_own_operator();
  } else if (echoes) {
    own_.payload.resize(header.payload_bytes);
    const channel::Destination destination{own_.payload.data(), own_.payload.size()};
    channel_.accept_payload({&destination, 1});
  } else {
    // To where a worker would read it.
    WorkerSlot& worker = host_.worker_for({});
    auto in_flight = std::make_shared<InFlight>(worker, header.request_id, wire::Call{}, own_.metrics);
    in_flight->memory = worker.allocate(header.payload_bytes);
    if (!in_flight->memory) {
      own_.request_id = 0;
      own_.taken.give_back();
      return failure(VACCEL_RESOURCE_EXHAUSTED,
                     "the agent has no memory for %llu bytes of payload at present",
                     static_cast<unsigned long long>(header.payload_bytes));
    }
    own_.discarded = std::move(in_flight);
    const auto memory = worker.memory(*own_.discarded->memory, header.payload_bytes);
    const channel::Destination destination{memory.data(), memory.size()};
    channel_.accept_payload({&destination, 1});
  }
  return {};
}

void Session::answer_own_operator() {
  own_.discarded.reset();
  own_.metrics.ended(VACCEL_OK);
  if (window_) (void)window_->translate(own_.result, own_.held);  // places that were checked a moment ago
  const std::span<const std::byte> payload(own_.payload);
  struct Kept final : channel::Retained {
    std::vector<std::byte> bytes;
    Taken taken;
  };
  std::unique_ptr<Kept> kept;
  if (!payload.empty()) {
    kept = std::make_unique<Kept>();
    kept->bytes = std::exchange(own_.payload, {});
    kept->taken = std::move(own_.taken);
    own_.result.copied_bytes += payload.size();
    metrics_.count_bytes(payload.size(), 0);
  }
  own_.taken.give_back();
  send(std::exchange(own_.request_id, 0), own_.result,
       payload.empty() ? std::span<const std::span<const std::byte>>{} : std::span(&payload, 1),
       std::move(kept));
  own_.held.clear();
}

// @param payload_bytes  Copied through the stream or the ring. @param window_bytes  Left where they are.
void Session::count_call(uint64_t payload_bytes, uint64_t window_bytes) {
  Traffic& traffic = host_.traffic();
  ++traffic.calls;
  traffic.copied_bytes += payload_bytes;
  traffic.window_bytes += window_bytes;
  metrics_.count_bytes(payload_bytes, window_bytes);
}

void Session::submit(const std::shared_ptr<InFlight>& call) {
  call->arrived_ns = now_ns();
  count_call(call->bytes, call->window_bytes);
  for (wire::Tensor& tensor : call->call.inputs) {
    if (tensor.segment != wire::Segment::kPayload) continue;
    tensor.segment = wire::Segment::kCalls;
    tensor.offset += call->memory.value_or(0);
  }
  if (call->deadline_ns != 0) {
    call->deadline_timer = host_.reactor().at(call->deadline_ns, [this, call] {
      call->deadline_timer = {};
      give_up(*call, failure(VACCEL_DEADLINE_EXCEEDED, "the deadline passed %s",
                             call->ticket == 0 ? "before the call began" : "while the call was under way"));
    });
  }
  const int32_t priority = call->call.priority;
  // For the metrics the worker always measures: a few readings of the clock.
  call->wants_timings = std::exchange(call->call.timings, true);
  WorkerRequest request{.message = std::move(call->call),
                        .model = call->model,
                        .deadline_ns = call->deadline_ns,
                        .tenant = origin_.tenant,
                        .figures = &metrics_.tenant(),
                        .priority = priority,
                        .done = {}};
  if (!call->held.empty()) request.window = window_->shared();
  request.done = [call, self = self_](WorkerReply reply) {
    if (*self != nullptr) (*self)->call_done(call, std::move(reply));
  };
  call->ticket = call->worker.submit(std::move(request));
}

// Tells the client now; the worker's reply, when it comes, only frees what the call had. Until then it counts as
// one in flight, though its id does not.
void Session::give_up(InFlight& call, Status status) {
  if (call.answered) return;
  call.answered = true;
  ++host_.traffic().failed_calls;
  call.metrics.ended(status.code());
  log_call(call.request_id, *call.metrics.series, call.worker, status,
           {.agent_ns = static_cast<uint64_t>(now_ns() - call.arrived_ns)});
  calls_.erase(call.request_id);
  ++given_up_;
  send_failure(call.request_id, status);
  call.worker.cancel(call.ticket);
  if (draining_) drain();
}

void Session::call_done(const std::shared_ptr<InFlight>& call, WorkerReply reply) {
  host_.reactor().cancel(call->deadline_timer);
  bytes_in_flight_ -= call->bytes + call->copied_bytes;
  if (call->answered) {
    --given_up_;
  } else {
    calls_.erase(call->request_id);
    answer(*call, std::move(reply));
  }
  if (draining_) drain();
}

// A worker's answer, or what the agent thinks of it, is a failure.
void Session::fail_call(const InFlight& call, const vaccel_timings& timings, const Status& status) {
  ++host_.traffic().failed_calls;
  call.metrics.ended(status.code(), timings, 1);
  log_call(call.request_id, *call.metrics.series, call.worker, status, timings);
  send_failure(call.request_id, status);
}

void Session::answer(InFlight& call, WorkerReply reply) {
  call.answered = true;
  if (reply.status.ok() && window_) {
    if (const auto bytes = window_->translate(reply.result, call.held)) {
      host_.traffic().window_bytes += *bytes;
      metrics_.count_bytes(0, *bytes);
    } else {
      reply.status = bytes.error();
    }
  }
  if (reply.status.ok()) reply.status = memory_.translate(reply.result, call.held_memories);
  reply.result.timings.queue_ns = reply.queue_ns;
  reply.result.timings.agent_ns = static_cast<uint64_t>(now_ns() - call.arrived_ns);
  origin_.tenant->call_took(reply.result.timings.agent_ns);
  if (!reply.status.ok()) return fail_call(call, reply.result.timings, reply.status);
  static constexpr std::array<std::byte, wire::kTensorAlignment> kPadding{};
  std::vector<std::span<const std::byte>> pieces;
  uint64_t end = 0;
  for (wire::Tensor& tensor : reply.result.outputs) {
    if (tensor.segment == wire::Segment::kWindow || wire::is_device_memory(tensor.segment)) continue;
    const auto bytes = reply.memory->bytes(tensor);
    const uint64_t begin = wire::align_up(end, wire::kTensorAlignment);
    if (begin > end) pieces.push_back(std::span(kPadding).first(begin - end));
    pieces.push_back(bytes.value_or(std::span<const std::byte>{}));
    tensor.segment = wire::Segment::kPayload;
    tensor.offset = begin;
    end = begin + tensor.bytes;
  }
  const Limits& limits = host_.limits();
  if (end > limits.max_payload_bytes || end + channel_.unsent_bytes() > limits.max_session_bytes_in_flight) {
    return fail_call(
        call, reply.result.timings,
        failure(VACCEL_RESOURCE_EXHAUSTED,
                "the result, %llu bytes, is over this agent's limits: %llu for a payload, %llu for what "
                "a session has in flight",
                static_cast<unsigned long long>(end),
                static_cast<unsigned long long>(limits.max_payload_bytes),
                static_cast<unsigned long long>(limits.max_session_bytes_in_flight)));
  }
  // From now on it is the result that takes memory, until the client has it.
  call.bytes_of_tenant.give_back();
  auto taken = origin_.tenant->take(Resource::kBytes, end);
  if (!taken) return fail_call(call, reply.result.timings, taken.error());
  reply.memory->count(std::move(*taken));
  host_.traffic().copied_bytes += end;
  metrics_.count_bytes(end, 0);
  call.metrics.ended(VACCEL_OK, reply.result.timings, std::max(1u, reply.result.batch));
  log_call(call.request_id, *call.metrics.series, call.worker, {}, reply.result.timings);
  reply.result.copied_bytes += call.bytes + end;
  reply.result.batch = 0;  // with how many others it ran would tell of these
  reply.result.calls_wanted = 0;
  if (!call.wants_timings) forget_stages(reply.result.timings);
  send(call.request_id, reply.result, pieces, std::move(reply.memory));
}

Status Session::handle_cancel() {
  const auto cancel = wire::decode_cancel(channel_.body());
  if (!cancel) return cancel.error();
  const auto call = calls_.find(cancel->request);
  // One that is not there has been answered already, or is being received.
  if (call != calls_.end() && call->second->ticket != 0) call->second->worker.cancel(call->second->ticket);
  return {};
}

// ---- Sending

void Session::send_frame(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
                         std::span<const std::span<const std::byte>> payload,
                         std::unique_ptr<channel::Retained> retained) {
  if (state_ == State::kEnded) return;
  if (body.size() > wire::kMaxBodyBytes) {
    return send_failure(request_id,
                        failure(VACCEL_INTERNAL, "the answer, %zu bytes, does not fit a frame", body.size()));
  }
  const Status status = channel_.send(kind, request_id, body, payload, std::move(retained));
  if (!status.ok()) return end(status.message().c_str());
  if (channel_.sending()) update_interest();
}

void Session::send_failure(uint64_t request_id, const Status& status) {
  if (status.code() != VACCEL_PROTOCOL_ERROR) return send(request_id, wire::Failure::from(status));
  // The last words: the ring's memory goes with the session, the stream is read to its end.
  const Status sent = channel_.stream().send(wire::Kind::kFailure, request_id,
                                             encoder_.encode(wire::Failure::from(status)), {}, nullptr);
  if (!sent.ok()) end(sent.message().c_str());
}

}  // namespace vaccel::agent
