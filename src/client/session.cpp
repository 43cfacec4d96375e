// SPDX-License-Identifier: Apache-2.0
#include "client/session.h"

#include <cerrno>

#include "channel/endpoint.h"
#include "client/discovery.h"
#include "client/local.h"
#include "client/remote.h"

namespace vaccel::client {
namespace {

constexpr uint32_t kDefaultConnectTimeoutMs = 3000;

}  // namespace

Result<std::unique_ptr<vaccel_session>> open_at(const std::string& text, const vaccel_open_options& options) {
  auto endpoint = channel::parse_endpoint(text);
  if (!endpoint) return Unexpected{endpoint.error()};
  if (endpoint->scheme == channel::Endpoint::Scheme::kHybridVsock) {
    return fail(VACCEL_INVALID_ARGUMENT,
                "endpoint '%s' is one to listen on, for an agent; a VM's program connects to vsock:2:PORT",
                printable(text).c_str());
  }
  auto session = std::make_unique<vaccel_session>();
  session->endpoint = endpoint->text();
  Result<std::unique_ptr<Transport>> transport;
  if (endpoint->scheme == channel::Endpoint::Scheme::kLocal) {
    transport = LocalTransport::open(endpoint->path, session->completions);
  } else {
    const uint32_t timeout_ms =
        options.connect_timeout_ms != 0 ? options.connect_timeout_ms : kDefaultConnectTimeoutMs;
    RemoteTransport::Settings settings{
        .endpoint = std::move(*endpoint),
        .client_name = options.client_name != nullptr ? options.client_name : program_invocation_short_name,
        .connect_timeout_ns = int64_t{timeout_ms} * 1'000'000,
        .sharing = {.window = (options.flags & VACCEL_OPEN_NO_WINDOW) == 0,
                    .rings = (options.flags & VACCEL_OPEN_NO_RINGS) == 0,
                    .spin = (options.flags & VACCEL_OPEN_NO_SPIN) == 0}};
    transport = RemoteTransport::open(std::move(settings), session->completions);
  }
  if (!transport) return Unexpected{transport.error()};
  session->transport = std::move(*transport);
  return session;
}

Result<std::unique_ptr<vaccel_session>> open_anywhere(const vaccel_open_options& options) {
  const std::vector<Candidate> places = candidates(look_around());
  std::vector<Status> failures;
  for (const Candidate& place : places) {
    auto session = open_at(place.endpoint, options);
    if (session) return session;
    failures.push_back(session.error());
    if (!tries_next(failures.back())) break;
  }
  return Unexpected{nothing_found(places, failures)};
}

}  // namespace vaccel::client
