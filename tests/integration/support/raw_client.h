// SPDX-License-Identifier: Apache-2.0
//
// A client that says exactly what a test tells it to, right or wrong: frames with the project's own codec, or plain
// bytes. What a program would use is libvaccel, see library.h.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "channel/stream.h"
#include "wire/messages.h"

namespace vaccel::integration {

/// What the agent answered.
struct Answer {
  wire::Kind kind{};
  uint64_t id = 0;
  vaccel_status code = VACCEL_OK;  ///< Of a failure.
  std::string sentence;            ///< Of a failure.
  uint64_t retry_after_us = 0;     ///< Of a failure.
  uint32_t model = 0;              ///< Of model-opened.
  wire::Welcome welcome;
  wire::Description description;
  wire::CallResult result;
  wire::WindowOpened window;
  wire::Leased leased;
  uint32_t memory = 0;  ///< Of memory-allocated.
  wire::StatusReport status;
  std::vector<std::byte> payload;  ///< Of a result.

  [[nodiscard]] bool is_result() const { return kind == wire::Kind::kResult; }
  /// The bytes of an output.
  [[nodiscard]] std::vector<std::byte> output(size_t index) const;
  /// What reference.checksum found.
  [[nodiscard]] uint64_t sum() const;
  /// "result", or "NOT_FOUND: no model 'x' ...": for messages of failed expectations.
  [[nodiscard]] std::string text() const;
};

wire::Attribute integer(const char* name, int64_t value);
wire::Attribute text(const char* name, const char* value);
wire::Call call_of(const char* operator_name, std::vector<wire::Attribute> attributes = {});
/// With one input, uint8 [bytes], at the payload's start.
wire::Call call_with_bytes(const char* operator_name, uint64_t bytes);
/// Bytes that differ from seed to seed, and their sum as reference.checksum has it.
std::vector<std::byte> some_bytes(size_t size, uint32_t seed);
uint64_t sum_of(std::span<const std::byte> bytes);

/// Reads what the agent has sent, but for its payload. PROTOCOL_ERROR: no agent would send it.
Status read_answer(const wire::Header& header, std::span<const std::byte> body, Answer& answer);

class RawClient {
 public:
  enum class Greet { kYes, kNo };
  /// Connects, and greets unless told not to; a failure to do so fails the test.
  explicit RawClient(const std::string& endpoint, Greet greet = Greet::kYes);

  [[nodiscard]] int fd() const { return channel_.fd(); }

  // ---- Sending. Waits until all has gone, 10 s at most. @return whether it went.

  template <typename Message>
  bool send(uint64_t id, const Message& message, std::span<const std::byte> payload = {}) {
    return send_body(Message::kKind, id, encoder_.encode(message), payload);
  }
  bool send_body(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                 std::span<const std::byte> payload = {});
  /// The header and body of a message with a payload that is announced and not sent.
  template <typename Message>
  bool announce(uint64_t id, const Message& message, uint64_t payload_bytes) {
    const auto body = encoder_.encode(message);
    return send_header({Message::kKind, wire::kNewestVersion, id, static_cast<uint32_t>(body.size()),
                        payload_bytes}) &&
           send_bytes(body);
  }
  bool send_header(const wire::Header& header);
  bool send_bytes(std::span<const std::byte> bytes);
  bool send_text(const std::string& text);

  // ---- Receiving

  /// The next answer; nothing when the agent closed the connection or said nothing in time.
  std::optional<Answer> receive(int64_t within_ms = 20'000);
  /// The answer to one request; others that come before it are kept for their turn.
  std::optional<Answer> await(uint64_t id, int64_t within_ms = 20'000);
  /// Whether the agent closes the connection in time; answers that come before are dropped.
  bool is_closed_by_agent(int64_t within_ms = 20'000);

  /// Sends a request and expects its answer, of any kind.
  template <typename Message>
  Answer ask(uint64_t id, const Message& message, std::span<const std::byte> payload = {}) {
    if (!send(id, message, payload)) return nothing_came();
    return await(id).value_or(nothing_came());
  }

  /// Ends the connection at once.
  void drop();

 private:
  static Answer nothing_came();
  bool write_all(std::span<const std::byte> bytes);
  Status read_frame(Answer& answer);

  channel::StreamChannel channel_;
  wire::Encoder encoder_;
  std::deque<Answer> kept_;
  bool closed_ = false;
};

/// A well-behaved client finds the agent as it should be: it can connect, and gets the right answers from the agent
/// itself and from a worker.
void expect_serves(const std::string& endpoint);

}  // namespace vaccel::integration
