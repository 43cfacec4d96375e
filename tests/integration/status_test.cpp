// SPDX-License-Identifier: Apache-2.0
//
// The status that a live agent tells on its control socket: what tenants and models did, exactly and of each, however many
// there are; and that reading it again and again keeps nobody waiting.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr int kTenants = 300;  // more than have a series of their own in /metrics, and than go into one body

std::string name_of(int number) {
  return "t" + std::to_string(1000 + number);
}

AgentSetup setup_with_tenants() {
  AgentSetup setup{.worker = "count = 2\nthreads = 2"};
  for (int number = 0; number < kTenants; ++number)
    setup.more += "[[tenant]]\nname = \"" + name_of(number) + "\"\nlisten = [\"unix:FOLDER/" +
                  name_of(number) + "\"]\nmax_calls_in_flight = 2\n";
  return setup;
}

class StatusOfAnAgent : public testing::Test {
 protected:
  template <typename Entry>
  std::vector<Entry> read(wire::StatusList list, std::vector<Entry> wire::StatusReport::*entries) {
    std::vector<Entry> all;
    for (;;) {
      const Answer answer =
          control_.ask(next_id_++, wire::ReadStatus{static_cast<uint32_t>(all.size()), list});
      EXPECT_EQ(answer.kind, wire::Kind::kStatus) << answer.text();
      const std::vector<Entry>& part = answer.status.*entries;
      all.insert(all.end(), part.begin(), part.end());
      if (!answer.status.more) return all;
      if (part.empty()) {
        ADD_FAILURE() << "a list without an end";
        return all;
      }
    }
  }
  wire::TenantStatus tenant(const std::string& name) {
    const auto all = read(wire::StatusList::kTenants, &wire::StatusReport::tenants);
    const auto found = std::ranges::find(all, name, &wire::TenantStatus::name);
    return found != all.end() ? *found : wire::TenantStatus{};
  }
  [[nodiscard]] std::string endpoint_of(const std::string& name) const {
    return "unix:" + (agent_.folder() / name).string();
  }

  AgentProcess agent_{setup_with_tenants()};
  RawClient control_{"unix:" + agent_.control()};
  uint64_t next_id_ = 2;
};

TEST_F(StatusOfAnAgent, CountsOfTheLastTenantAsOfTheFirst) {
  for (const int number : {0, kTenants - 1}) {
    const std::string name = name_of(number);
    SCOPED_TRACE(name);
    RawClient client(endpoint_of(name));
    for (uint64_t id = 10; id < 13; ++id)
      EXPECT_TRUE(client.ask(id, call_of("reference.noop")).is_result());
    EXPECT_EQ(client.ask(13, call_of("no.such.operator")).code, VACCEL_NOT_FOUND);
    EXPECT_EQ(client.ask(14, wire::OpenModel{"none"}).code, VACCEL_NOT_FOUND);
    EXPECT_TRUE(client.ask(15, call_with_bytes("vaccel.echo", 1000), some_bytes(1000, 1)).is_result());
    const wire::TenantStatus status = tenant(name);
    EXPECT_EQ(status.sessions, 1u);
    EXPECT_EQ(status.calls, 5u);
    EXPECT_EQ(status.failed_calls, 1u);
    EXPECT_EQ(status.refused, 1u);
    EXPECT_EQ(status.copied_bytes, 2000u);
    EXPECT_EQ(status.weight, 1u);
  }
  EXPECT_EQ(tenant(name_of(1)).calls, 0u);
  EXPECT_TRUE(eventually([&] { return tenant(name_of(0)).sessions == 0; }));
  EXPECT_EQ(tenant(name_of(0)).calls, 5u) << "what it did stays";
}

TEST_F(StatusOfAnAgent, TellsWhatRunsAndWhatWaits) {
  const std::string name = name_of(240);
  RawClient client(endpoint_of(name));
  // Two run at most, of either worker; the tenant may have two.
  for (uint64_t id = 10; id < 12; ++id)
    client.send(id, call_of("reference.delay", {integer("microseconds", 700'000)}));
  EXPECT_TRUE(eventually([&] { return tenant(name).calls_running == 2; }));
  EXPECT_EQ(client.ask(12, call_of("reference.noop")).code, VACCEL_RESOURCE_EXHAUSTED);
  const auto workers = read(wire::StatusList::kWorkers, &wire::StatusReport::worker_list);
  ASSERT_EQ(workers.size(), 2u);
  uint64_t running = 0;
  for (const wire::WorkerStatus& worker : workers) {
    running += worker.calls_running;
    EXPECT_TRUE(worker.ready);
    EXPECT_EQ(worker.threads, 2u);
    EXPECT_EQ(worker.starts, 1u);
    EXPECT_TRUE(is_running(static_cast<pid_t>(worker.pid)));
  }
  EXPECT_EQ(running, 2u);
  EXPECT_TRUE(client.await(10));
  EXPECT_TRUE(client.await(11));
  EXPECT_EQ(tenant(name).refused, 1u);
  const auto backends = read(wire::StatusList::kBackends, &wire::StatusReport::backends);
  EXPECT_NE(std::ranges::find(backends, "reference", &wire::BackendInfo::name), backends.end());
}

TEST_F(StatusOfAnAgent, AnEndlessReaderKeepsNobodyWaiting) {
  RawClient client(endpoint_of(name_of(0)));
  for (int round = 0; round < 200; ++round) {
    EXPECT_GE(read(wire::StatusList::kTenants, &wire::StatusReport::tenants).size(), size_t{kTenants});
    EXPECT_TRUE(client.ask(static_cast<uint64_t>(round) + 10, call_of("vaccel.echo")).is_result());
  }
  // Beyond the end, and no list at all.
  const Answer beyond = control_.ask(5000, wire::ReadStatus{UINT32_MAX, wire::StatusList::kTenants});
  EXPECT_TRUE(beyond.status.tenants.empty() && !beyond.status.more) << beyond.text();
  EXPECT_EQ(control_.ask(5001, wire::ReadStatus{0, static_cast<wire::StatusList>(9)}).code,
            VACCEL_INVALID_ARGUMENT);
}

TEST(StatusOfModels, SaysWhereAModelIsAndWhatItDid) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent({.worker = "count = 2", .catalogue = real_catalogue(), .all_backends = true});
  RawClient control("unix:" + agent.control());
  uint64_t id = 2;
  const auto model = [&](const std::string& name) {
    const Answer answer = control.ask(id++, wire::ReadStatus{0, wire::StatusList::kModels});
    const auto found = std::ranges::find(answer.status.models, name, &wire::ModelStatus::name);
    return found != answer.status.models.end() ? *found : wire::ModelStatus{};
  };
  EXPECT_EQ(model("mobilenet").state, wire::LoadState::kNotLoaded);
  RawClient client(agent.endpoint());
  const Answer opened = client.ask(2, wire::OpenModel{"mobilenet"});
  ASSERT_EQ(opened.kind, wire::Kind::kModelOpened) << opened.text();
  wire::Call call = call_of("infer");
  call.model = opened.model;
  EXPECT_NE(client.ask(3, call).code, VACCEL_OK) << "it has no input";
  const wire::ModelStatus loaded = model("mobilenet");
  EXPECT_EQ(loaded.state, wire::LoadState::kLoaded);
  EXPECT_EQ(loaded.backend, "onnxruntime");
  EXPECT_EQ(loaded.workers.size(), 1u);
  EXPECT_EQ(loaded.calls, 1u);
  EXPECT_EQ(loaded.failed_calls, 1u);
  EXPECT_EQ(model("posenet").state, wire::LoadState::kNotLoaded);
}

}  // namespace
}  // namespace vaccel::integration
