// SPDX-License-Identifier: Apache-2.0
//
// The channel over a pair of rings, with a stream beside it. It begins as the stream alone; once a pair of rings is
// attached, calls, results, failures and releases whose frame is small go through the ring, everything else over the
// stream: greetings, large inline payloads, and whatever finds the ring full. So a full ring needs no waiting of its
// own (the stream has that), and the end of the connection is the stream's end.
//
// Order: a frame on the stream is handed out after all that its sender had put into the ring before it; a frame in
// the ring may overtake one on the stream.
//
// Waiting: receive(true) spins for a while (spin.h), then says so in the ring and sleeps on the descriptors. The
// other end wakes it over a socket for that alone where the two have one, else with a wake frame on the stream. Over that
// socket it can also be woken in advance (rouse()), so that it is awake when a long preparation is over.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "channel/ring.h"
#include "channel/spin.h"
#include "channel/stream.h"

namespace vaccel::channel {

/// What has gone over a channel so far, in one direction or both; for those who want to know how bytes travel.
struct Traffic {
  uint64_t ring_frames = 0;
  uint64_t stream_frames = 0;
  uint64_t payload_bytes = 0;  ///< Of tensors that were copied through the ring or the stream.
};

/// What two sides wake each other with: a socket's two ends, one for each. An eventfd would be a little quicker, but both
/// would have the same one, and either could let the other's reads and writes block: whether they do (O_NONBLOCK)
/// belongs to all who share it.
Result<std::array<UniqueFd, 2>> make_wake_sockets();

class RingChannel final : public Channel {
 public:
  explicit RingChannel(StreamChannel stream) : stream_(std::move(stream)) {}

  enum class Side { kClient, kServer };
  /// Lets the channel use a pair of rings. A server puts nothing in before its client has: the client may not have found
  /// the memory, or not want to use it.
  /// @param pair    kRingPairBytes, which `memory` keeps mapped.
  /// @param wake    This side's end of make_wake_sockets(); none: who sleeps is woken by frames on the stream.
  /// @param spin_ns The longest that receive(true) spins; 0: not at all.
  void attach(std::byte* pair, std::shared_ptr<void> memory, Side side, UniqueFd wake, int64_t spin_ns);
  /// Whether the other end has been seen to use the rings; a client counts as one who does.
  [[nodiscard]] bool in_use() const { return rings_ && rings_->in_use.load(std::memory_order_relaxed); }
  [[nodiscard]] bool attached() const override { return rings_ != nullptr; }

  /// The stream, for what only it can do (versions, descriptors).
  [[nodiscard]] StreamChannel& stream() { return stream_; }
  [[nodiscard]] const Traffic& received() const { return received_; }
  [[nodiscard]] const Traffic& sent() const { return sent_; }

  [[nodiscard]] int fd() const override { return stream_.fd(); }
  [[nodiscard]] int wake_fd() const override { return rings_ ? rings_->wake.get() : -1; }
  [[nodiscard]] bool arm() override;
  bool woken() override;
  void rouse() override;
  [[nodiscard]] bool spin() override;
  [[nodiscard]] bool ready() const override {
    return rings_ && !in_stream_payload_ && (stream_waits_ || rings_->consumer.ready());
  }

  Result<Event> receive(bool wait) override;
  /// As receive(false), but leaves alone what only a system call would find: kBlocked when the ring has nothing.
  Result<Event> receive_from_ring();
  [[nodiscard]] const wire::Header& header() const override;
  [[nodiscard]] std::span<const std::byte> body() const override;
  void accept_payload(std::span<const Destination> destinations) override;
  void discard_payload() override;
  [[nodiscard]] bool within_frame() const override;

  Status send(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
              std::span<const std::span<const std::byte>> payload,
              std::unique_ptr<Retained> retained) override;
  Status flush() override { return stream_.flush(); }
  Status keep_unsent() override { return stream_.keep_unsent(); }
  [[nodiscard]] bool sending() const override { return stream_.sending(); }
  [[nodiscard]] uint64_t unsent_bytes() const override { return stream_.unsent_bytes(); }
  [[nodiscard]] bool nothing_sent() const override { return nothing_sent_; }

 private:
  enum class RingPayload { kNone, kAwaitingDestination, kAccepted };

  struct Rings {
    std::shared_ptr<void> memory;
    RingProducer producer;
    RingConsumer consumer;
    UniqueFd wake;
    SpinLimit spin;
    int announcements_believed = 0;  // of the other end's rouse(), until a record comes
    std::atomic<bool>
        in_use;  // a server does not know before it has found something; threads of it send meanwhile
    std::vector<std::byte> wake_body;
    alignas(8) std::array<std::byte, kMaxRecord + 8> record;
  };

  Result<Event> receive_now();
  Result<Event> receive_from_stream(bool wait);
  Result<bool> take_record();
  Event deliver_ring_payload();
  bool sleep();
  [[nodiscard]] bool fits(wire::Kind kind, size_t bytes) const;
  Status wake_other();

  StreamChannel stream_;
  std::unique_ptr<Rings> rings_;

  // Receiving
  bool from_ring_ = false;     // where the last kFrame came from
  bool stream_waits_ = false;  // a frame of the stream's is whole, and comes after what is in the ring
  bool in_stream_payload_ = false;
  wire::Header ring_header_;
  std::span<const std::byte> ring_body_;
  std::span<const std::byte> ring_payload_;
  RingPayload ring_payload_state_ = RingPayload::kNone;
  Traffic received_;

  // Sending
  bool nothing_sent_ = true;
  Traffic sent_;
};

}  // namespace vaccel::channel
