// SPDX-License-Identifier: Apache-2.0
//
// How an agent ends: in order on SIGTERM, at once on a second one, and leaving nothing behind.
#include <gtest/gtest.h>

#include <csignal>

#include "channel/socket.h"
#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kLongUs = 60'000'000;

wire::Call delay(int64_t microseconds) {
  return call_of("reference.delay", {integer("microseconds", microseconds)});
}

void expect_nobody_listens(const std::string& text) {
  const auto endpoint = channel::parse_endpoint(text).value();
  EXPECT_TRUE(eventually([&] { return !channel::connect_to(endpoint, now_ns() + 1'000'000'000); }));
}

TEST(Shutdown, CallsInFlightAreFinishedAndNewOnesRefused) {
  const std::string tcp = "tcp:127.0.0.1:" + std::to_string(free_tcp_port());
  AgentProcess agent({.listen = {tcp}});
  RawClient client(agent.endpoint());
  RawClient idle(agent.endpoint());
  const auto bytes = some_bytes(300'000, 1);
  client.send(2, delay(1'500'000));
  // A call whose payload is on its way counts as one in flight.
  client.announce(3, call_with_bytes("reference.checksum", bytes.size()), bytes.size());
  client.send_bytes(std::span(bytes).first(100'000));
  ASSERT_TRUE(idle.ask(2, call_of("reference.noop")).is_result());
  const Stopwatch watch;
  agent.signal(SIGTERM);
  EXPECT_TRUE(idle.is_closed_by_agent());
  expect_nobody_listens(agent.endpoint());
  expect_nobody_listens(tcp);
  EXPECT_FALSE(std::filesystem::exists(agent.socket()));
  client.send_bytes(std::span(bytes).subspan(100'000));
  const auto sum = client.await(3);
  ASSERT_TRUE(sum && sum->is_result());
  EXPECT_EQ(sum->sum(), sum_of(bytes));
  for (uint64_t id = 4; id < 10; id += 3) {
    EXPECT_EQ(client.ask(id, call_of("reference.noop")).code, VACCEL_UNAVAILABLE);
    EXPECT_EQ(client.ask(id + 1, call_of("vaccel.echo")).code, VACCEL_UNAVAILABLE);
    const Answer refused = client.ask(id + 2, wire::OpenModel{"none"});
    EXPECT_EQ(refused.code, VACCEL_UNAVAILABLE) << refused.text();
    EXPECT_NE(refused.sentence.find("shutting down"), std::string::npos) << refused.sentence;
  }
  const auto answer = client.await(2);
  ASSERT_TRUE(answer && answer->is_result());
  EXPECT_TRUE(client.is_closed_by_agent());
  EXPECT_EQ(agent.wait_for_end(), 0);
  EXPECT_GT(watch.elapsed_ns(), 1'000'000'000u);
}

TEST(Shutdown, ResultsThatAreBeingTakenAreTakenWhole) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  const auto bytes = some_bytes(6 << 20, 1);
  ASSERT_TRUE(client.send(2, call_with_bytes("reference.echo", bytes.size()), bytes));
  agent.signal(SIGTERM);
  const auto answer = client.await(2);
  ASSERT_TRUE(answer && answer->is_result());
  EXPECT_EQ(answer->output(0), bytes);
  EXPECT_EQ(agent.wait_for_end(), 0);
}

TEST(Shutdown, ASecondSignalEndsItAtOnce) {
  AgentProcess agent({.worker = "threads = 1"});
  RawClient client(agent.endpoint());
  const auto bytes = some_bytes(100'000, 1);
  client.send(2, delay(kLongUs));
  for (uint64_t id = 3; id < 20; ++id)  // queued, with memory of their own
    client.send(id, call_with_bytes("reference.checksum", bytes.size()), bytes);
  ASSERT_TRUE(client.ask(20, call_of("vaccel.echo")).is_result());
  agent.signal(SIGTERM);
  uint64_t id = 21;  // until it has heard it
  ASSERT_TRUE(
      eventually([&] { return client.ask(id++, call_of("vaccel.echo")).code == VACCEL_UNAVAILABLE; }));
  const Stopwatch watch;
  agent.signal(SIGINT);
  EXPECT_EQ(agent.wait_for_end(), 0);
  EXPECT_LT(watch.elapsed_ns(), 2'000'000'000u);
  EXPECT_TRUE(client.is_closed_by_agent());
}

TEST(Shutdown, ItDoesNotWaitForEver) {
  AgentProcess agent({.limits = "shutdown_timeout_ms = 300"});
  RawClient client(agent.endpoint());
  client.send(2, delay(kLongUs));
  ASSERT_TRUE(client.ask(3, call_of("reference.noop")).is_result());
  const Stopwatch watch;
  agent.signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_end(), 0);
  EXPECT_GE(watch.elapsed_ns(), 300'000'000u);
  EXPECT_LT(watch.elapsed_ns(), 5'000'000'000u);
  EXPECT_NE(agent.log().find("did not finish in time"), std::string::npos);
}

TEST(Shutdown, ACallThatEndsTheWorkerWhileTheAgentShutsDownIsAnswered) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  client.send(2, delay(kLongUs));
  ASSERT_TRUE(client.ask(3, call_of("reference.noop")).is_result());
  agent.signal(SIGTERM);
  uint64_t id = 4;
  ASSERT_TRUE(
      eventually([&] { return client.ask(id++, call_of("vaccel.echo")).code == VACCEL_UNAVAILABLE; }));
  agent.kill_worker();
  EXPECT_EQ(client.await(2)->code, VACCEL_UNAVAILABLE);
  EXPECT_EQ(agent.wait_for_end(), 0);
}

TEST(Shutdown, AKilledAgentTakesItsWorkersWithItAndTheNextOneItsPlace) {
  AgentProcess agent;
  for (int turn = 0; turn < 3; ++turn) {
    expect_serves(agent.endpoint());
    agent.kill();  // looks at the workers
    EXPECT_TRUE(std::filesystem::exists(agent.socket())) << "left behind, as by a crash";
    agent.start();
  }
  expect_serves(agent.endpoint());
}

TEST(Shutdown, WithNothingToDoItEndsAtOnce) {
  AgentProcess agent;
  const Stopwatch watch;
  agent.stop();
  EXPECT_LT(watch.elapsed_ns(), 5'000'000'000u);
}

}  // namespace
}  // namespace vaccel::integration
