// SPDX-License-Identifier: Apache-2.0
//
// The channel over a stream socket: unix, vsock, tcp. A frame leaves in one gathered write where the socket
// takes it; headers and bodies are read through a small buffer, payloads straight to their destination.
#pragma once

#include <cstdlib>
#include <deque>
#include <vector>

#include "channel/channel.h"
#include "core/unique_fd.h"

namespace vaccel::channel {

class StreamChannel final : public Channel {
 public:
  /// @param version  The protocol version to put into headers, and to expect in them; see set_version().
  explicit StreamChannel(UniqueFd socket, uint16_t version = wire::kNewestVersion);

  /// What greeting agreed on: from here on, frames of another version are a PROTOCOL_ERROR.
  void set_version(uint16_t version) { version_ = version; }
  [[nodiscard]] uint16_t version() const { return version_; }

  [[nodiscard]] int fd() const override { return socket_.get(); }
  Result<Event> receive(bool wait) override;
  [[nodiscard]] const wire::Header& header() const override { return header_; }
  [[nodiscard]] std::span<const std::byte> body() const override { return body_; }
  void accept_payload(std::span<const Destination> destinations) override;
  void discard_payload() override;
  [[nodiscard]] bool within_frame() const override;

  Status send(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
              std::span<const std::span<const std::byte>> payload,
              std::unique_ptr<Retained> retained) override;
  Status flush() override;
  Status keep_unsent() override;
  [[nodiscard]] bool sending() const override { return !outgoing_.empty(); }
  [[nodiscard]] uint64_t unsent_bytes() const override { return unsent_bytes_; }
  [[nodiscard]] bool nothing_sent() const override { return nothing_sent_; }

  // ---- Descriptors, over unix sockets

  /// Sends a frame without payload together with descriptors, which stay the caller's. UNAVAILABLE: the connection
  /// broke; RESOURCE_EXHAUSTED: there are none left to keep copies with.
  Status send_with_descriptors(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
                               std::span<const int> descriptors);
  /// From now on takes descriptors that come with frames; before, and on an agent's side for ever, the kernel closes
  /// what a client sends.
  void accept_descriptors() { accepts_descriptors_ = true; }
  /// Hands out `count` descriptors that have come, oldest first; fewer when there are no more.
  std::vector<UniqueFd> take_descriptors(size_t count);

 private:
  /// Small frames come several at a time; of a large one, at most this much of the payload is copied once
  /// more.
  static constexpr size_t kBufferBytes = 4096;

  enum class State { kHeader, kBody, kAwaitingDestination, kPayload };

  struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  struct Outgoing {
    std::vector<std::byte> head;                      // header and body, as far as unsent
    std::vector<std::span<const std::byte>> payload;  // likewise
    std::unique_ptr<Retained> retained;
    std::unique_ptr<std::byte, FreeMemory> kept;  // what the payload lies in after keep_unsent()
    std::vector<UniqueFd> descriptors;            // that go with the head's first byte
  };

  [[nodiscard]] std::span<const std::byte> buffered() const {
    return {buffer_.get() + begin_, end_ - begin_};
  }
  Result<Event> fill(bool wait);
  Result<Event> receive_body(bool wait);
  Result<Event> receive_payload(bool wait);
  Result<Event> frame_arrived();
  void take_buffered_payload();
  void advance_payload(size_t bytes);
  Result<size_t> read_into(std::span<std::byte> memory, bool wait);
  Result<size_t> write_pieces(std::span<const std::span<const std::byte>> pieces,
                              std::span<const UniqueFd> descriptors = {});

  UniqueFd socket_;
  uint16_t version_;
  size_t max_write_;

  // Receiving
  State state_ = State::kHeader;
  std::unique_ptr<std::byte[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  wire::Header header_;
  std::vector<std::byte> large_body_;  // a body that does not fit the buffer
  size_t large_body_filled_ = 0;
  std::span<const std::byte> body_;
  std::vector<Destination> destinations_;
  size_t next_destination_ = 0;
  uint64_t payload_left_ = 0;
  std::unique_ptr<std::byte[]> discarded_;  // only while a payload goes nowhere
  bool accepts_descriptors_ = false;
  std::deque<UniqueFd> descriptors_;

  // Sending
  std::deque<Outgoing> outgoing_;
  uint64_t unsent_bytes_ = 0;
  bool nothing_sent_ = true;
};

}  // namespace vaccel::channel
