// SPDX-License-Identifier: Apache-2.0
//
// A client that has a window and says and writes exactly what a test tells it to: its frames go over the stream or the
// rings as libvaccel's would, and all of the window, rings included, is there to be written to behind the agent's back.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "channel/ring_channel.h"
#include "core/unique_fd.h"
#include "support/raw_client.h"
#include "wire/messages.h"

namespace vaccel::integration {

class WindowGuest {
 public:
  /// kUnused: the agent has attached the rings; everything that this client sends goes over the stream.
  enum class Rings { kUsed, kUnused };

  /// A session of this host, which has a window to itself. A failure to get one fails the test.
  explicit WindowGuest(const std::string& endpoint, Rings rings = Rings::kUsed);
  /// A session in a VM whose window is this file.
  WindowGuest(const std::string& endpoint, const std::string& window_file, Rings rings = Rings::kUsed);

  [[nodiscard]] const wire::WindowOpened& window() const { return opened_; }
  [[nodiscard]] std::span<std::byte> memory() const { return {base_, size_}; }
  [[nodiscard]] std::byte* at(uint64_t offset) const { return base_ + offset; }
  [[nodiscard]] std::byte* rings() const { return base_ + opened_.ring_offset; }
  [[nodiscard]] int fd() const { return channel_->fd(); }
  /// The socket for wake-ups; -1 in a VM.
  [[nodiscard]] int wake_socket() const { return rings_ == Rings::kUsed ? channel_->wake_fd() : wake_.get(); }

  /// Stores one word of the rings' memory; see channel/ring.h.
  void store_in_rings(uint64_t offset, uint64_t value) const;
  /// From now on this client reads its ring, and puts into it what fits.
  void use_rings();
  /// Wakes the agent, whether it sleeps or not.
  void wake_agent();

  template <typename Message>
  bool send(uint64_t id, const Message& message, std::span<const std::byte> payload = {}) {
    return send_body(Message::kKind, id, encoder_.encode(message), payload);
  }
  bool send_body(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                 std::span<const std::byte> payload = {});
  /// The next answer; nothing when the connection is over, or nothing came in time.
  std::optional<Answer> receive(int64_t within_ms = 20'000);
  /// The next answer if it is there, without sleeping, and without taking any wake-up.
  std::optional<Answer> look();
  /// The answer to one request; others are kept for their turn.
  std::optional<Answer> await(uint64_t id, int64_t within_ms = 20'000);
  template <typename Message>
  Answer ask(uint64_t id, const Message& message, std::span<const std::byte> payload = {}) {
    Answer nothing;
    nothing.kind = wire::Kind::kFailure;
    nothing.sentence = "the agent closed the connection, or did not answer in time";
    if (!send(id, message, payload)) return nothing;
    return await(id).value_or(nothing);
  }
  /// Whether the agent closes the connection in time; answers that come before are dropped.
  bool is_closed_by_agent(int64_t within_ms = 20'000);
  [[nodiscard]] bool is_closed() const { return closed_; }

  /// A lease; a failure fails the test.
  wire::Leased lease(uint64_t id, uint64_t bytes, uint64_t alignment = 64);

  /// Ends the connection at once, as the kernel does for a process that is killed. The memory stays mapped.
  void drop();

 private:
  void open(const std::string& endpoint, Rings rings);
  void open_in_vm(const std::string& endpoint, const std::string& window_file, Rings rings);
  void greet(const std::string& endpoint, bool takes_descriptors);
  void begin(Rings rings);
  bool take_event(std::optional<Answer>& answer);

  wire::Encoder encoder_;
  std::unique_ptr<channel::RingChannel> channel_;
  Mapping mapping_;
  std::byte* base_ = nullptr;
  size_t size_ = 0;
  Rings rings_ = Rings::kUnused;
  wire::WindowOpened opened_;
  UniqueFd wake_;
  std::deque<Answer> kept_;
  Answer arriving_;  // whose payload is arriving
  bool closed_ = false;
};

/// An input of so many elements that lies in the window. dtype decides whether a worker uses it where it lies.
wire::Tensor input_in_window(uint64_t offset, uint64_t bytes, vaccel_dtype dtype);
/// reference.checksum of one such input.
wire::Call checksum_in_window(uint64_t offset, uint64_t bytes, vaccel_dtype dtype);

}  // namespace vaccel::integration
