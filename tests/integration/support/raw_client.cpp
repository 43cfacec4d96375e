// SPDX-License-Identifier: Apache-2.0
#include "support/raw_client.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <numeric>

#include "channel/socket.h"
#include "core/clock.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kSendWithinMs = 10'000;

UniqueFd connect(const std::string& text) {
  const auto endpoint = channel::parse_endpoint(text);
  if (!endpoint) {
    ADD_FAILURE() << endpoint.error().message();
    return {};
  }
  auto socket = channel::connect_to(*endpoint, now_ns() + 10'000'000'000);
  if (!socket) {
    ADD_FAILURE() << socket.error().message();
    return {};
  }
  return std::move(*socket);
}

int left_ms(int64_t deadline_ns) {
  const int64_t left = (deadline_ns - now_ns() + 999'999) / 1'000'000;
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

Status read_answer(const wire::Header& header, std::span<const std::byte> body, Answer& answer) {
  answer = Answer{};
  answer.kind = header.kind;
  answer.id = header.request_id;
  switch (answer.kind) {
    case wire::Kind::kFailure: {
      const auto failed = wire::decode_failure(body);
      if (!failed) return failed.error();
      answer.code = failed->code;
      answer.sentence = failed->message;
      answer.retry_after_us = failed->retry_after_us;
      return {};
    }
    case wire::Kind::kWelcome: {
      auto welcome = wire::decode_welcome(body);
      if (!welcome) return welcome.error();
      answer.welcome = std::move(*welcome);
      return {};
    }
    case wire::Kind::kModelOpened: {
      const auto opened = wire::decode_model_opened(body);
      if (!opened) return opened.error();
      answer.model = opened->model;
      return {};
    }
    case wire::Kind::kDescription: {
      auto description = wire::decode_description(body);
      if (!description) return description.error();
      answer.description = std::move(*description);
      return {};
    }
    case wire::Kind::kWindowOpened: {
      const auto opened = wire::decode_window_opened(body);
      if (!opened) return opened.error();
      answer.window = *opened;
      return {};
    }
    case wire::Kind::kLeased: {
      const auto leased = wire::decode_leased(body);
      if (!leased) return leased.error();
      answer.leased = *leased;
      return {};
    }
    case wire::Kind::kMemoryAllocated: {
      const auto allocated = wire::decode_memory_allocated(body);
      if (!allocated) return allocated.error();
      answer.memory = allocated->memory;
      return {};
    }
    case wire::Kind::kStatus: {
      auto status = wire::decode_status_report(body);
      if (!status) return status.error();
      answer.status = std::move(*status);
      return {};
    }
    case wire::Kind::kResult: {
      auto result = wire::decode_result(
          body, {.payload_bytes = header.payload_bytes, .window = true, .device_memory = true});
      if (!result) return result.error();
      answer.result = std::move(*result);
      return {};
    }
    case wire::Kind::kVmAttached:
    case wire::Kind::kDone:
    case wire::Kind::kWake:
      return {};
    default:
      return failure(VACCEL_PROTOCOL_ERROR, "an agent does not send %s frames", wire::kind_name(answer.kind));
  }
}

std::vector<std::byte> Answer::output(size_t index) const {
  if (index >= result.outputs.size()) {
    ADD_FAILURE() << "there is no output " << index << ": " << text();
    return {};
  }
  const wire::Tensor& tensor = result.outputs[index];
  const auto begin = payload.begin() + static_cast<std::ptrdiff_t>(tensor.offset);
  return {begin, begin + static_cast<std::ptrdiff_t>(tensor.bytes)};
}

uint64_t Answer::sum() const {
  uint64_t value = 0;
  const auto bytes = output(0);
  EXPECT_EQ(bytes.size(), sizeof value) << text();
  if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string Answer::text() const {
  if (kind != wire::Kind::kFailure) return wire::kind_name(kind);
  return std::string(status_name(code)) + ": " + sentence;
}

wire::Attribute integer(const char* name, int64_t value) {
  return {name, value};
}

wire::Attribute text(const char* name, const char* value) {
  return {name, std::string(value)};
}

wire::Call call_of(const char* operator_name, std::vector<wire::Attribute> attributes) {
  wire::Call call;
  call.operator_name = operator_name;
  call.attributes = std::move(attributes);
  return call;
}

wire::Call call_with_bytes(const char* operator_name, uint64_t bytes) {
  wire::Call call = call_of(operator_name);
  wire::Tensor tensor{.name = "data", .dtype = VACCEL_UINT8, .rank = 1};
  tensor.shape[0] = static_cast<int64_t>(bytes);
  tensor.bytes = bytes;
  call.inputs.push_back(std::move(tensor));
  return call;
}

std::vector<std::byte> some_bytes(size_t size, uint32_t seed) {
  std::vector<std::byte> bytes(size);
  uint32_t state = seed * 2'654'435'761U + 1;
  for (std::byte& byte : bytes) {
    state = state * 1'664'525U + 1'013'904'223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

uint64_t sum_of(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0},
                         [](uint64_t sum, std::byte byte) { return sum + static_cast<uint64_t>(byte); });
}

RawClient::RawClient(const std::string& endpoint, Greet greet) : channel_(connect(endpoint)) {
  if (greet == Greet::kNo) return;
  const Answer answer = ask(1, wire::Hello{.client = "raw"});
  EXPECT_EQ(answer.kind, wire::Kind::kWelcome) << answer.text();
}

bool RawClient::write_all(std::span<const std::byte> bytes) {
  const int64_t deadline = now_ns() + kSendWithinMs * 1'000'000;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    pollfd waiting{fd(), POLLOUT, 0};
    if (::poll(&waiting, 1, left_ms(deadline)) == 0) return false;
  }
  return true;
}

bool RawClient::send_body(wire::Kind kind, uint64_t id, std::span<const std::byte> body,
                          std::span<const std::byte> payload) {
  return send_header({kind, wire::kNewestVersion, id, static_cast<uint32_t>(body.size()), payload.size()}) &&
         send_bytes(body) && send_bytes(payload);
}

bool RawClient::send_header(const wire::Header& header) {
  return write_all(wire::encode_header(header));
}

bool RawClient::send_bytes(std::span<const std::byte> bytes) {
  return write_all(bytes);
}

bool RawClient::send_text(const std::string& text) {
  return write_all(std::as_bytes(std::span(text.data(), text.size())));
}

Status RawClient::read_frame(Answer& answer) {
  const wire::Header header = channel_.header();
  Status status = read_answer(header, channel_.body(), answer);
  answer.payload.resize(header.payload_bytes);
  if (header.payload_bytes > 0) {
    const channel::Destination destination{answer.payload.data(), answer.payload.size()};
    channel_.accept_payload({&destination, 1});
  }
  return status;
}

std::optional<Answer> RawClient::receive(int64_t within_ms) {
  if (!kept_.empty()) {
    Answer first = std::move(kept_.front());
    kept_.pop_front();
    return first;
  }
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  Answer answer;
  while (!closed_) {
    const auto event = channel_.receive(false);
    if (!event || *event == channel::Event::kClosed) {
      EXPECT_TRUE(event || event.error().code() != VACCEL_PROTOCOL_ERROR) << event.error().message();
      closed_ = true;
      break;
    }
    if (*event == channel::Event::kPayload) return answer;
    if (*event == channel::Event::kFrame) {
      const Status status = read_frame(answer);
      EXPECT_TRUE(status.ok()) << "what the agent sent cannot be read: " << status.message();
      if (answer.payload.empty()) return answer;
    }
    if (*event == channel::Event::kBlocked) {
      pollfd waiting{fd(), POLLIN, 0};
      if (::poll(&waiting, 1, left_ms(deadline)) == 0) break;
    }
  }
  return std::nullopt;
}

std::optional<Answer> RawClient::await(uint64_t id, int64_t within_ms) {
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept->id != id) continue;
    Answer answer = std::move(*kept);
    kept_.erase(kept);
    return answer;
  }
  std::deque<Answer> others = std::exchange(kept_, {});
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  std::optional<Answer> found;
  while (auto answer = receive(left_ms(deadline))) {
    if (answer->id == id) {
      found = std::move(answer);
      break;
    }
    others.push_back(std::move(*answer));
  }
  kept_ = std::move(others);
  return found;
}

bool RawClient::is_closed_by_agent(int64_t within_ms) {
  const int64_t deadline = now_ns() + within_ms * 1'000'000;
  while (receive(left_ms(deadline))) {
  }
  return closed_;
}

Answer RawClient::nothing_came() {
  Answer answer;
  answer.kind = wire::Kind::kFailure;
  answer.sentence = "the agent closed the connection, or did not answer in time";
  return answer;
}

void RawClient::drop() {
  channel_ = channel::StreamChannel{UniqueFd{}};
  closed_ = true;
}

void expect_serves(const std::string& endpoint) {
  RawClient client(endpoint);
  const auto bytes = some_bytes(100'000, 7);
  const Answer sum = client.ask(2, call_with_bytes("reference.checksum", bytes.size()), bytes);
  ASSERT_TRUE(sum.is_result()) << sum.text();
  EXPECT_EQ(sum.sum(), sum_of(bytes));
  const auto few = some_bytes(64, 8);
  const Answer echo = client.ask(3, call_with_bytes("vaccel.echo", few.size()), few);
  ASSERT_TRUE(echo.is_result()) << echo.text();
  EXPECT_EQ(echo.output(0), few);
}

}  // namespace vaccel::integration
