// SPDX-License-Identifier: Apache-2.0
//
// What a program sees when the agent, or a worker, goes away under it: the call in flight fails as UNAVAILABLE and is
// not run again, the next one works on the same session.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kLongUs = 60'000'000;

void expect_works(const Session& session) {
  const auto bytes = some_bytes(100'000, 1);
  const auto sum = session.call("reference.checksum", {}, {bytes_tensor(bytes)});
  ASSERT_TRUE(sum.ok()) << sum.text();
  EXPECT_EQ(sum_in(*sum.value), sum_of(bytes));
}

TEST(Restart, AKilledAgentFailsWhatIsInFlightAndTheNextCallReconnects) {
  // One thread: a call that was sent again to the next agent would block every other there.
  AgentProcess agent({.worker = "threads = 1"});
  const Session session(agent.endpoint());
  for (int turn = 0; turn < 3; ++turn) {
    auto request = session.submit("reference.delay", {int_attribute("microseconds", kLongUs)});
    ASSERT_TRUE(request.ok()) << request.text();
    ASSERT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK);  // the agent has it
    agent.kill();
    EXPECT_EQ(vaccel_wait(request.value.get(), 0), VACCEL_UNAVAILABLE) << vaccel_error_message();
    const auto refused = session.call("reference.noop");
    EXPECT_EQ(refused.status, VACCEL_UNAVAILABLE) << refused.text();
    agent.start();
    expect_works(session);
  }
}

TEST(Restart, AThreadThatWaitsIsWoken) {
  AgentProcess agent;
  const Session session(agent.endpoint());
  Given<OutputsPtr> first;
  Given<OutputsPtr> second;
  {
    std::jthread one(
        [&] { first = session.call("reference.delay", {int_attribute("microseconds", kLongUs)}); });
    std::jthread other(
        [&] { second = session.call("reference.delay", {int_attribute("microseconds", kLongUs)}); });
    expect_works(session);
    agent.kill();
  }
  EXPECT_EQ(first.status, VACCEL_UNAVAILABLE) << first.text();
  EXPECT_EQ(second.status, VACCEL_UNAVAILABLE) << second.text();
}

TEST(Restart, ACallThatKilledItsWorkerIsNotRunTwice) {
  const AgentProcess agent;
  const Session session(agent.endpoint());
  for (int turn = 0; turn < 2; ++turn) {
    const auto failed = session.call("reference.fault", {text_attribute("kind", "abort")});
    EXPECT_EQ(failed.status, VACCEL_UNAVAILABLE) << failed.text();
    EXPECT_TRUE(failed.says("not run again")) << failed.text();
    expect_works(session);
  }
  // Each run would have taken a worker with it.
  const std::string log = agent.log();
  size_t deaths = 0;
  for (size_t at = log.find(", was killed by signal 6"); at != std::string::npos;
       at = log.find(", was killed by signal 6", at + 1))
    ++deaths;
  EXPECT_EQ(deaths, 2u) << log;
}

TEST(Restart, CallsOfManyThreadsEndRightWhileTheAgentComesAndGoes) {
  AgentProcess agent;
  const Session session(agent.endpoint());
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> good = 0;
  {
    std::vector<std::jthread> threads;
    for (uint32_t index = 0; index < 4; ++index) {
      threads.emplace_back([&, index] {
        for (uint32_t turn = 0; !stop; ++turn) {
          const auto bytes = some_bytes(turn * 101 % 50'000, index * 10'000 + turn);
          const auto sum = session.call("reference.checksum", {}, {bytes_tensor(bytes)});
          if (sum.ok()) {
            ASSERT_EQ(sum_in(*sum.value), sum_of(bytes));
            ++good;
          } else {
            ASSERT_EQ(sum.status, VACCEL_UNAVAILABLE) << sum.text();
          }
        }
      });
    }
    for (int turn = 0; turn < 4; ++turn) {
      const uint64_t before = good;
      EXPECT_TRUE(eventually([&] { return good > before + 50; })) << "the calls do not come through again";
      if (turn % 2 == 0) {
        agent.kill();
      } else {
        agent.stop();
      }
      agent.start();
    }
    const uint64_t before = good;
    EXPECT_TRUE(eventually([&] { return good > before + 50; }));
    stop = true;
  }
  expect_works(session);
}

TEST(Restart, ModelsAreThereAgain) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  const Session session(agent.endpoint());
  const auto image = file_bytes(photo("chelsea.png"));
  for (int turn = 0; turn < 2; ++turn) {
    const auto classes = session.classify("mobilenet", image);
    ASSERT_TRUE(classes.ok()) << classes.text();
    EXPECT_STREQ(classes.value->items[0].label, "Egyptian cat");
    agent.kill();
    agent.start();
  }
  const auto after_restart = session.classify("mobilenet", image);
  ASSERT_TRUE(after_restart.ok()) << after_restart.text();
  agent.kill_worker();
  const auto after_worker = session.classify("mobilenet", image);
  ASSERT_TRUE(after_worker.ok()) << after_worker.text();
  EXPECT_STREQ(after_worker.value->items[0].label, "Egyptian cat");
}

TEST(Restart, AShutDownAgentIsSaidToBeUnavailable) {
  AgentProcess agent;
  const Session session(agent.endpoint());
  auto running = session.submit("reference.delay", {int_attribute("microseconds", 700'000)});
  ASSERT_TRUE(running.ok());
  expect_works(session);
  agent.signal(SIGTERM);
  Given<OutputsPtr> refused;
  EXPECT_TRUE(eventually([&] {
    return (refused = session.call("reference.noop")).status == VACCEL_UNAVAILABLE;
  })) << refused.text();
  EXPECT_EQ(vaccel_wait(running.value.get(), 0), VACCEL_OK) << vaccel_error_message();
  EXPECT_EQ(agent.wait_for_end(), 0);
  const auto gone = session.call("reference.noop");
  EXPECT_EQ(gone.status, VACCEL_UNAVAILABLE) << gone.text();
  agent.start();
  expect_works(session);
}

}  // namespace
}  // namespace vaccel::integration
