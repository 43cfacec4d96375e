// SPDX-License-Identifier: Apache-2.0
//
// The log of a live agent: whose each line is, and that no client fills it, breaks its lines or writes lines of its own.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/agent_process.h"
#include "support/raw_client.h"

namespace vaccel::integration {
namespace {

using Json = nlohmann::json;

constexpr const char* kHostile = "x\"}\n{\"level\":\"error\",\"message\":\"forged\"}\r\x1b[2J\xff";

// Fails the test at a line that is no object.
std::vector<Json> lines_of(const AgentProcess& agent) {
  std::vector<Json> lines;
  std::istringstream log(agent.log());
  for (std::string line; std::getline(log, line);) {
    Json json = Json::parse(line, nullptr, false);
    EXPECT_TRUE(json.is_object() && json.contains("time") && json.contains("level") &&
                json.contains("message"))
        << line;
    if (json.is_object()) lines.push_back(std::move(json));
  }
  return lines;
}

std::vector<Json> lines_with(const AgentProcess& agent, const std::string& words) {
  std::vector<Json> lines = lines_of(agent);
  std::erase_if(lines, [&](const Json& line) {
    return line["message"].get<std::string>().find(words) == std::string::npos;
  });
  return lines;
}

TEST(LogOfAnAgent, AFloodOfHostileConnectionsIsAFewLinesAllOfThemJson) {
  AgentProcess agent({.root = "log_format = \"json\""});
  constexpr int kConnections = 3000;
  for (int number = 0; number < kConnections; ++number) {
    RawClient client(agent.endpoint(), RawClient::Greet::kNo);
    if (number % 2 == 0) {
      client.send_text(std::string(kHostile) + std::string(64, 'x'));
    } else {
      client.send(1, wire::Describe{});
    }
    (void)client.is_closed_by_agent();
  }
  const auto broken =
      std::ranges::count_if(lines_of(agent), [](const Json& line) { return line.contains("session"); });
  EXPECT_GE(broken, 20);
  EXPECT_LE(broken, 20 + 5 * 120) << "the flood took less than two minutes, and 5 lines a second are written";
  agent.signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_end(), 0);
  uint64_t told = 0;
  for (const Json& line : lines_of(agent)) {
    const auto message = line["message"].get<std::string>();
    if (line.contains("left_out") && message.ends_with("broke the protocol"))
      told += line["left_out"].get<uint64_t>();
    if (message.find("does not speak vAccel") == std::string::npos) continue;
    EXPECT_EQ(line["level"], "warning");
    EXPECT_EQ(line["tenant"], "default");
    EXPECT_TRUE(line["peer"].get<std::string>().starts_with("unix:")) << line;
    ++told;
  }
  told += lines_with(agent, "first frame must be a hello").size();
  EXPECT_EQ(told, static_cast<uint64_t>(kConnections)) << "each is written, or counted among those left out";
}

TEST(LogOfAnAgent, WhatAWorkerSaysIsOfTheLogsFormatToo) {
  AgentProcess agent({.root = "log_format = \"json\"", .more = "[backend.none]\n"});
  const auto said = lines_with(agent, "worker 0 says: ");
  ASSERT_FALSE(said.empty()) << agent.log();
  EXPECT_EQ(said[0]["level"], "warning");
  EXPECT_EQ(said[0]["worker"], 0);
  EXPECT_EQ(said[0]["message"].get<std::string>().rfind("worker 0 says: [backend.none] is configured", 0), 0u)
      << said[0];
}

TEST(LogOfAnAgent, NoClientWritesLinesOfItsOwn) {
  AgentProcess agent({.root = "log_format = \"json\""});
  RawClient client(agent.endpoint(), RawClient::Greet::kNo);
  ASSERT_TRUE(client.send(1, wire::Hello{.client = kHostile}));
  ASSERT_TRUE(client.await(1));
  EXPECT_NE(client.ask(2, call_of(kHostile)).code, VACCEL_OK);
  EXPECT_NE(client.ask(3, wire::OpenModel{kHostile}).code, VACCEL_OK);
  EXPECT_NE(client.ask(4, call_of("vaccel.echo", {text(kHostile, kHostile)})).kind, wire::Kind::kFailure);
  client.drop();
  ASSERT_TRUE(eventually([&] { return !lines_with(agent, "it ends").empty(); })) << agent.log();
  for (const Json& line : lines_of(agent)) {
    EXPECT_NE(line["message"], "forged");
    EXPECT_NE(line["level"], "error") << line;
  }
  EXPECT_EQ(agent.log().find('\x1b'), std::string::npos);
}

TEST(LogOfAnAgent, ACallThatFailsOrIsSlowIsToldWithItsIds) {
  AgentProcess agent({.root = "log_format = \"json\""});
  RawClient bystander(agent.endpoint());
  RawClient client(agent.endpoint());
  EXPECT_EQ(client.ask(17, call_of("no.such.operator")).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client.ask(18, wire::OpenModel{"none"}).code, VACCEL_NOT_FOUND);
  EXPECT_TRUE(client.ask(19, call_of("reference.delay", {integer("microseconds", 1'200'000)})).is_result());
  EXPECT_TRUE(client.ask(20, call_of("reference.delay", {integer("microseconds", 1)})).is_result());
  const auto failed = lines_with(agent, "failed: NOT_FOUND");
  ASSERT_EQ(failed.size(), 1u) << agent.log();
  EXPECT_EQ(failed[0]["session"], 2) << failed[0];
  EXPECT_EQ(failed[0]["request"], 17);
  EXPECT_EQ(failed[0]["operator"], "unknown");
  EXPECT_EQ(failed[0]["worker"], 0);
  EXPECT_TRUE(failed[0].contains("queue_us") && failed[0].contains("worker_us"));
  const auto refused = lines_with(agent, "open-model is refused");
  ASSERT_EQ(refused.size(), 1u) << agent.log();
  EXPECT_EQ(refused[0]["request"], 18);
  const auto slow = lines_with(agent, "was slow");
  ASSERT_EQ(slow.size(), 1u) << agent.log();
  EXPECT_EQ(slow[0]["session"], 2);
  EXPECT_EQ(slow[0]["request"], 19);
  EXPECT_GE(slow[0]["duration_us"].get<uint64_t>(), 1'200'000u);
}

TEST(LogOfAnAgent, WorkersAndRefusedSessionsAreToldInBothFormats) {
  for (const bool json : {false, true}) {
    SCOPED_TRACE(json ? "json" : "human");
    AgentProcess agent({.limits = "max_sessions = 1", .root = json ? "log_format = \"json\"" : ""});
    const RawClient only(agent.endpoint());
    RawClient second(agent.endpoint(), RawClient::Greet::kNo);
    EXPECT_TRUE(second.is_closed_by_agent());
    agent.kill_worker();
    ASSERT_TRUE(eventually([&] {
      return agent.log().find("Killed") != std::string::npos ||
             agent.log().find("worker 0, pid") != std::string::npos;
    }));
    if (json) {
      const auto refused = lines_with(agent, "it is refused");
      ASSERT_EQ(refused.size(), 1u) << agent.log();
      EXPECT_EQ(refused[0]["session"], 2);
      const auto died = lines_with(agent, "worker 0, pid");
      ASSERT_EQ(died.size(), 1u) << agent.log();
      EXPECT_EQ(died[0]["worker"], 0);
    } else {
      EXPECT_NE(agent.log().find("session 2 (" + agent.endpoint() + ", tenant default): it is refused"),
                std::string::npos)
          << agent.log();
    }
  }
}

}  // namespace
}  // namespace vaccel::integration
