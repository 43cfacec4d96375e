// SPDX-License-Identifier: Apache-2.0
#include "client/greeting.h"

#include <fcntl.h>

#include "channel/socket.h"
#include "channel/stream.h"
#include "client/poll.h"

namespace vaccel::client {
namespace {

constexpr uint64_t kHelloId = 1;

Unexpected no_agent(const channel::Endpoint& endpoint, const std::string& why) {
  return fail(VACCEL_PROTOCOL_ERROR, "what answers at %s is not an agent that this library can talk to: %s",
              endpoint.text().c_str(), why.c_str());
}

Status send_hello(channel::StreamChannel& channel, const std::string& client_name, int64_t deadline_ns) {
  wire::Encoder encoder;
  Status status = channel.send(wire::Kind::kHello, kHelloId,
                               encoder.encode(wire::Hello{.client = client_name}), {}, nullptr);
  while (status.ok() && channel.sending()) {
    if (!poll_until(channel.fd(), POLLOUT, deadline_ns))
      return failure(VACCEL_DEADLINE_EXCEEDED, "it is full");
    status = channel.flush();
  }
  return status;
}

Result<wire::Welcome> read_answer(const channel::Channel& channel, const channel::Endpoint& endpoint) {
  const wire::Header& header = channel.header();
  // One for no request is of an agent that refuses whoever comes, before it has heard anything.
  const bool is_for_us = header.request_id == kHelloId || header.request_id == 0;
  if (is_for_us && header.kind == wire::Kind::kFailure) {
    const auto refusal = wire::decode_failure(channel.body());
    if (!refusal) return no_agent(endpoint, refusal.error().message());
    if (refusal->code == VACCEL_UNIMPLEMENTED) return no_agent(endpoint, printable(refusal->message, 1000));
    return fail(refusal->code, "the agent at %s refused the session: %s", endpoint.text().c_str(),
                printable(refusal->message, 1000).c_str());
  }
  if (header.request_id != kHelloId || header.kind != wire::Kind::kWelcome) {
    return no_agent(endpoint, std::string("it answered the greeting with a ") + wire::kind_name(header.kind) +
                                  " frame for request " + std::to_string(header.request_id));
  }
  auto welcome = wire::decode_welcome(channel.body());
  if (!welcome) return no_agent(endpoint, welcome.error().message());
  if (welcome->version < wire::kOldestVersion || welcome->version > wire::kNewestVersion) {
    return no_agent(endpoint, "it chose protocol version " + std::to_string(welcome->version) +
                                  "; this library speaks " + std::to_string(wire::kOldestVersion) + " to " +
                                  std::to_string(wire::kNewestVersion));
  }
  return welcome;
}

}  // namespace

Result<Greeted> greet(const channel::Endpoint& endpoint, const std::string& client_name,
                      int64_t deadline_ns) {
  auto socket = channel::connect_to(endpoint, deadline_ns);
  if (!socket) return Unexpected{socket.error()};
  const int fd = socket->get();
  auto channel = std::make_unique<channel::StreamChannel>(std::move(*socket), wire::kOldestVersion);
  const auto lost = [&](const Status& status) {
    return Unexpected{status.within("while greeting the agent at " + endpoint.text())};
  };
  Status sent = send_hello(*channel, client_name, deadline_ns);
  // An agent that has refused us and closed may have said why.
  if (!sent.ok() && sent.code() != VACCEL_UNAVAILABLE) return lost(sent);
  for (;;) {
    const auto event = channel->receive(false);
    if (!event && event.error().code() == VACCEL_PROTOCOL_ERROR)
      return no_agent(endpoint, event.error().message());
    if (!event) return lost(sent.ok() ? event.error() : sent);
    if (!sent.ok() && (*event == channel::Event::kClosed || *event == channel::Event::kBlocked))
      return lost(sent);
    if (*event == channel::Event::kClosed)
      return lost(failure(VACCEL_UNAVAILABLE, "it closed the connection instead of answering"));
    if (*event == channel::Event::kBlocked && !poll_until(fd, POLLIN, deadline_ns))
      return lost(failure(VACCEL_DEADLINE_EXCEEDED, "it did not answer in time"));
    if (*event == channel::Event::kFrame) break;
  }
  auto welcome = read_answer(*channel, endpoint);
  if (!welcome) return Unexpected{welcome.error()};
  channel->set_version(welcome->version);
  // From here on a thread that reads without a deadline blocks in recv(): one system call a result.
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return Greeted{std::move(channel), std::move(*welcome)};
}

}  // namespace vaccel::client
