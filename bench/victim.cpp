// SPDX-License-Identifier: Apache-2.0
//
// vaccel-bench-victim ENDPOINT STATE: a client that brings itself into one of the states of victim_state.h, says so with a
// byte on its standard output, and stays there until it is killed.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "channel/socket.h"
#include "core/clock.h"
#include "failure.h"
#include "session.h"
#include "victim_state.h"
#include "wire/messages.h"

namespace vaccel::bench {
namespace {

constexpr int64_t kLongUs = 600'000'000;
constexpr int kCallsQueued = 24;
constexpr size_t kPayload = 200'000;
constexpr int64_t kLargeResult = 16 << 20;  // more than sockets hold
constexpr int kAnswerWithinMs = 10'000;

void say_ready() {
  if (::write(STDOUT_FILENO, "r", 1) != 1) std::exit(EXIT_FAILURE);
}

[[noreturn]] void stay() {
  say_ready();
  for (;;)
    ::pause();
}

// ---- A client that sends what it likes

class RawConnection {
 public:
  explicit RawConnection(const std::string& text) {
    const auto endpoint = channel::parse_endpoint(text);
    auto socket = endpoint ? channel::connect_to(*endpoint, now_ns() + 3'000'000'000) : Result<UniqueFd>{};
    if (!socket) give_up("cannot connect to %s", text.c_str());
    socket_ = std::move(*socket);
  }

  void send(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      pollfd writable{socket_.get(), POLLOUT, 0};
      ::poll(&writable, 1, kAnswerWithinMs);
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) give_up("cannot send: %s", std::strerror(errno));
      bytes = bytes.subspan(static_cast<size_t>(sent));
    }
  }
  template <typename Message>
  void announce(uint64_t id, const Message& message, uint64_t payload_bytes, double part_of_body = 1) {
    const auto body = encoder_.encode(message);
    send(wire::encode_header(
        {Message::kKind, wire::kNewestVersion, id, static_cast<uint32_t>(body.size()), payload_bytes}));
    send(body.first(static_cast<size_t>(part_of_body * static_cast<double>(body.size()))));
  }
  void greet() {
    announce(1, wire::Hello{.client = "victim"}, 0);
    await_answer();
    std::byte welcome[512];
    if (::recv(socket_.get(), welcome, sizeof welcome, 0) <= 0) give_up("no greeting");
  }
  void await_answer() const {
    pollfd readable{socket_.get(), POLLIN, 0};
    if (::poll(&readable, 1, kAnswerWithinMs) != 1) give_up("no answer");
  }

 private:
  UniqueFd socket_;
  wire::Encoder encoder_;
};

wire::Call call_with_payload(size_t bytes) {
  wire::Call call;
  call.operator_name = "reference.checksum";
  wire::Tensor tensor{.name = "data", .dtype = VACCEL_UINT8, .rank = 1};
  tensor.shape[0] = static_cast<int64_t>(bytes);
  tensor.bytes = bytes;
  call.inputs.push_back(std::move(tensor));
  return call;
}

void connected(const std::string& endpoint) {
  const RawConnection connection(endpoint);
  stay();
}

void half_greeting(const std::string& endpoint) {
  const RawConnection connection(endpoint);
  const auto header = wire::encode_header({wire::Kind::kHello, wire::kNewestVersion, 1, 64, 0});
  connection.send(std::span(header).first(header.size() / 2));
  stay();
}

void half_body(const std::string& endpoint) {
  RawConnection connection(endpoint);
  connection.greet();
  connection.announce(2, call_with_payload(kPayload), kPayload, 0.5);
  stay();
}

void half_payload(const std::string& endpoint) {
  RawConnection connection(endpoint);
  connection.greet();
  connection.announce(2, call_with_payload(kPayload), kPayload);
  connection.send(some_bytes(kPayload / 2));
  stay();
}

void unread(const std::string& endpoint) {
  RawConnection connection(endpoint);
  connection.greet();
  wire::Call call;
  call.operator_name = "reference.fill";
  call.attributes.push_back({"bytes", kLargeResult});
  connection.announce(2, call, 0);
  connection.await_answer();
  stay();
}

// ---- A program with the library

vaccel_request* submit_delay(const Session& session, const vaccel_tensor* input = nullptr) {
  vaccel_attribute microseconds{};
  microseconds.name = "microseconds";
  microseconds.type = VACCEL_ATTRIBUTE_INT;
  microseconds.value.integer = kLongUs;
  vaccel_request* request = nullptr;
  check(vaccel_submit_call(session.get(), "reference.delay", nullptr, &microseconds, 1, input,
                           input != nullptr ? 1 : 0, nullptr, &request),
        "cannot submit");
  return request;
}

void idle(const std::string& endpoint) {
  const Session session(endpoint);
  stay();
}

void running(const std::string& endpoint) {
  const Session session(endpoint);
  submit_delay(session);
  session.call("reference.noop", nullptr);  // which the worker got later
  stay();
}

void queued(const std::string& endpoint) {
  const Session session(endpoint);
  for (int count = 0; count < kCallsQueued; ++count)
    submit_delay(session);
  session.call("vaccel.echo", nullptr);
  stay();
}

void cancelled(const std::string& endpoint) {
  const Session session(endpoint);
  for (int count = 0; count < kCallsQueued; ++count)
    vaccel_cancel(submit_delay(session));
  stay();
}

void leases(const std::string& endpoint) {
  const Session session(endpoint);
  std::vector<std::unique_ptr<Buffer>> buffers;
  for (int count = 0; count < 8; ++count) {
    buffers.push_back(std::make_unique<Buffer>(session, size_t{1} << 20));
    std::memset(buffers.back()->bytes().data(), 1, buffers.back()->bytes().size());
  }
  stay();
}

void window_call(const std::string& endpoint) {
  const Session session(endpoint);
  const auto bytes = some_bytes(kPayload);
  const Tensor input(session, "data", VACCEL_UINT8, {static_cast<int64_t>(bytes.size())}, bytes);
  submit_delay(session, input.view());
  session.call("reference.checksum", input.view());
  stay();
}

void device(const std::string& endpoint) {
  const Session session(endpoint);
  const DeviceBuffer buffer(session, some_bytes(kPayload), nullptr);
  stay();
}

void calling(const std::string& endpoint) {
  const Session session(endpoint);
  const auto bytes = some_bytes(kPayload);
  const Tensor input(session, "data", VACCEL_UINT8, {static_cast<int64_t>(bytes.size())}, bytes);
  say_ready();
  for (;;)
    session.call("reference.echo", input.view());
}

void connecting(const std::string& endpoint) {
  say_ready();
  for (;;)
    Session(endpoint).call("vaccel.echo", nullptr);
}

const std::map<std::string, std::function<void(const std::string&)>>& states() {
  static const std::map<std::string, std::function<void(const std::string&)>> all{
      {"connected", connected},
      {"half-greeting", half_greeting},
      {"half-body", half_body},
      {"half-payload", half_payload},
      {"idle", idle},
      {"running", running},
      {"queued", queued},
      {"cancelled", cancelled},
      {"unread", unread},
      {"leases", leases},
      {"window-call", window_call},
      {"device", device},
      {"calling", calling},
      {"connecting", connecting}};
  return all;
}

}  // namespace
}  // namespace vaccel::bench

int main(int argc, char** argv) {
  using namespace vaccel::bench;
  const auto state = argc == 3 ? states().find(argv[2]) : states().end();
  if (state == states().end()) {
    std::fprintf(stderr, "usage: vaccel-bench-victim ENDPOINT STATE\n");
    return 2;
  }
  try {
    state->second(argv[1]);
  } catch (const std::exception& failure) {
    // Nothing is wrong with that where the agent was killed first: whoever started it waits for its byte.
    std::fprintf(stderr, "vaccel-bench-victim: %s: %s\n", argv[2], failure.what());
  }
  return EXIT_FAILURE;
}
