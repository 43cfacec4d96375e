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
/// The agent's own operator: an echo, so small that it can tell nothing but the way there and back.
constexpr const char* kEcho = "vaccel.echo";
constexpr uint64_t kMaxEchoBytes = 64 * 1024;

uint32_t random_handle() {
  uint32_t number = 0;
  (void)::getrandom(&number, sizeof number, 0);
  // Handles of one session mean nothing in another; different ranges make a mistake show itself.
  return (number & 0x3fffffff) + 1;
}

wire::ModelInfo catalogue_info(const std::string& name, const runtime::CatalogueEntry& entry,
                               WorkerSlot::ModelState state) {
  return {.name = name,
          .task = runtime::task_name(entry.model.task),
          .description = entry.model.description,
          .version = entry.model.version,
          .license = entry.model.license,
          .backend = std::move(state.backend),
          .problem = entry.problem.empty() ? std::move(state.problem) : entry.problem,
          .inputs = {},
          .outputs = {}};
}

}  // namespace

// A call that a worker has or will get. It outlives its session when that goes first: the worker may still be
// reading its memory.
struct Session::InFlight {
  WorkerSlot& worker;
  uint64_t request_id;
  wire::Call call;
  std::string model;
  std::optional<uint64_t> memory;  // in the worker's calls segment
  uint64_t bytes = 0;
  int64_t arrived_ns = now_ns();
  int64_t deadline_ns = 0;
  uint64_t ticket = 0;
  bool answered = false;
  Reactor::TimerId deadline_timer;

  InFlight(WorkerSlot& slot, uint64_t id, wire::Call message)
      : worker(slot), request_id(id), call(std::move(message)) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (memory) worker.release(*memory);
  }
};

// ---- Life

Session::Session(SessionHost& host, uint64_t id, UniqueFd socket, std::string peer)
    : host_(host),
      id_(id),
      peer_(std::move(peer)),
      channel_(std::move(socket)),
      next_handle_(random_handle()),
      self_(std::make_shared<Session*>(this)) {}

Session::~Session() {
  *self_ = nullptr;
  host_.reactor().remove(channel_.fd());
  host_.reactor().cancel(frame_timer_);
  host_.reactor().cancel(send_timer_);
  // Nobody waits for these any more.
  for (auto& [id, call] : calls_) {
    host_.reactor().cancel(call->deadline_timer);
    if (call->ticket != 0) call->worker.cancel(call->ticket);
  }
}

Status Session::start() {
  interest_ = EPOLLIN;
  frame_timer_ = host_.reactor().after_ms(kGreetingTimeoutMs, [this] { end("no greeting in time"); });
  return host_.reactor().add(channel_.fd(), interest_, [this](uint32_t events) { on_ready(events); });
}

void Session::refuse(const Status& status) {
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
  host_.log().debug("session %llu (%s%s%s) ends: %s", static_cast<unsigned long long>(id_), peer_.c_str(),
                    client_.empty() ? "" : ", ", client_.c_str(), why);
  host_.session_ended(id_);
}

void Session::close_after_sending() {
  if (state_ == State::kEnded) return;
  state_ = State::kClosing;
  if (!channel_.sending()) return end("closed");
  update_interest();
}

// ---- Events

void Session::on_ready(uint32_t events) {
  if (state_ == State::kEnded) return;
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
  const bool reading = state_ != State::kClosing && channel_.unsent_bytes() < kMaxUnsentBytes;
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

void Session::receive() {
  for (int turn = 0; turn < kEventsAtOnce; ++turn) {
    if (state_ == State::kEnded || state_ == State::kClosing || channel_.unsent_bytes() >= kMaxUnsentBytes)
      return;
    const auto event = channel_.receive(false);
    if (!event) {
      if (event.error().code() == VACCEL_PROTOCOL_ERROR) {
        host_.log().warning("session %llu (%s): %s", static_cast<unsigned long long>(id_), peer_.c_str(),
                            event.error().message().c_str());
        send_failure(0, event.error());
        return close_after_sending();
      }
      return end(event.error().message().c_str());
    }
    switch (*event) {
      case channel::Event::kBlocked:
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
      if (status.code() == VACCEL_PROTOCOL_ERROR) {
        host_.log().warning("session %llu (%s): %s", static_cast<unsigned long long>(id_), peer_.c_str(),
                            status.message().c_str());
        return close_after_sending();
      }
      if (channel_.header().payload_bytes > 0) channel_.discard_payload();
    }
  }
  watch_frame_time();
  receive_later();
}

Status Session::handle_frame() {
  const wire::Kind kind = channel_.header().kind;
  // 0 is what a failure carries that belongs to no request.
  if (channel_.header().request_id == 0 && kind != wire::Kind::kCancel) {
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
    send_failure(channel_.header().request_id, version.error());
    close_after_sending();
    return {};
  }
  client_ = printable(hello->client);
  channel_.set_version(*version);
  state_ = State::kOpen;
  host_.reactor().cancel(frame_timer_);
  send(channel_.header().request_id,
       wire::Welcome{*version, "vacceld " VACCEL_VERSION_TEXT, host_.limits().max_payload_bytes,
                     host_.limits().max_calls_in_flight});
  host_.log().debug("session %llu: %s%s%s", static_cast<unsigned long long>(id_), peer_.c_str(),
                    client_.empty() ? "" : ", ", client_.c_str());
  return {};
}

// ---- Calls

Result<std::string> Session::model_of(const wire::Call& call) const {
  if (call.model == 0) return std::string{};
  const auto model = models_.find(call.model);
  if (model == models_.end()) {
    return fail(VACCEL_NOT_FOUND, "model handle %u is none of this session's open models", call.model);
  }
  return model->second;
}

Status Session::admit(const wire::Call& call, uint64_t request_id, uint64_t payload_bytes) const {
  const Limits& limits = host_.limits();
  if (draining_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  if (calls_.contains(request_id)) {
    return failure(VACCEL_PROTOCOL_ERROR, "request %llu is still in flight",
                   static_cast<unsigned long long>(request_id));
  }
  if (const size_t count = calls_.size() + given_up_; count >= limits.max_calls_in_flight) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%zu calls of this session are in flight; the limit is %u",
                   count, limits.max_calls_in_flight);
  }
  if (payload_bytes > limits.max_payload_bytes) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "a payload of %llu bytes is over this agent's limit of %llu",
                   static_cast<unsigned long long>(payload_bytes),
                   static_cast<unsigned long long>(limits.max_payload_bytes));
  }
  const uint64_t held = bytes_in_flight_ + channel_.unsent_bytes();
  if (payload_bytes >
      limits.max_session_bytes_in_flight - std::min(held, limits.max_session_bytes_in_flight)) {
    return failure(
        VACCEL_RESOURCE_EXHAUSTED,
        "this session's calls in flight have %llu bytes; with %llu more it would be over the limit of %llu",
        static_cast<unsigned long long>(held), static_cast<unsigned long long>(payload_bytes),
        static_cast<unsigned long long>(limits.max_session_bytes_in_flight));
  }
  if (call.operator_name.empty()) return failure(VACCEL_INVALID_ARGUMENT, "the call names no operator");
  return {};
}

Status Session::handle_call() {
  const wire::Header header = channel_.header();
  auto call =
      wire::decode_call(channel_.body(), {.payload_bytes = header.payload_bytes, .other_segments = false});
  if (!call) return call.error();
  if (Status status = admit(*call, header.request_id, header.payload_bytes); !status.ok()) return status;
  if (call->operator_name == kEcho) {
    if (header.payload_bytes > kMaxEchoBytes) {
      return failure(VACCEL_RESOURCE_EXHAUSTED, "%s takes at most %llu bytes", kEcho,
                     static_cast<unsigned long long>(kMaxEchoBytes));
    }
    echo_id_ = header.request_id;
    echo_.call = std::move(*call);
    echo_.payload.resize(header.payload_bytes);
    if (header.payload_bytes == 0) {
      payload_arrived();
    } else {
      const channel::Destination destination{echo_.payload.data(), echo_.payload.size()};
      channel_.accept_payload({&destination, 1});
    }
    return {};
  }
  auto model = model_of(*call);
  if (!model) return model.error();
  auto in_flight = std::make_shared<InFlight>(host_.worker_for(*model), header.request_id, std::move(*call));
  in_flight->model = std::move(*model);
  if (const uint64_t timeout_us = in_flight->call.timeout_us; timeout_us != 0) {
    constexpr uint64_t kForever = uint64_t{1} << 50;
    in_flight->deadline_ns =
        in_flight->arrived_ns + static_cast<int64_t>(std::min(timeout_us, kForever)) * 1000;
  }
  if (header.payload_bytes > 0) {
    in_flight->memory = in_flight->worker.allocate(header.payload_bytes);
    if (!in_flight->memory) {
      return failure(VACCEL_RESOURCE_EXHAUSTED,
                     "the agent has no memory for %llu bytes of payload at present",
                     static_cast<unsigned long long>(header.payload_bytes));
    }
    in_flight->bytes = header.payload_bytes;
  }
  bytes_in_flight_ += in_flight->bytes;
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

void Session::payload_arrived() {
  if (auto call = std::exchange(receiving_, nullptr)) return submit(call);
  if (echo_id_ != 0) echo(std::exchange(echo_.call, {}));
  // Neither: it was discarded, and its sender told.
}

void Session::echo(wire::Call call) {
  wire::CallResult result{std::move(call.inputs), {}};
  const std::span<const std::byte> payload(echo_.payload);
  struct Kept final : channel::Retained {
    std::vector<std::byte> bytes;
  };
  auto kept = std::make_unique<Kept>();
  kept->bytes = std::move(echo_.payload);
  echo_.payload = {};
  send(std::exchange(echo_id_, 0), result,
       payload.empty() ? std::span<const std::span<const std::byte>>{} : std::span(&payload, 1),
       std::move(kept));
}

void Session::submit(const std::shared_ptr<InFlight>& call) {
  call->arrived_ns = now_ns();
  for (wire::Tensor& tensor : call->call.inputs) {
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
  WorkerRequest request{
      .message = std::move(call->call), .model = call->model, .deadline_ns = call->deadline_ns, .done = {}};
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
  calls_.erase(call.request_id);
  ++given_up_;
  send_failure(call.request_id, status);
  call.worker.cancel(call.ticket);
  if (draining_) drain();
}

void Session::call_done(const std::shared_ptr<InFlight>& call, WorkerReply reply) {
  host_.reactor().cancel(call->deadline_timer);
  bytes_in_flight_ -= call->bytes;
  if (call->answered) {
    --given_up_;
  } else {
    calls_.erase(call->request_id);
    answer(*call, std::move(reply));
  }
  if (draining_) drain();
}

void Session::answer(InFlight& call, WorkerReply reply) {
  call.answered = true;
  if (!reply.status.ok()) return send_failure(call.request_id, reply.status);
  static constexpr std::array<std::byte, wire::kTensorAlignment> kPadding{};
  std::vector<std::span<const std::byte>> pieces;
  uint64_t end = 0;
  for (wire::Tensor& tensor : reply.result.outputs) {
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
    return send_failure(
        call.request_id,
        failure(VACCEL_RESOURCE_EXHAUSTED,
                "the result, %llu bytes, is over this agent's limits: %llu for a payload, %llu for what "
                "a session has in flight",
                static_cast<unsigned long long>(end),
                static_cast<unsigned long long>(limits.max_payload_bytes),
                static_cast<unsigned long long>(limits.max_session_bytes_in_flight)));
  }
  reply.result.timings.queue_ns = reply.queue_ns;
  reply.result.timings.agent_ns = static_cast<uint64_t>(now_ns() - call.arrived_ns);
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

// ---- Models and descriptions

Status Session::handle_open_model() {
  auto open = wire::decode_open_model(channel_.body());
  if (!open) return open.error();
  if (draining_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  const auto* entry = host_.catalogue().find(open->name);
  if (entry == nullptr) {
    return failure(VACCEL_NOT_FOUND, "no model '%s' in the catalogue; 'vaccel models' lists what there is",
                   printable(open->name).c_str());
  }
  if (!entry->problem.empty()) {
    return failure(VACCEL_UNAVAILABLE, "model '%s' cannot be used: %s", open->name.c_str(),
                   entry->problem.c_str());
  }
  const Limits& limits = host_.limits();
  if (models_.size() + other_requests_ >= limits.max_models_open) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "this session has %zu models open; the limit is %u",
                   models_.size(), limits.max_models_open);
  }
  ++other_requests_;
  WorkerSlot& worker = host_.worker_for(open->name);
  WorkerRequest request{.message = *open, .model = open->name, .done = {}};
  request.done = [self = self_, name = open->name,
                  id = channel_.header().request_id](const WorkerReply& reply) {
    Session* session = *self;
    if (session == nullptr) return;
    --session->other_requests_;
    if (!reply.status.ok()) {
      session->send_failure(id, reply.status);
    } else {
      const uint32_t handle = session->next_handle_++;
      session->models_.emplace(handle, name);
      session->send(id, wire::ModelOpened{handle});
    }
    if (session->draining_) session->drain();
  };
  worker.submit(std::move(request));
  return {};
}

Status Session::handle_close_model() {
  const auto close = wire::decode_close_model(channel_.body());
  if (!close) return close.error();
  if (models_.erase(close->model) == 0) {
    return failure(VACCEL_NOT_FOUND, "model handle %u is none of this session's open models", close->model);
  }
  send(channel_.header().request_id, wire::Done{});
  return {};
}

Status Session::handle_describe() {
  const auto describe = wire::decode_describe(channel_.body());
  if (!describe) return describe.error();
  const uint64_t id = channel_.header().request_id;
  switch (describe->subject) {
    case wire::Subject::kServer:
      describe_server(id);
      return {};
    case wire::Subject::kModels:
      describe_models(id, describe->start);
      return {};
    case wire::Subject::kModel:
      break;
  }
  if (host_.catalogue().find(describe->model) == nullptr) {
    return failure(VACCEL_NOT_FOUND, "no model '%s' in the catalogue; 'vaccel models' lists what there is",
                   printable(describe->model).c_str());
  }
  if (other_requests_ >= host_.limits().max_calls_in_flight) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%u requests of this session are in flight; that is the limit",
                   other_requests_);
  }
  describe_model(id, describe->model);
  return {};
}

void Session::describe_server(uint64_t request_id) {
  wire::Description description;
  description.server = "vacceld " VACCEL_VERSION_TEXT;
  description.worker_count = static_cast<uint32_t>(host_.workers().size());
  description.model_count = static_cast<uint32_t>(host_.catalogue().entries().size());
  for (const auto& worker :
       host_.workers()) {  // alike; one that has just been restarted has told nothing yet
    if (description.backends.empty()) description.backends = worker->backends();
  }
  send(request_id, description);
}

void Session::describe_models(uint64_t request_id, uint32_t start) {
  // As many as surely fit a body: texts are cut to 512 bytes by the encoder.
  constexpr size_t kPage = 24;
  wire::Description description;
  const auto& entries = host_.catalogue().entries();
  description.model_count = static_cast<uint32_t>(entries.size());
  uint32_t index = 0;
  for (const auto& [name, entry] : entries) {
    if (index++ < start) continue;
    if (description.models.size() == kPage) {
      description.more = true;
      break;
    }
    description.models.push_back(catalogue_info(name, entry, host_.worker_for(name).state_of(name)));
  }
  send(request_id, description);
}

void Session::describe_model(uint64_t request_id, const std::string& name) {
  const auto* entry = host_.catalogue().find(name);
  if (!entry->problem.empty()) {  // it cannot be loaded, but why can be told
    wire::Description description;
    description.models.push_back(catalogue_info(name, *entry, {}));
    return send(request_id, description);
  }
  ++other_requests_;
  WorkerRequest request{.message = wire::Describe{wire::Subject::kModel, name, 0}, .model = name, .done = {}};
  request.done = [self = self_, request_id](const WorkerReply& reply) {
    Session* session = *self;
    if (session == nullptr) return;
    --session->other_requests_;
    if (!reply.status.ok()) {
      session->send_failure(request_id, reply.status);
    } else {
      session->send(request_id, reply.description);
    }
    if (session->draining_) session->drain();
  };
  host_.worker_for(name).submit(std::move(request));
}

// ---- Sending

template <typename Message>
void Session::send(uint64_t request_id, const Message& message,
                   std::span<const std::span<const std::byte>> payload,
                   std::unique_ptr<channel::Retained> retained) {
  if (state_ == State::kEnded) return;
  auto body = encoder_.encode(message);
  if (body.size() > wire::kMaxBodyBytes) {
    return send_failure(request_id,
                        failure(VACCEL_INTERNAL, "the answer, %zu bytes, does not fit a frame", body.size()));
  }
  const Status status = channel_.send(Message::kKind, request_id, body, payload, std::move(retained));
  if (!status.ok()) return end(status.message().c_str());
  if (channel_.sending()) update_interest();
}

void Session::send_failure(uint64_t request_id, const Status& status) {
  send(request_id, wire::Failure::from(status));
}

}  // namespace vaccel::agent
