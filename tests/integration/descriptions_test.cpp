// SPDX-License-Identifier: Apache-2.0
//
// What an agent says of operators and of a model's own words, through library, agent and worker; and frame by frame.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

Given<OperatorListPtr> operators_of(const Session& session) {
  return given<OperatorListPtr>(
      [&](vaccel_operator_list** place) { return vaccel_operators(session.get(), place); });
}

std::set<std::string> names_in(const vaccel_operator_list& list) {
  std::set<std::string> names;
  for (const vaccel_operator* one : std::span(list.operators, list.count))
    EXPECT_TRUE(names.insert(one->name).second) << one->name << " is there twice";
  return names;
}

TEST(Operators, AreListedAndEachCanBeCalled) {
  const AgentProcess agent(AgentSetup{});
  const Session session(agent.endpoint());
  const auto list = operators_of(session);
  ASSERT_TRUE(list.ok()) << list.text();
  const std::set<std::string> names = names_in(*list.value);
  for (const char* name :
       {"classify", "infer", "gemm", "max", "reference.fill", "vaccel.echo", "vaccel.discard"})
    EXPECT_TRUE(names.contains(name)) << name;
  const std::span operators(list.value->operators, list.value->count);
  EXPECT_TRUE(std::is_sorted(operators.begin(), operators.end(), [](const auto* left, const auto* right) {
    return std::string(left->name) < right->name;
  }));
  for (const std::string& name : names) {
    const auto called = session.call(name.c_str());
    EXPECT_NE(called.status, VACCEL_NOT_FOUND) << called.text();
  }
  const auto gemm = std::find_if(operators.begin(), operators.end(),
                                 [](const auto* one) { return std::string(one->name) == "gemm"; });
  bool offers_doubles = false;
  for (const vaccel_operator_backend& offer : std::span((*gemm)->backends, (*gemm)->backend_count))
    offers_doubles |=
        std::string(offer.name) == "reference" && offer.dtype == VACCEL_FLOAT64 && offer.score > 0;
  EXPECT_TRUE(offers_doubles);
}

// The agent knows them while no worker runs, and again from the next one.
TEST(Operators, AreKnownWhileAWorkerIsAway) {
  AgentProcess agent(AgentSetup{});
  const Session session(agent.endpoint());
  const auto before = operators_of(session);
  ASSERT_TRUE(before.ok()) << before.text();
  agent.kill_worker();
  const auto after = operators_of(session);
  ASSERT_TRUE(after.ok()) << after.text();
  EXPECT_EQ(names_in(*after.value), names_in(*before.value));
}

TEST(Operators, AreLeftOutFromTheStartOn) {
  const AgentProcess agent(AgentSetup{});
  RawClient client(agent.endpoint());
  const Answer all = client.ask(2, wire::Describe{wire::Subject::kOperators, "", 0});
  ASSERT_EQ(all.kind, wire::Kind::kDescription) << all.text();
  ASSERT_GT(all.description.operators.size(), 10u);
  const auto count = static_cast<uint32_t>(all.description.operators.size());
  const Answer last = client.ask(3, wire::Describe{wire::Subject::kOperators, "", count - 1});
  ASSERT_EQ(last.description.operators.size(), 1u);
  EXPECT_EQ(last.description.operators[0].name, all.description.operators.back().name);
  for (const uint32_t start : {count, count + 1, UINT32_MAX}) {
    const Answer beyond = client.ask(4, wire::Describe{wire::Subject::kOperators, "", start});
    EXPECT_EQ(beyond.kind, wire::Kind::kDescription) << beyond.text();
    EXPECT_TRUE(beyond.description.operators.empty());
    EXPECT_FALSE(beyond.description.more);
  }
}

TEST(Metadata, OfAModelIsToldOnceItIsDescribed) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  const Session session(agent.endpoint());
  const auto model = given<ModelPtr>(
      [&](vaccel_model** place) { return vaccel_model_describe(session.get(), "mobilenet", place); });
  ASSERT_TRUE(model.ok()) << model.text();
  std::map<std::string, std::string> said;
  for (const vaccel_metadata& pair : std::span(model.value->metadata, model.value->metadata_count))
    said[pair.key] = pair.value;
  EXPECT_TRUE(said.contains("producer")) << said.size();
  EXPECT_TRUE(said.contains("graph"));
  const auto list =
      given<ModelListPtr>([&](vaccel_model_list** models) { return vaccel_models(session.get(), models); });
  ASSERT_TRUE(list.ok()) << list.text();
  for (const vaccel_model* one : std::span(list.value->models, list.value->count))
    EXPECT_EQ(one->metadata_count, 0u) << one->name;
}

}  // namespace
}  // namespace vaccel::integration
