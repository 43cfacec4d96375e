// SPDX-License-Identifier: Apache-2.0
#include "client/discovery.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "client/client_testing.h"

namespace vaccel::client {
namespace {

std::vector<std::string> places(const Surroundings& surroundings) {
  std::vector<std::string> endpoints;
  for (const Candidate& candidate : candidates(surroundings))
    endpoints.push_back(candidate.endpoint);
  return endpoints;
}

using Places = std::vector<std::string>;

TEST(DiscoveryTest, TriesTheVariableAlone) {
  EXPECT_EQ(places({.variable = "unix:/x", .agent_socket = true, .vsock_device = true}), Places{"unix:/x"});
}

TEST(DiscoveryTest, TriesTheNearestFirstAndThisProcessLast) {
  EXPECT_EQ(places({}), Places{"local:"});
  EXPECT_EQ(places({.variable = {}, .agent_socket = true, .vsock_device = false}),
            (Places{"unix:/run/vaccel/agent.sock", "local:"}));
  EXPECT_EQ(places({.variable = {}, .agent_socket = false, .vsock_device = true}),
            (Places{"vsock:2:4411", "local:"}));
  EXPECT_EQ(places({.variable = {}, .agent_socket = true, .vsock_device = true}),
            (Places{"unix:/run/vaccel/agent.sock", "vsock:2:4411", "local:"}));
}

TEST(DiscoveryTest, GoesOnWhereNobodyWasAndStopsAtARefusal) {
  EXPECT_TRUE(tries_next({VACCEL_UNAVAILABLE, "x"}));
  EXPECT_TRUE(tries_next({VACCEL_DEADLINE_EXCEEDED, "x"}));
  EXPECT_FALSE(tries_next({VACCEL_PERMISSION_DENIED, "x"}));
  EXPECT_FALSE(tries_next({VACCEL_RESOURCE_EXHAUSTED, "x"}));
  EXPECT_FALSE(tries_next({VACCEL_PROTOCOL_ERROR, "x"}));
}

TEST(DiscoveryTest, TellsOfEachPlaceThatWasTried) {
  const auto tried = candidates({.variable = {}, .agent_socket = true, .vsock_device = true});
  const Status status = nothing_found(tried, {{VACCEL_UNAVAILABLE, "refused"},
                                              {VACCEL_UNAVAILABLE, "no device"},
                                              {VACCEL_UNAVAILABLE, "no library"}});
  EXPECT_EQ(status.code(), VACCEL_UNAVAILABLE);
  EXPECT_EQ(status.message(),
            "no agent was found, and no runtime in this process; tried unix:/run/vaccel/agent.sock (the "
            "agent's default "
            "socket): refused; then vsock:2:4411 (the host of this VM): no device; then local: (in this "
            "process): no "
            "library");
}

TEST(DiscoveryTest, UsesTheVariable) {
  const TestServer server;
  const std::string before = std::getenv("VACCEL_ENDPOINT") != nullptr ? std::getenv("VACCEL_ENDPOINT") : "";
  ::setenv("VACCEL_ENDPOINT", server.endpoint().c_str(), 1);
  vaccel_session* session = nullptr;
  EXPECT_EQ(vaccel_open(nullptr, nullptr, &session), VACCEL_OK) << vaccel_error_message();
  EXPECT_EQ(vaccel_session_endpoint(session), server.endpoint());
  vaccel_close(session);
  ::setenv("VACCEL_ENDPOINT", "unix:/nonexistent/agent", 1);
  EXPECT_EQ(vaccel_open(nullptr, nullptr, &session), VACCEL_UNAVAILABLE);
  EXPECT_TRUE(
      std::string(vaccel_error_message()).starts_with("unix:/nonexistent/agent (from VACCEL_ENDPOINT): "))
      << vaccel_error_message();
  ::setenv("VACCEL_ENDPOINT", before.c_str(), 1);
}

}  // namespace
}  // namespace vaccel::client
