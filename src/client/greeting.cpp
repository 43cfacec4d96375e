// SPDX-License-Identifier: Apache-2.0
#include "client/greeting.h"

#include <fcntl.h>

#include "channel/ring_channel.h"
#include "channel/socket.h"
#include "client/poll.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

constexpr uint64_t kHelloId = 1;
constexpr uint64_t kOpenWindowId = 2;

Unexpected no_agent(const channel::Endpoint& endpoint, const std::string& why) {
  return fail(VACCEL_PROTOCOL_ERROR, "what answers at %s is not an agent that this library can talk to: %s",
              endpoint.text().c_str(), why.c_str());
}

Status send_request(channel::RingChannel& channel, wire::Kind kind, uint64_t id,
                    std::span<const std::byte> body, int64_t deadline_ns) {
  Status status = channel.send(kind, id, body, {}, nullptr);
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

// Lets the channel use the rings that came with the window.
Status begin_rings(channel::RingChannel& channel, const wire::WindowOpened& opened,
                   const std::shared_ptr<Window>& window, UniqueFd wake, bool spin) {
  if (opened.ring_bytes < channel::kRingPairBytes || opened.ring_offset % wire::kTensorAlignment != 0)
    return failure(VACCEL_PROTOCOL_ERROR, "its rings are no rings of ours");
  channel.attach(window->base() + opened.ring_offset, window, channel::RingChannel::Side::kClient,
                 std::move(wake), spin ? channel::default_spin_ns() : 0);
  return {};
}

// A window that cannot be had is no reason not to go on; a connection that broke is.
Status take_window(channel::RingChannel& channel, const Sharing& sharing, Greeted& greeted) {
  if (channel.header().kind == wire::Kind::kFailure) {
    const auto refusal = wire::decode_failure(channel.body());
    if (!refusal) return refusal.error();
    greeted.no_window = printable(refusal->message, 1000);
    return {};
  }
  if (channel.header().request_id != kOpenWindowId || channel.header().kind != wire::Kind::kWindowOpened) {
    return failure(VACCEL_PROTOCOL_ERROR, "it answered the opening of a window with a %s frame",
                   wire::kind_name(channel.header().kind));
  }
  const auto opened = wire::decode_window_opened(channel.body());
  if (!opened) return opened.error();
  UniqueFd wake;
  Result<std::shared_ptr<Window>> window;
  if (opened->kind == wire::WindowKind::kMemory) {
    std::vector<UniqueFd> descriptors = channel.stream().take_descriptors(2);
    if (descriptors.size() != 2)
      return failure(VACCEL_PROTOCOL_ERROR, "a window came without its descriptors");
    window = Window::of_memory(*opened, descriptors[0]);
    wake = std::move(descriptors[1]);
  } else {
    window = Window::of_device(*opened);
  }
  if (!window) {
    greeted.no_window = window.error().message();
    return {};
  }
  greeted.window = std::move(*window);
  if (opened->ring_bytes == 0 || !sharing.rings) return {};
  return begin_rings(channel, *opened, greeted.window, std::move(wake), sharing.spin);
}

// Waits for the next frame. UNAVAILABLE: the connection is closed; DEADLINE_EXCEEDED; PROTOCOL_ERROR.
Status next_frame(channel::RingChannel& channel, int64_t deadline_ns) {
  for (;;) {
    const auto event = channel.receive(false);
    if (!event) return event.error();
    if (*event == channel::Event::kFrame) return {};
    if (*event == channel::Event::kClosed)
      return failure(VACCEL_UNAVAILABLE, "it closed the connection instead of answering");
    if (*event == channel::Event::kBlocked && !poll_until(channel.fd(), POLLIN, deadline_ns))
      return failure(VACCEL_DEADLINE_EXCEEDED, "it did not answer in time");
  }
}

}  // namespace

Result<Greeted> greet(const channel::Endpoint& endpoint, const std::string& client_name,
                      const Sharing& sharing, int64_t deadline_ns) {
  auto socket = channel::connect_to(endpoint, deadline_ns);
  if (!socket) return Unexpected{socket.error()};
  const int fd = socket->get();
  auto channel = std::make_unique<channel::RingChannel>(
      channel::StreamChannel(std::move(*socket), wire::kOldestVersion));
  const auto lost = [&](const Status& status) {
    return Unexpected{status.within("while greeting the agent at " + endpoint.text())};
  };
  wire::Encoder encoder;
  const Status sent = send_request(*channel, wire::Kind::kHello, kHelloId,
                                   encoder.encode(wire::Hello{.client = client_name}), deadline_ns);
  // An agent that has refused us and closed may have said why.
  if (!sent.ok() && sent.code() != VACCEL_UNAVAILABLE) return lost(sent);
  if (Status answered = next_frame(*channel, sent.ok() ? deadline_ns : 1); !answered.ok()) {
    if (answered.code() == VACCEL_PROTOCOL_ERROR) return no_agent(endpoint, answered.message());
    return lost(sent.ok() ? answered : sent);
  }
  auto welcome = read_answer(*channel, endpoint);
  if (!welcome) return Unexpected{welcome.error()};
  channel->stream().set_version(welcome->version);
  Greeted greeted{.channel = nullptr, .welcome = std::move(*welcome), .window = nullptr, .no_window = {}};
  if (!sharing.window) {
    greeted.no_window = "the session was opened without one";
  } else if (endpoint.scheme == channel::Endpoint::Scheme::kTcp) {
    greeted.no_window = "memory cannot be shared over tcp";
  } else {
    const bool is_unix = endpoint.scheme == channel::Endpoint::Scheme::kUnix;
    if (is_unix) channel->stream().accept_descriptors();
    Status status = send_request(*channel, wire::Kind::kOpenWindow, kOpenWindowId,
                                 encoder.encode(wire::OpenWindow{is_unix}), deadline_ns);
    if (status.ok()) status = next_frame(*channel, deadline_ns);
    if (status.ok()) status = take_window(*channel, sharing, greeted);
    if (!status.ok()) return lost(status);
  }
  // From here on a thread that reads without a deadline blocks in recv(): one system call a result.
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  greeted.channel = std::move(channel);
  return greeted;
}

}  // namespace vaccel::client
