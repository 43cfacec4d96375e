// SPDX-License-Identifier: Apache-2.0
//
// Workers that die: what they had under way fails as UNAVAILABLE and is not run again, everything else goes on, and
// another worker is there at once, or after a pause when it keeps dying.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <csignal>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kLongUs = 60'000'000;

wire::Call delay(int64_t microseconds) {
  return call_of("reference.delay", {integer("microseconds", microseconds)});
}

// Returns once the calls sent before it on this session are with the worker, which has a hand free for it.
void wait_for_worker(RawClient& client) {
  ASSERT_TRUE(client.ask(1'000'000, call_of("reference.noop")).is_result());
}

void expect_unavailable(RawClient& client, uint64_t id, const std::string& how) {
  const auto answer = client.await(id);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, VACCEL_UNAVAILABLE) << answer->text();
  EXPECT_NE(answer->sentence.find(how), std::string::npos) << answer->sentence;
}

TEST(Workers, AKilledWorkerFailsItsCallAndTheNextOneWorks) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  RawClient other(agent.endpoint());
  client.send(2, delay(kLongUs));
  other.send(2, delay(kLongUs));
  wait_for_worker(client);
  wait_for_worker(other);
  const pid_t before = agent.worker();
  agent.kill_worker();
  expect_unavailable(client, 2, "was killed by signal 9");
  expect_unavailable(other, 2, "it was not run again");
  const Stopwatch watch;
  EXPECT_TRUE(client.ask(3, call_of("reference.noop")).is_result());
  EXPECT_TRUE(other.ask(3, call_of("reference.noop")).is_result());
  if (!is_sanitized()) {
    EXPECT_LT(watch.elapsed_ns(), 1'000'000'000u);
  }
  EXPECT_NE(agent.worker(), before);
  expect_serves(agent.endpoint());
}

TEST(Workers, ACallThatCrashesTheWorkerIsToldHow) {
  const AgentProcess agent;
  RawClient client(agent.endpoint());
  uint64_t id = 2;
  // A failure that is told is none of the worker's.
  const pid_t worker = agent.worker();
  const Answer answer =
      client.ask(id++, call_of("reference.fault", {text("kind", "error"), text("message", "as asked")}));
  EXPECT_EQ(answer.code, VACCEL_INTERNAL);
  EXPECT_NE(answer.sentence.find("as asked"), std::string::npos) << answer.sentence;
  EXPECT_EQ(agent.worker(), worker);
  for (const auto& [kind, how] :
       {std::pair{"abort", "was killed by signal 6"}, std::pair{"exit", "exited with status 3"},
        std::pair{"segfault", is_sanitized() ? "the worker" : "was killed by signal 11"}}) {
    client.send(id, call_of("reference.fault", {text("kind", kind)}));
    expect_unavailable(client, id++, how);
    EXPECT_TRUE(client.ask(id++, call_of("reference.noop")).is_result());
  }
}

TEST(Workers, QueuedCallsWaitForTheNextWorker) {
  AgentProcess agent({.worker = "threads = 1"});
  RawClient client(agent.endpoint());
  const auto bytes = some_bytes(300'000, 1);
  ASSERT_TRUE(client.ask(2, call_of("reference.noop")).is_result());
  client.send(3, delay(kLongUs));
  client.send(4, call_with_bytes("reference.checksum", bytes.size()), bytes);
  ASSERT_TRUE(client.ask(5, call_of("vaccel.echo")).is_result());  // both are queued or running
  agent.kill_worker();
  expect_unavailable(client, 3, "was killed by signal 9");
  const auto sum = client.await(4);
  ASSERT_TRUE(sum && sum->is_result());
  EXPECT_EQ(sum->sum(), sum_of(bytes));
}

TEST(Workers, OneWorkersEndIsNotAnothers) {
  AgentProcess agent({.worker = "count = 2"});
  RawClient client(agent.endpoint());
  ASSERT_EQ(agent.workers().size(), 2u);
  client.send(2, delay(1'500'000));
  client.send(3, delay(1'500'000));  // the other worker's: the least busy one gets it
  wait_for_worker(client);
  ASSERT_EQ(::kill(agent.workers().front(), SIGKILL), 0);
  const auto one = client.await(2);
  const auto other = client.await(3);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->is_result() + other->is_result(), 1) << one->text() << " and " << other->text();
  EXPECT_EQ(one->code + other->code, VACCEL_UNAVAILABLE);
  EXPECT_TRUE(eventually([&] { return agent.workers().size() == 2; }));
}

TEST(Workers, OneThatKeepsDyingIsBackedOffAndComesBack) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  const Stopwatch watch;
  for (uint64_t id = 2; id < 8; ++id) {
    client.send(id, delay(kLongUs));
    wait_for_worker(client);
    agent.kill_worker();
    expect_unavailable(client, id, "was killed by signal 9");
  }
  // 0, 50, 100, 200 and 400 ms before the second to sixth start.
  EXPECT_GT(watch.elapsed_ns(), 700'000'000u);
  EXPECT_NE(agent.log().find("is started again in 400 ms"), std::string::npos);
  // While it is away, the agent and what needs no worker go on.
  const Stopwatch echo;
  EXPECT_TRUE(client.ask(20, call_of("vaccel.echo")).is_result());
  EXPECT_LT(echo.elapsed_ns(), 400'000'000u);
  EXPECT_TRUE(client.ask(21, call_of("reference.noop")).is_result());
  expect_serves(agent.endpoint());
}

TEST(Workers, AStoppedWorkerDelaysNeitherTheAgentNorDeadlines) {
  const AgentProcess agent;
  RawClient client(agent.endpoint());
  wait_for_worker(client);
  const pid_t worker = agent.worker();
  stop_process(worker);
  const Stopwatch watch;
  wire::Call call = call_of("reference.noop");
  call.timeout_us = 200'000;
  const Answer late = client.ask(2, call);
  EXPECT_EQ(late.code, VACCEL_DEADLINE_EXCEEDED) << late.text();
  EXPECT_GE(watch.elapsed_ns(), 200'000'000u);
  EXPECT_LT(watch.elapsed_ns(), 1'500'000'000u);
  EXPECT_TRUE(client.ask(3, call_of("vaccel.echo")).is_result());
  ASSERT_EQ(::kill(worker, SIGCONT), 0);
  EXPECT_TRUE(client.ask(4, call_of("reference.noop")).is_result());
}

TEST(Workers, ResultsThatAreBeingSentOutliveTheirWorker) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  const auto bytes = some_bytes(8 << 20, 1);
  ASSERT_TRUE(client.send(2, call_with_bytes("reference.echo", bytes.size()), bytes));
  // Not read yet: most of it is still in the worker's segment when the worker goes.
  pollfd readable{client.fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 20'000), 1);
  RawClient other(agent.endpoint());
  wait_for_worker(other);
  agent.kill_worker();
  wait_for_worker(other);
  const auto answer = client.await(2);
  ASSERT_TRUE(answer && answer->is_result());
  EXPECT_EQ(answer->output(0), bytes);
}

TEST(Workers, DyingWhileItLoadsAModelFailsThoseWhoWaitForIt) {
  VACCEL_NEEDS_MOBILENET();
  AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  RawClient client(agent.endpoint());
  RawClient other(agent.endpoint());
  wait_for_worker(client);
  // A worker that is stopped is one that loads for ever.
  ASSERT_EQ(::kill(agent.worker(), SIGSTOP), 0);
  client.send(2, wire::OpenModel{"mobilenet"});
  other.send(2, wire::OpenModel{"mobilenet"});
  other.send(3, wire::Describe{wire::Subject::kModel, "mobilenet", 0});
  ASSERT_TRUE(client.ask(4, call_of("vaccel.echo")).is_result());
  ASSERT_TRUE(other.ask(4, call_of("vaccel.echo")).is_result());
  agent.kill_worker();
  expect_unavailable(client, 2, "while it loaded the model");
  expect_unavailable(other, 2, "while it loaded the model");
  expect_unavailable(other, 3, "while it loaded the model");
  EXPECT_EQ(client.ask(5, wire::OpenModel{"mobilenet"}).kind, wire::Kind::kModelOpened);
  EXPECT_EQ(other.ask(5, wire::OpenModel{"mobilenet"}).kind, wire::Kind::kModelOpened);
}

TEST(Workers, OpenModelsOutliveTheirWorker) {
  VACCEL_NEEDS_MOBILENET();
  AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  RawClient client(agent.endpoint());
  const Answer opened = client.ask(2, wire::OpenModel{"mobilenet"});
  ASSERT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  agent.kill_worker();
  wire::Call call = call_with_bytes("classify", 100);
  call.model = opened.model;
  call.attributes.push_back(integer("top", 1));
  call.inputs[0].name = "image";
  const Answer answer = client.ask(3, call, some_bytes(100, 1));
  EXPECT_EQ(answer.code, VACCEL_INVALID_ARGUMENT) << answer.text();  // it got as far as the image
}

TEST(Workers, AnAgentWithoutAWorkerProgramDoesNotStart) {
  const Ended missing = AgentProcess::run_to_end({.worker = "program = \"nowhere/vaccel-worker\""});
  EXPECT_EQ(missing.status, 2);
  EXPECT_NE(missing.log.find("no worker program at"), std::string::npos) << missing.log;
  const Ended useless = AgentProcess::run_to_end({.worker = "program = \"/bin/false\""});
  EXPECT_EQ(useless.status, 1);
  EXPECT_NE(useless.log.find("exited with status 1"), std::string::npos) << useless.log;
  const Ended not_executable = AgentProcess::run_to_end({.worker = "program = \"/etc/passwd\""});
  EXPECT_EQ(not_executable.status, 1);
  EXPECT_NE(not_executable.log.find("/etc/passwd: cannot run it: Permission denied"), std::string::npos)
      << not_executable.log;
}

}  // namespace
}  // namespace vaccel::integration
