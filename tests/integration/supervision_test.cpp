// SPDX-License-Identifier: Apache-2.0
//
// The agent's watch over its workers: one that hangs is ended, a call that ends workers is kept away from them and the others
// are served, and models come and go with the memory that they may have.
#include <gtest/gtest.h>
#include <sched.h>

#include <csignal>
#include <regex>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kLongUs = 600'000'000;

wire::Call delay(int64_t microseconds) {
  return call_of("reference.delay", {integer("microseconds", microseconds)});
}

wire::Call noop() {
  return call_of("reference.noop");
}

wire::Call fault(const char* kind) {
  return call_of("reference.fault", {text("kind", kind)});
}

AgentSetup with_tenants(const std::string& worker) {
  return {.worker = worker,
          .more =
              "[[tenant]]\nname = \"bad\"\nlisten = [\"unix:FOLDER/bad.sock\"]\n"
              "[[tenant]]\nname = \"good\"\nlisten = [\"unix:FOLDER/good.sock\"]\n"};
}

std::string of(const AgentProcess& agent, const std::string& tenant) {
  return "unix:" + (agent.folder() / (tenant + ".sock")).string();
}

TEST(Supervision, AWorkerThatDoesNotAnswerIsEnded) {
  const AgentProcess agent({.worker = "heartbeat_timeout_ms = 300"});
  RawClient client(agent.endpoint());
  const pid_t before = agent.worker();
  stop_process(before);
  const Answer lost = client.ask(2, noop());
  EXPECT_EQ(lost.code, VACCEL_UNAVAILABLE) << lost.text();
  EXPECT_NE(lost.sentence.find("it has not answered for"), std::string::npos) << lost.sentence;
  EXPECT_TRUE(client.ask(3, noop()).is_result());
  EXPECT_NE(agent.worker(), before);
}

TEST(Supervision, AWorkerAtWorkIsLeftAlone) {
  const AgentProcess agent({.worker = "heartbeat_timeout_ms = 300\nmax_run_ms = 0"});
  RawClient client(agent.endpoint());
  const pid_t before = agent.worker();
  EXPECT_TRUE(client.ask(2, delay(3'000'000)).is_result());
  EXPECT_EQ(agent.worker(), before);
}

// It hears nothing of being cancelled, so its end is the only one.
TEST(Supervision, ACallBeyondItsLimitIsEndedWithItsWorker) {
  const AgentProcess agent(with_tenants("max_run_ms = 1000"));
  RawClient bad(of(agent, "bad"));
  RawClient good(of(agent, "good"));
  bad.send(2, fault("hang"));
  ASSERT_TRUE(bad.ask(3, noop()).is_result());
  const auto lost = bad.await(2);
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->code, VACCEL_UNAVAILABLE) << lost->text();
  EXPECT_NE(lost->sentence.find("a call of tenant 'bad' runs for more than 1000 ms"), std::string::npos)
      << lost->sentence;
  EXPECT_TRUE(good.ask(2, noop()).is_result());
  EXPECT_TRUE(bad.ask(4, noop()).is_result());
}

TEST(Supervision, WhoEndsWorkersAgainAndAgainIsKeptAway) {
  const AgentProcess agent(with_tenants(""));
  RawClient bad(of(agent, "bad"));
  RawClient good(of(agent, "good"));
  for (uint64_t id = 2; id < 5; ++id)
    EXPECT_EQ(bad.ask(id, fault("abort")).code, VACCEL_UNAVAILABLE);
  const Answer refusal = bad.ask(5, fault("abort"));
  EXPECT_EQ(refusal.code, VACCEL_UNAVAILABLE);
  EXPECT_NE(refusal.sentence.find("'operator reference.fault' for tenant 'bad' is in quarantine"),
            std::string::npos)
      << refusal.sentence;
  EXPECT_GT(refusal.retry_after_us, 1'000'000u);
  const pid_t worker = agent.worker();
  EXPECT_TRUE(bad.ask(6, noop()).is_result()) << "its other calls are served";
  EXPECT_EQ(bad.ask(7, fault("error")).code, VACCEL_UNAVAILABLE);
  EXPECT_EQ(good.ask(2, fault("error")).code, VACCEL_INTERNAL) << "others may use it";
  EXPECT_EQ(agent.worker(), worker);
  const Ended released = agent.vaccelctl({"release", "operator reference.fault"});
  EXPECT_EQ(released.status, 0) << released.log;
  EXPECT_EQ(bad.ask(8, fault("error")).code, VACCEL_INTERNAL);
  EXPECT_EQ(agent.vaccelctl({"release", "operator reference.fault"}).status, 3)
      << "nothing is held against it any more";
}

// Two tenants' calls are in the worker that dies, and one of them is at fault: from then on they run apart.
TEST(Supervision, TheOneAtFaultIsTold) {
  const AgentProcess agent(with_tenants(""));
  RawClient bad(of(agent, "bad"));
  RawClient good(of(agent, "good"));
  good.send(2, delay(kLongUs));
  ASSERT_TRUE(good.ask(3, noop()).is_result());
  EXPECT_EQ(bad.ask(2, fault("abort")).code, VACCEL_UNAVAILABLE);
  EXPECT_EQ(good.await(2)->code, VACCEL_UNAVAILABLE) << "the first time nobody can know";
  uint64_t id = 10;
  for (int time = 0; time < 3; ++time) {
    good.send(++id, delay(100'000));
    EXPECT_EQ(bad.ask(id, fault("abort")).code, VACCEL_UNAVAILABLE);
    EXPECT_TRUE(good.await(id)->is_result());
  }
  EXPECT_NE(bad.ask(++id, fault("abort")).sentence.find("is in quarantine"), std::string::npos);
  EXPECT_TRUE(good.ask(++id, delay(1000)).is_result());
  EXPECT_TRUE(bad.ask(++id, delay(1000)).is_result());
}

TEST(Supervision, OneThatIsKilledFromOutsideIsNobodysFault) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  for (uint64_t id = 2; id < 7; ++id) {
    client.send(100 + id, delay(kLongUs));
    ASSERT_TRUE(client.ask(id, noop()).is_result());
    agent.kill_worker();
    EXPECT_EQ(client.await(100 + id)->code, VACCEL_UNAVAILABLE);
  }
  EXPECT_TRUE(client.ask(50, delay(1)).is_result());
}

// ---- Models

class Models : public ::testing::Test {
 protected:
  static AgentSetup setup(const std::string& worker, const std::string& more = "") {
    return {.worker = worker, .more = more, .catalogue = real_catalogue(), .all_backends = true};
  }
  // Opens one, which loads it.
  static void open(RawClient& client, const char* model) {
    const Answer opened = client.ask(id_++, wire::OpenModel{model});
    EXPECT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  }
  static size_t count(const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
      ++found;
    return found;
  }
  static inline uint64_t id_ = 2;
};

TEST_F(Models, TheOneUsedLongestAgoMakesWayAndItsMemoryIsGivenBack) {
  VACCEL_NEEDS_MOBILENET();
  constexpr const char* kModels[] = {"mobilenet", "deeplabv3", "posenet", "ssd-mobilenet", "fastdepth"};
  uint64_t all = 0;
  uint64_t largest = 0;
  int64_t all_kib = 0;
  {
    const AgentProcess agent(setup(""));
    RawClient client(agent.endpoint());
    const int64_t before = private_kib(agent.worker());
    for (const char* model : kModels)
      open(client, model);
    all_kib = private_kib(agent.worker()) - before;
    const std::string log = agent.log();
    const std::regex line("model '[a-z0-9-]+' takes ([0-9]+) bytes");
    for (auto match = std::sregex_iterator(log.begin(), log.end(), line); match != std::sregex_iterator();
         ++match) {
      const uint64_t bytes = std::stoull((*match)[1]);
      all += bytes;
      largest = std::max(largest, bytes);
    }
    EXPECT_EQ(count(log, " takes "), std::size(kModels));
    EXPECT_EQ(count(log, "unloads model"), 0u) << "without a limit all stay";
  }
  const uint64_t limit = std::max(all / 2, largest + largest / 4);
  if (limit > all * 9 / 10) GTEST_SKIP() << "skipped: one model takes nearly all of their memory together";
  const AgentProcess agent(setup("model_memory = " + std::to_string(limit)));
  RawClient client(agent.endpoint());
  const int64_t before = private_kib(agent.worker());
  for (int round = 0; round < 4; ++round) {
    for (const char* model : kModels)
      open(client, model);
  }
  EXPECT_GE(count(agent.log(), "unloads model"), 4u);
  EXPECT_NE(agent.log().find("unloads model 'mobilenet'"), std::string::npos);
  EXPECT_GT(count(agent.log(), "loads model 'mobilenet'"), 1u) << "a call that wants it has it loaded again";
  const int64_t kept_kib = private_kib(agent.worker()) - before;
  RecordProperty("all_kib", std::to_string(all_kib));
  RecordProperty("kept_kib", std::to_string(kept_kib));
  if (!is_sanitized()) {
    EXPECT_LT(kept_kib, 2 * all_kib) << "20 loads, of which the last few are there";
  }
}

TEST_F(Models, OneThatIsTooLargeIsRefused) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(setup("model_memory = \"1M\""));
  RawClient client(agent.endpoint());
  const Answer refused = client.ask(2, wire::OpenModel{"mobilenet"});
  EXPECT_EQ(refused.code, VACCEL_RESOURCE_EXHAUSTED) << refused.text();
  EXPECT_NE(refused.sentence.find("a worker's models may take 1048576 together"), std::string::npos)
      << refused.sentence;
}

TEST_F(Models, ManyThatWaitShareOneLoad) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(setup(""));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int index = 0; index < 8; ++index)
    clients.push_back(std::make_unique<RawClient>(agent.endpoint()));
  for (const auto& client : clients)
    client->send(2, wire::OpenModel{"mobilenet"});
  for (const auto& client : clients)
    EXPECT_EQ(client->await(2)->kind, wire::Kind::kModelOpened);
  EXPECT_EQ(count(agent.log(), "loads model 'mobilenet'"), 1u);
}

TEST_F(Models, SeveralWorkersHaveOneWhenTheyAreToldTo) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(setup("count = 2\ncpus = [\"0\", \"0-1\"]",
                                 "[[model]]\nname = \"mobilenet\"\ninstances = 2\npreload = true\n"));
  EXPECT_TRUE(eventually([&] { return count(agent.log(), "loaded model 'mobilenet'") == 2; }, 60'000));
  for (const pid_t worker : agent.workers()) {
    cpu_set_t set;
    ASSERT_EQ(::sched_getaffinity(worker, sizeof set, &set), 0);
    EXPECT_LE(CPU_COUNT(&set), 2);
    EXPECT_TRUE(CPU_ISSET(0, &set));
  }
}

TEST_F(Models, OneThatIsPreloadedIsLoadedAgainWithItsWorker) {
  VACCEL_NEEDS_MOBILENET();
  AgentProcess agent(setup("", "[[model]]\nname = \"mobilenet\"\npreload = true\n"));
  EXPECT_TRUE(eventually([&] { return count(agent.log(), "loaded model 'mobilenet'") == 1; }, 60'000));
  agent.kill_worker();
  EXPECT_TRUE(eventually([&] { return count(agent.log(), "loaded model 'mobilenet'") == 2; }, 60'000));
  EXPECT_EQ(count(agent.log(), "was not warmed up"), 0u);
}

TEST_F(Models, OneWorkerHasAModelOtherwise) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(setup("count = 2"));
  for (int turn = 0; turn < 4; ++turn) {
    RawClient client(agent.endpoint());
    open(client, "mobilenet");
  }
  EXPECT_EQ(count(agent.log(), "loaded model 'mobilenet'"), 1u);
}

}  // namespace
}  // namespace vaccel::integration
