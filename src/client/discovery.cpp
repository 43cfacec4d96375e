// SPDX-License-Identifier: Apache-2.0
#include "client/discovery.h"

#include <unistd.h>

#include <cstdlib>

#include "channel/endpoint.h"

namespace vaccel::client {

Surroundings look_around() {
  Surroundings seen;
  if (const char* variable = ::secure_getenv("VACCEL_ENDPOINT"); variable != nullptr && *variable != '\0')
    seen.variable = variable;
  seen.agent_socket = ::access(channel::kDefaultUnixSocket, F_OK) == 0;
  seen.vsock_device = ::access("/dev/vsock", F_OK) == 0;
  return seen;
}

std::vector<Candidate> candidates(const Surroundings& surroundings) {
  if (surroundings.variable) return {{*surroundings.variable, "from VACCEL_ENDPOINT"}};
  std::vector<Candidate> places;
  if (surroundings.agent_socket)
    places.push_back({std::string("unix:") + channel::kDefaultUnixSocket, "the agent's default socket"});
  if (surroundings.vsock_device) {
    const channel::Endpoint host{.scheme = channel::Endpoint::Scheme::kVsock,
                                 .path = {},
                                 .host = {},
                                 .cid = channel::kHostCid,
                                 .port = channel::kDefaultPort};
    places.push_back({host.text(), "the host of this VM"});
  }
  places.push_back({"local:", "in this process"});
  return places;
}

bool tries_next(const Status& failure) {
  return failure.code() == VACCEL_UNAVAILABLE || failure.code() == VACCEL_NOT_FOUND ||
         failure.code() == VACCEL_DEADLINE_EXCEEDED;
}

Status nothing_found(const std::vector<Candidate>& tried, const std::vector<Status>& failures) {
  if (failures.size() == 1)
    return failures.front().within(tried.front().endpoint + " (" + tried.front().reason + ")");
  std::string sentence = "no agent was found, and no runtime in this process;";
  for (size_t index = 0; index < failures.size(); ++index) {
    sentence += index == 0 ? " tried " : "; then ";
    sentence += tried[index].endpoint + " (" + tried[index].reason + "): " + failures[index].message();
  }
  return {failures.back().code(), std::move(sentence)};
}

}  // namespace vaccel::client
