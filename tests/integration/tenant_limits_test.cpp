// SPDX-License-Identifier: Apache-2.0
//
// Each limit of a tenant, through the agent: with one less than it allows, with all of it, and with one more, which is
// refused by name; nobody else notices, what is given back can be taken again, and what sessions had is their tenant's
// again when they go.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>

#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

constexpr size_t kUnits = 3;  // that the tenant may have
constexpr int64_t kLongUs = 60'000'000;

// One session, and how it takes and gives back.
struct Holder {
  explicit Holder(const std::string& endpoint) : client(endpoint) {}
  RawClient client;
  uint64_t next_id = 2;
};

// A unit that was asked for: the answer, and how to give it back.
struct Asked {
  Answer answer;
  std::function<void()> give_back;

  [[nodiscard]] bool was_taken() const { return answer.kind != wire::Kind::kFailure; }
};

struct Limit {
  const char* name;
  const char* settings;  // of the tenant: so much that kUnits fit
  const char* sentence;  // of the refusal
  std::function<Asked(Holder&)> take;
  std::function<Asked(Holder&)> take_least;  // the least that is one too much; none: as take
  bool needs_model = false;
  std::function<void(Holder&)> prepare;  // a new session

  [[nodiscard]] Asked take_too_much(Holder& holder) const {
    return take_least ? take_least(holder) : take(holder);
  }
};

// ---- The ways to take

// A call that runs for long with so many bytes of input. It has no answer unless it is refused; that comes before the answer
// to what is asked after it.
Asked long_call(Holder& holder, uint64_t bytes) {
  const uint64_t id = holder.next_id++;
  wire::Call call = call_with_bytes("reference.delay", bytes);
  call.attributes.push_back(integer("microseconds", kLongUs));
  holder.client.send(id, call, some_bytes(bytes, 1));
  const Answer later = holder.client.ask(holder.next_id++, wire::Describe{wire::Subject::kServer, "", 0});
  EXPECT_EQ(later.kind, wire::Kind::kDescription) << later.text();
  Asked asked;
  asked.answer.kind = wire::Kind::kCall;
  if (auto refusal = holder.client.await(id, 0)) asked.answer = std::move(*refusal);
  asked.give_back = [&holder, id] {
    holder.client.send(0, wire::Cancel{id});
    const auto answer = holder.client.await(id);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code, VACCEL_CANCELLED) << answer->text();
  };
  return asked;
}

Asked model(Holder& holder) {
  Asked asked{holder.client.ask(holder.next_id++, wire::OpenModel{"mobilenet"}), {}};
  asked.give_back = [&holder, handle = asked.answer.model] {
    EXPECT_EQ(holder.client.ask(holder.next_id++, wire::CloseModel{handle}).kind, wire::Kind::kDone);
  };
  return asked;
}

Asked lease(Holder& holder, uint64_t bytes) {
  Asked asked{holder.client.ask(holder.next_id++, wire::Lease{bytes, 64}), {}};
  asked.give_back = [&holder, offset = asked.answer.leased.offset] {
    holder.client.send(0, wire::Release{{offset}});
  };
  return asked;
}

Asked device_buffer(Holder& holder, uint64_t bytes) {
  Asked asked{holder.client.ask(holder.next_id++, wire::AllocateMemory{"reference", bytes, 0}), {}};
  asked.give_back = [&holder, memory = asked.answer.memory] {
    holder.client.send(0, wire::FreeMemory{memory});
  };
  return asked;
}

void open_window(Holder& holder) {
  const Answer opened = holder.client.ask(holder.next_id++, wire::OpenWindow{true});
  EXPECT_EQ(opened.kind, wire::Kind::kWindowOpened) << opened.text();
}

const Limit kLimits[] = {
    {.name = "CallsInFlight",
     .settings = "max_calls_in_flight = 3",
     .sentence = "tenant 'a' has 3 calls in flight",
     .take = [](Holder& holder) { return long_call(holder, 0); }},
    {.name = "BytesInFlight",
     .settings = "max_bytes_in_flight = 3000",
     .sentence = "tenant 'a' has 3000 bytes",
     .take = [](Holder& holder) { return long_call(holder, 1000); },
     .take_least = [](Holder& holder) { return long_call(holder, 1); }},
    {.name = "ModelsOpen",
     .settings = "max_models_open = 3",
     .sentence = "tenant 'a' has 3 models",
     .take = model,
     .needs_model = true},
    {.name = "Leases",
     .settings = "max_leases = 3",
     .sentence = "tenant 'a' has 3 leases",
     .take = [](Holder& holder) { return lease(holder, 1000); },
     .prepare = open_window},
    {.name = "LeasedBytes",
     .settings = "max_leased_bytes = \"3M\"",
     .sentence = "tenant 'a' has 3145728 bytes",
     .take = [](Holder& holder) { return lease(holder, uint64_t{1} << 20); },
     .take_least = [](Holder& holder) { return lease(holder, 1); },
     .prepare = open_window},
    {.name = "DeviceBuffers",
     .settings = "max_device_buffers = 3",
     .sentence = "tenant 'a' has 3 device buffers",
     .take = [](Holder& holder) { return device_buffer(holder, 100); }},
    {.name = "DeviceBytes",
     .settings = "max_device_bytes = 3000",
     .sentence = "tenant 'a' has 3000 bytes of device buffers",
     .take = [](Holder& holder) { return device_buffer(holder, 1000); },
     .take_least = [](Holder& holder) { return device_buffer(holder, 1); }},
};

AgentSetup setup_with(const std::string& settings_of_a) {
  return {.more = "[[tenant]]\nname = \"a\"\nlisten = [\"unix:FOLDER/a.sock\"]\n" + settings_of_a +
                  "\n[[tenant]]\nname = \"b\"\nlisten = [\"unix:FOLDER/b.sock\"]\n"};
}

std::string of(const AgentProcess& agent, const std::string& tenant) {
  return "unix:" + (agent.folder() / (tenant + ".sock")).string();
}

void expect_refused(const Answer& answer, const std::string& sentence) {
  EXPECT_EQ(answer.code, VACCEL_RESOURCE_EXHAUSTED) << answer.text();
  EXPECT_NE(answer.sentence.find(sentence), std::string::npos) << answer.sentence;
}

class TenantLimit : public ::testing::TestWithParam<Limit> {
 protected:
  void start() {
    AgentSetup setup = setup_with(limit_.settings);
    if (limit_.needs_model) {
      setup.catalogue = real_catalogue();
      setup.all_backends = true;
    }
    agent_ = std::make_unique<AgentProcess>(setup);
  }
  [[nodiscard]] std::unique_ptr<Holder> holder(const char* tenant) const {
    auto made = std::make_unique<Holder>(of(*agent_, tenant));
    if (limit_.prepare) limit_.prepare(*made);
    return made;
  }

  const Limit& limit_ = GetParam();
  std::unique_ptr<AgentProcess> agent_;
};

TEST_P(TenantLimit, HoldsForAllSessionsTogether) {
  if (limit_.needs_model) VACCEL_NEEDS_MOBILENET();
  start();
  const auto one = holder("a");
  auto another = holder("a");
  const auto other = holder("b");
  const Asked first = limit_.take(*one);
  ASSERT_TRUE(first.was_taken()) << first.answer.text();
  for (size_t unit = 1; unit < kUnits; ++unit) {
    SCOPED_TRACE(unit + 1 < kUnits ? "one under" : "at the limit");
    const Asked asked = limit_.take(*another);
    ASSERT_TRUE(asked.was_taken()) << asked.answer.text();
  }
  expect_refused(limit_.take_too_much(*one).answer, limit_.sentence);
  expect_refused(limit_.take_too_much(*another).answer, limit_.sentence);
  for (size_t unit = 0; unit <= kUnits; ++unit)
    EXPECT_TRUE(limit_.take(*other).was_taken()) << "nobody else notices";
  first.give_back();
  std::deque<Asked> again;
  ASSERT_TRUE(eventually([&] {
    Asked asked = limit_.take(*one);
    const bool taken = asked.was_taken();
    if (taken) again.push_back(std::move(asked));
    return taken;
  })) << "what was given back";
  expect_refused(limit_.take_too_much(*another).answer, limit_.sentence);
  another->client.drop();
  again.front().give_back();
  for (size_t unit = 0; unit < kUnits; ++unit)
    EXPECT_TRUE(eventually([&] { return limit_.take(*one).was_taken(); }))
        << "what a session had that has gone";
  expect_refused(limit_.take_too_much(*one).answer, limit_.sentence);
}

INSTANTIATE_TEST_SUITE_P(Each, TenantLimit, ::testing::ValuesIn(kLimits),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(TenantLimits, Sessions) {
  const AgentProcess agent(setup_with("max_sessions = 3"));
  std::vector<std::unique_ptr<RawClient>> sessions;
  for (size_t unit = 0; unit < kUnits; ++unit) {
    sessions.push_back(std::make_unique<RawClient>(of(agent, "a")));
    for (const auto& session : sessions)
      EXPECT_TRUE(session->ask(10 + unit, call_of("reference.noop")).is_result());
  }
  RawClient over(of(agent, "a"), RawClient::Greet::kNo);
  const auto refusal = over.receive();
  ASSERT_TRUE(refusal);
  expect_refused(*refusal, "tenant 'a' has 3 sessions open");
  EXPECT_TRUE(over.is_closed_by_agent());
  RawClient other(of(agent, "b"));
  EXPECT_TRUE(other.ask(2, call_of("reference.noop")).is_result());
  sessions.pop_back();
  EXPECT_TRUE(eventually([&] {
    RawClient next(of(agent, "a"), RawClient::Greet::kNo);
    return next.ask(1, wire::Hello{}).kind == wire::Kind::kWelcome;
  }));
}

// So slow that no other call is earned while the test runs.
TEST(TenantLimits, CallsThatMayComeAtOnce) {
  const AgentProcess agent(setup_with("calls_per_second = 0.001\nburst = 3"));
  RawClient one(of(agent, "a"));
  RawClient another(of(agent, "a"));
  EXPECT_TRUE(one.ask(2, call_of("reference.noop")).is_result());
  EXPECT_TRUE(another.ask(2, call_of("reference.noop")).is_result());
  EXPECT_TRUE(another.ask(3, call_of("vaccel.discard")).is_result()) << "the agent's own are counted, too";
  for (RawClient* client : {&one, &another}) {
    const Answer refusal = client->ask(10, call_of("reference.noop"));
    expect_refused(refusal, "tenant 'a' is over its 0.001 calls per second");
    EXPECT_GT(refusal.retry_after_us, 900'000'000u);
    EXPECT_LE(refusal.retry_after_us, 1'000'000'000u);
  }
  RawClient other(of(agent, "b"));
  for (uint64_t id = 2; id < 10; ++id)
    EXPECT_TRUE(other.ask(id, call_of("reference.noop")).is_result());
}

}  // namespace
}  // namespace vaccel::integration
