// SPDX-License-Identifier: Apache-2.0
//
// A channel carries frames between two ends: guest and agent, agent and worker. This is the interface;
// stream.h is the implementation over sockets, ring_channel.h the one over rings in shared memory.
//
// A channel has no thread and no lock. Its receiving half (receive, header, body, accept_payload,
// discard_payload) and its sending half (send, flush, sending) may be used by two threads at the same time,
// each half by one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/status.h"
#include "wire/frame.h"

namespace vaccel::channel {

/// Where some bytes of an incoming payload go; data nullptr: nowhere.
struct Destination {
  std::byte* data = nullptr;
  size_t size = 0;
};

/// Holds what must stay in place until a payload has been sent (memory of a segment, for one). Destroyed
/// then, or with the channel.
class Retained {
 public:
  virtual ~Retained() = default;
};

/// What receive() came upon.
enum class Event {
  kBlocked,  ///< Nothing more now: wait for the descriptor to become readable.
  kPartial,  ///< Some bytes came, more may be there: call again (a chance to serve others first).
  kFrame,    ///< header() and body() hold a frame. If it has a payload, say where to with accept_payload()
             ///< next.
  kPayload,  ///< The payload of that frame is whole.
  kClosed,   ///< The other end closed the channel, between two frames.
};

class Channel {
 public:
  virtual ~Channel() = default;

  /// What to wait on: readable when receive() may have something, writable when flush() may.
  [[nodiscard]] virtual int fd() const = 0;
  /// Whether there is shared memory beside the descriptors, through which frames may go.
  [[nodiscard]] virtual bool attached() const { return false; }
  /// A second descriptor to wait on, for reading alone; -1: there is none.
  [[nodiscard]] virtual int wake_fd() const { return -1; }
  /// To be called before sleeping on the descriptors, when receive() has last said kBlocked.
  /// @return false: something has come that the descriptors will not tell of; receive() has it.
  [[nodiscard]] virtual bool arm() { return true; }
  /// To be called after having slept, or instead: the descriptors told of something, or a deadline passed.
  /// @return whether the other end has said that a frame will follow soon: it pays to look for it.
  virtual bool woken() { return false; }
  /// Lets the other end wake up while this one prepares what it will send in some tens of microseconds. Does nothing when it
  /// is awake, or cannot be woken without a frame. For any thread.
  virtual void rouse() {}
  /// Looks for a while whether something comes that the descriptors do not tell of. @return whether it has.
  [[nodiscard]] virtual bool spin() { return false; }
  /// Whether there is something that the descriptors do not tell of. Cheap: what a spin loop asks.
  [[nodiscard]] virtual bool ready() const { return false; }

  // ---- Receiving

  /// Takes in what is there. @param wait  Block until something is (never returns kBlocked then).
  /// UNAVAILABLE: the connection broke, or ended within a frame; PROTOCOL_ERROR: what came is no frame.
  /// Either ends it.
  virtual Result<Event> receive(bool wait) = 0;
  /// The last kFrame's header, and its body in memory of the channel's; until the next receive().
  [[nodiscard]] virtual const wire::Header& header() const = 0;
  [[nodiscard]] virtual std::span<const std::byte> body() const = 0;
  /// Says where the payload of the frame goes: destinations that sum up to header().payload_bytes. The memory
  /// must stay until kPayload, or until discard_payload().
  virtual void accept_payload(std::span<const Destination> destinations) = 0;
  /// Lets the payload, or the rest of it, go nowhere. receive() still says kPayload at its end.
  virtual void discard_payload() = 0;
  /// Whether a frame has begun that is not whole yet (its payload included).
  [[nodiscard]] virtual bool within_frame() const = 0;

  // ---- Sending

  /// Sends a frame, or as much of it as goes now without blocking; the rest is kept and goes with flush().
  /// Header and body are copied if need be; `payload` pieces are not: they stay in place until `retained` is
  /// destroyed, or, when that is null, until sending() is false. UNAVAILABLE: the connection broke.
  virtual Status send(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
                      std::span<const std::span<const std::byte>> payload,
                      std::unique_ptr<Retained> retained) = 0;
  /// Goes on with what send() kept, without blocking. Same errors.
  virtual Status flush() = 0;
  /// Copies what waits to be flushed, so that the payload pieces handed to send() are needed no longer; their
  /// `retained` are destroyed. RESOURCE_EXHAUSTED: no memory; nothing has changed for the rest then.
  virtual Status keep_unsent() = 0;
  /// Whether something waits to be flushed.
  [[nodiscard]] virtual bool sending() const = 0;
  /// Bytes that wait to be flushed.
  [[nodiscard]] virtual uint64_t unsent_bytes() const = 0;
  /// Whether the failed send() had got nothing of its frame out: then the other end has not seen it.
  [[nodiscard]] virtual bool nothing_sent() const = 0;
};

}  // namespace vaccel::channel
