// SPDX-License-Identifier: Apache-2.0
#include "channel/ring_channel.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/clock.h"
#include "wire/messages.h"

namespace vaccel::channel {
namespace {

constexpr int kLooksBeforeClock = 64;
constexpr int kLooksBetweenClocks = 32;
constexpr int64_t kAloneNs =
    5'000;  // after so long, the stream is asked too, and who waits for this CPU gets it

// What a byte on the wake socket says: something is in the ring, or will be.
constexpr char kNow = 0;
constexpr char kSoon = 1;
constexpr int kAnnouncementsBelieved = 4;  // without a record

bool goes_through_rings(wire::Kind kind) {
  return kind == wire::Kind::kCall || kind == wire::Kind::kResult || kind == wire::Kind::kFailure ||
         kind == wire::Kind::kRelease;
}

}  // namespace

Result<std::array<UniqueFd, 2>> make_wake_sockets() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(VACCEL_RESOURCE_EXHAUSTED, "socketpair: %s", errno_text(errno).c_str());
  return std::array{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

int64_t default_spin_ns() {
  cpu_set_t cpus;
  return ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1 ? 0 : kMaxSpinNs;
}

void RingChannel::attach(std::byte* pair, std::shared_ptr<void> memory, Side side, UniqueFd wake,
                         int64_t spin_ns) {
  const bool client = side == Side::kClient;
  rings_.reset(new Rings{.memory = std::move(memory),
                         .producer = {pair, client ? Direction::kToServer : Direction::kFromServer},
                         .consumer = {pair, client ? Direction::kFromServer : Direction::kToServer},
                         .wake = std::move(wake),
                         .spin = SpinLimit(spin_ns),
                         .in_use = client,
                         .wake_body = {},
                         .record = {}});
  wire::Encoder encoder;
  const auto body = encoder.encode(wire::Wake{});
  rings_->wake_body.assign(body.begin(), body.end());
}

// ---- Receiving

bool RingChannel::arm() {
  // In the middle of a payload it is the stream that goes on.
  return !rings_ || in_stream_payload_ || (!stream_waits_ && rings_->consumer.arm());
}

bool RingChannel::woken() {
  if (!rings_) return false;
  rings_->consumer.disarm();
  char said = kNow;
  if (rings_->wake.valid()) (void)::recv(rings_->wake.get(), &said, 1, MSG_DONTWAIT);
  // Who announces frames and sends none is not believed for long: looking for them costs this side its CPU.
  if (said != kSoon || rings_->announcements_believed == 0) return false;
  --rings_->announcements_believed;
  rings_->spin.expect();
  return true;
}

void RingChannel::rouse() {
  if (in_use() && rings_->wake.valid() && rings_->producer.take_wake())
    (void)::send(rings_->wake.get(), &kSoon, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

Result<Event> RingChannel::receive(bool wait) {
  if (!rings_) return receive_from_stream(wait);
  if (!wait) return receive_now();
  for (bool look_at_stream = stream_.within_frame();;) {
    // The stream costs a system call, so it has its turn when it is known to have something.
    auto event = look_at_stream ? receive_now() : receive_from_ring();
    if (!event || *event != Event::kBlocked) return event;
    if (in_stream_payload_) return receive_from_stream(true);
    look_at_stream = !spin() && sleep();
  }
}

// What is there without waiting. A frame of the stream's that has begun to hand out its payload goes on first.
Result<Event> RingChannel::receive_now() {
  if (in_stream_payload_) return receive_from_stream(false);
  auto from_ring = receive_from_ring();
  if (!from_ring || *from_ring != Event::kBlocked) return from_ring;
  auto event = receive_from_stream(false);
  const bool over = !event || *event == Event::kClosed;
  if (!over && *event != Event::kFrame) return event;
  // What its sender had put into the ring before it sent this, or closed the stream, comes first.
  const auto taken = take_record();
  if (!taken) return over ? std::move(event) : Result<Event>(Unexpected{taken.error()});
  if (!*taken) return event;
  if (!over) {
    stream_waits_ = true;
    in_stream_payload_ = false;
  }
  return Event::kFrame;
}

Result<Event> RingChannel::receive_from_ring() {
  if (!rings_ || in_stream_payload_) return Event::kBlocked;
  if (ring_payload_state_ == RingPayload::kAccepted) return deliver_ring_payload();
  ring_payload_state_ = RingPayload::kNone;  // its owner did not want it
  const auto taken = take_record();
  if (!taken) return Unexpected{taken.error()};
  if (*taken) return Event::kFrame;
  if (!stream_waits_) return Event::kBlocked;
  stream_waits_ = false;
  from_ring_ = false;
  in_stream_payload_ = stream_.header().payload_bytes > 0;
  return Event::kFrame;
}

Result<Event> RingChannel::receive_from_stream(bool wait) {
  auto event = stream_.receive(wait);
  if (!event) return event;
  if (*event == Event::kPayload) in_stream_payload_ = false;
  if (*event != Event::kFrame) return event;
  if (rings_ && stream_.header().kind == wire::Kind::kWake) return Event::kPartial;  // it has done its work
  from_ring_ = false;
  in_stream_payload_ = stream_.header().payload_bytes > 0;
  ++received_.stream_frames;
  received_.payload_bytes += stream_.header().payload_bytes;
  return event;
}

// Takes a record out of the ring, as the frame that it has to be.
Result<bool> RingChannel::take_record() {
  auto record = rings_->consumer.pop(rings_->record);
  if (!record) return Unexpected{record.error()};
  if (!*record) return false;
  rings_->in_use.store(true, std::memory_order_relaxed);
  rings_->announcements_believed = kAnnouncementsBelieved;
  const std::span<const std::byte> bytes = **record;
  if (bytes.size() < wire::kHeaderBytes)
    return fail(VACCEL_PROTOCOL_ERROR, "a record of %zu bytes is too short for a frame", bytes.size());
  const auto header = wire::decode_header(bytes.first<wire::kHeaderBytes>());
  if (!header) return Unexpected{header.error()};
  if (header->version != stream_.version()) {
    return fail(VACCEL_PROTOCOL_ERROR, "a %s frame has version %u; version %u was agreed on",
                wire::kind_name(header->kind), header->version, stream_.version());
  }
  const auto rest = bytes.subspan(wire::kHeaderBytes);
  if (!goes_through_rings(header->kind) || header->body_bytes > rest.size() ||
      header->payload_bytes != rest.size() - header->body_bytes) {
    return fail(VACCEL_PROTOCOL_ERROR,
                "a record of %zu bytes holds a %s frame with %u bytes of body and %llu of payload",
                bytes.size(), wire::kind_name(header->kind), header->body_bytes,
                static_cast<unsigned long long>(header->payload_bytes));
  }
  ring_header_ = *header;
  ring_body_ = rest.first(header->body_bytes);
  ring_payload_ = rest.subspan(header->body_bytes);
  ring_payload_state_ = ring_payload_.empty() ? RingPayload::kNone : RingPayload::kAwaitingDestination;
  from_ring_ = true;
  ++received_.ring_frames;
  received_.payload_bytes += ring_payload_.size();
  return true;
}

const wire::Header& RingChannel::header() const {
  return from_ring_ ? ring_header_ : stream_.header();
}

std::span<const std::byte> RingChannel::body() const {
  return from_ring_ ? ring_body_ : stream_.body();
}

void RingChannel::accept_payload(std::span<const Destination> destinations) {
  if (!from_ring_) return stream_.accept_payload(destinations);
  for (const Destination& destination : destinations) {
    const size_t count = std::min(destination.size, ring_payload_.size());
    if (destination.data != nullptr && count > 0) std::memcpy(destination.data, ring_payload_.data(), count);
    ring_payload_ = ring_payload_.subspan(count);
  }
  ring_payload_state_ = RingPayload::kAccepted;
}

void RingChannel::discard_payload() {
  if (!from_ring_) return stream_.discard_payload();
  if (ring_payload_state_ == RingPayload::kAwaitingDestination) ring_payload_state_ = RingPayload::kAccepted;
}

Event RingChannel::deliver_ring_payload() {
  ring_payload_state_ = RingPayload::kNone;
  return Event::kPayload;
}

bool RingChannel::within_frame() const {
  return ring_payload_state_ != RingPayload::kNone || stream_waits_ || stream_.within_frame();
}

// Looks at the ring for a while. @return whether something is there.
bool RingChannel::spin() {
  if (!rings_) return false;
  if (stream_waits_) return true;
  const int64_t limit = rings_->spin.next();
  if (limit == 0) return false;
  rings_->consumer.disarm();
  // The quickest answers are here before it is worth asking the clock.
  for (int look = 0; look < kLooksBeforeClock; ++look) {
    if (rings_->consumer.ready()) return true;
    spin_pause();
  }
  const Stopwatch waited;
  for (;;) {
    for (int look = 0; look < kLooksBetweenClocks; ++look) {
      if (rings_->consumer.ready()) {
        rings_->spin.found_after(static_cast<int64_t>(waited.elapsed_ns()));
        return true;
      }
      spin_pause();
    }
    const auto elapsed = static_cast<int64_t>(waited.elapsed_ns());
    if (elapsed >= limit) break;
    if (elapsed < kAloneNs) continue;
    pollfd stream{stream_.fd(), POLLIN, 0};
    if (::poll(&stream, 1, 0) > 0) return false;  // not in vain, but not through the ring
    ::sched_yield();
  }
  rings_->spin.in_vain();
  return false;
}

// @return whether the stream has something, as far as is known.
bool RingChannel::sleep() {
  if (!rings_->consumer.arm()) return false;
  pollfd waiting[] = {{stream_.fd(), POLLIN, 0}, {rings_->wake.get(), POLLIN, 0}};
  const Stopwatch slept;
  ::poll(waiting, rings_->wake.valid() ? 2 : 1, -1);  // an error shows when the stream is read
  rings_->spin.slept(static_cast<int64_t>(slept.elapsed_ns()));
  woken();
  return waiting[0].revents != 0;
}

// ---- Sending

bool RingChannel::fits(wire::Kind kind, size_t bytes) const {
  return rings_ && rings_->in_use.load(std::memory_order_relaxed) && bytes <= kMaxRecord &&
         goes_through_rings(kind);
}

Status RingChannel::send(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
                         std::span<const std::span<const std::byte>> payload,
                         std::unique_ptr<Retained> retained) {
  constexpr size_t kMaxPieces = 16;
  uint64_t payload_bytes = 0;
  for (const auto& piece : payload)
    payload_bytes += piece.size();
  sent_.payload_bytes += payload_bytes;
  const uint64_t bytes = wire::kHeaderBytes + body.size() + payload_bytes;
  if (payload.size() + 2 <= kMaxPieces && fits(kind, bytes)) {
    const wire::HeaderBytes header = wire::encode_header(
        {kind, stream_.version(), request_id, static_cast<uint32_t>(body.size()), payload_bytes});
    std::array<std::span<const std::byte>, kMaxPieces> pieces;
    pieces[0] = header;
    pieces[1] = body;
    std::ranges::copy(payload, pieces.begin() + 2);
    const auto put = rings_->producer.push(std::span(pieces).first(payload.size() + 2), bytes);
    nothing_sent_ = false;
    if (!put) return put.error();
    if (*put) {
      ++sent_.ring_frames;
      return rings_->producer.take_wake() ? wake_other() : Status{};
    }
  }
  ++sent_.stream_frames;
  Status status = stream_.send(kind, request_id, body, payload, std::move(retained));
  nothing_sent_ = stream_.nothing_sent();
  return status;
}

Status RingChannel::wake_other() {
  if (rings_->wake.valid()) {
    (void)::send(rings_->wake.get(), &kNow, 1,
                 MSG_DONTWAIT | MSG_NOSIGNAL);  // full: it has been woken already
    return {};
  }
  if (stream_.sending()) return {};  // what waits to be sent wakes it as well
  return stream_.send(wire::Kind::kWake, 0, rings_->wake_body, {}, nullptr);
}

}  // namespace vaccel::channel
