// SPDX-License-Identifier: Apache-2.0
//
// What a guest can send that no library would: the agent answers with a clear error where it can, ends that session
// where it must, and serves everybody else as if nothing had been.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/raw_client.h"
#include "wire/limits.h"

namespace vaccel::integration {
namespace {

std::vector<std::byte> as_vector(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> header_with(size_t offset, std::initializer_list<int> bytes) {
  wire::HeaderBytes header = wire::encode_header({wire::Kind::kHello, 1, 1, 0, 0});
  for (const int byte : bytes)
    header[offset++] = static_cast<std::byte>(byte);
  return as_vector(header);
}

struct NoFrame {
  const char* name;
  std::vector<std::byte> bytes;
  const char* sentence;  // a part of what the agent answers
};

std::vector<NoFrame> no_frames() {
  const std::string http = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
  return {
      {"random", some_bytes(4096, 1), "does not speak vAccel"},
      {"http", as_vector(std::as_bytes(std::span(http))), "does not speak vAccel"},
      {"zeros", std::vector<std::byte>(64), "does not speak vAccel"},
      {"flags", header_with(7, {1}), "flags 0x01"},
      {"reserved", header_with(20, {1}), "reserved"},
      {"kind 0", header_with(6, {0}), "kind 0"},
      {"kind 200", header_with(6, {200}), "kind 200"},
      {"body of 4 GiB", header_with(16, {255, 255, 255, 255}), "body of 4294967295 bytes"},
      {"body of 64 KiB and one", header_with(16, {1, 0, 1, 0}), "body of 65537 bytes"},
      {"hello with a payload", header_with(24, {1}), "may not have a payload"},
      {"payload of 2^63", header_with(24, {0, 0, 0, 0, 0, 0, 0, 0x80}), "9223372036854775808"},
      {"payload of 2^64-1", header_with(24, {255, 255, 255, 255, 255, 255, 255, 255}),
       "18446744073709551615"},
  };
}

// The agent says that the protocol was broken, and closes.
void expect_protocol_error(RawClient& client, const std::string& sentence) {
  const auto answer = client.receive();
  ASSERT_TRUE(answer) << "the agent said nothing";
  EXPECT_EQ(answer->code, VACCEL_PROTOCOL_ERROR) << answer->text();
  EXPECT_NE(answer->sentence.find(sentence), std::string::npos) << answer->sentence;
  EXPECT_TRUE(client.is_closed_by_agent());
}

TEST(Hostile, BytesThatAreNoFrameEndThatSessionAlone) {
  const AgentProcess agent;
  RawClient bystander(agent.endpoint());
  for (const auto greet : {RawClient::Greet::kNo, RawClient::Greet::kYes}) {
    for (const NoFrame& one : no_frames()) {
      SCOPED_TRACE(one.name);
      RawClient client(agent.endpoint(), greet);
      client.send_bytes(one.bytes);  // may fail when the agent was quicker to close
      expect_protocol_error(client, one.sentence);
      const Answer echo = bystander.ask(2, call_of("vaccel.echo"));
      ASSERT_TRUE(echo.is_result()) << echo.text();
    }
  }
  // A payload that is over the protocol's limit on the one kind that may have one.
  for (const uint64_t size : {wire::kMaxPayloadBytes + 1, uint64_t{1} << 63, ~uint64_t{0}}) {
    RawClient client(agent.endpoint());
    client.announce(2, call_of("reference.echo"), size);
    expect_protocol_error(client, std::to_string(size));
  }
  expect_serves(agent.endpoint());
}

TEST(Hostile, FramesThatMayNotComeEndTheSession) {
  const AgentProcess agent;
  const auto expect_broken = [&](RawClient::Greet greet, const auto& message, const char* sentence) {
    SCOPED_TRACE(wire::kind_name(message.kKind));
    RawClient client(agent.endpoint(), greet);
    client.send(2, message);
    expect_protocol_error(client, sentence);
  };
  using enum RawClient::Greet;
  expect_broken(kNo, call_of("vaccel.echo"), "first frame must be a hello");
  expect_broken(kNo, wire::Describe{}, "first frame must be a hello");
  expect_broken(kNo, wire::Welcome{1, "me", 1, 1}, "first frame must be a hello");
  expect_broken(kYes, wire::Hello{}, "twice");
  expect_broken(kYes, wire::Release{{0}}, "may not send a release frame");
  expect_broken(kYes, wire::Welcome{1, "me", 1, 1}, "may not send a welcome frame");
  expect_broken(kYes, wire::ModelOpened{1}, "may not send a model-opened frame");
  expect_broken(kYes, wire::Done{}, "may not send a done frame");
  expect_broken(kYes, wire::Description{}, "may not send a description frame");
  expect_broken(kYes, wire::CallResult{}, "may not send a result frame");
  expect_broken(kYes, wire::Failure{VACCEL_INTERNAL, "x", 0}, "may not send a failure frame");
  expect_serves(agent.endpoint());
}

TEST(Hostile, VersionsThatTheAgentDoesNotSpeakAreNamed) {
  const AgentProcess agent;
  for (const auto& [oldest, newest] : {std::pair{2, 9}, std::pair{0, 0}, std::pair{9, 1}}) {
    RawClient client(agent.endpoint(), RawClient::Greet::kNo);
    const Answer answer =
        client.ask(1, wire::Hello{static_cast<uint16_t>(oldest), static_cast<uint16_t>(newest), "x"});
    EXPECT_EQ(answer.code, VACCEL_UNIMPLEMENTED) << answer.text();
    EXPECT_NE(answer.sentence.find("this agent speaks 1 to 1"), std::string::npos) << answer.sentence;
    EXPECT_TRUE(client.is_closed_by_agent());
  }
  RawClient client(agent.endpoint());
  client.send_header({wire::Kind::kDescribe, 7, 2, 0, 0});
  expect_protocol_error(client, "version 7; version 1 was agreed on");
  expect_serves(agent.endpoint());
}

TEST(Hostile, BodiesThatAreNoFlatBuffersEndTheSession) {
  const AgentProcess agent;
  using enum wire::Kind;
  for (const wire::Kind kind : {kHello, kOpenModel, kCloseModel, kDescribe, kCall, kCancel}) {
    for (const size_t size : {0U, 1U, 3U, 4U, 100U, 65'536U}) {
      SCOPED_TRACE(std::string(wire::kind_name(kind)) + " of " + std::to_string(size) + " bytes");
      RawClient client(agent.endpoint(), kind == kHello ? RawClient::Greet::kNo : RawClient::Greet::kYes);
      client.send_body(kind, 2, some_bytes(size, static_cast<uint32_t>(size)));
      expect_protocol_error(client, "not what the schema says");
    }
  }
  expect_serves(agent.endpoint());
}

TEST(Hostile, RequestIdsInFlightAreNotUsedAgain) {
  const AgentProcess agent;
  {
    RawClient client(agent.endpoint());
    client.send(5, call_of("reference.delay", {integer("microseconds", 60'000'000)}));
    client.send(5, call_of("reference.noop"));
    expect_protocol_error(client, "request 5 is still in flight");
  }
  {
    RawClient client(agent.endpoint());
    client.send(0, call_of("vaccel.echo"));
    expect_protocol_error(client, "0");
  }
  {  // Once answered, it is not in flight any more.
    RawClient client(agent.endpoint());
    for (int turn = 0; turn < 3; ++turn)
      EXPECT_TRUE(client.ask(5, call_of("reference.noop")).is_result());
    wire::Call late = call_of("reference.delay", {integer("microseconds", 60'000'000)});
    late.timeout_us = 1'000;
    for (int turn = 0; turn < 3; ++turn)
      EXPECT_EQ(client.ask(5, late).code, VACCEL_DEADLINE_EXCEEDED);
  }
  expect_serves(agent.endpoint());
}

// ---- Frames that are never whole

TEST(Hostile, AFrameThatIsNotWholeInTimeEndsTheSession) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 300"});
  wire::Encoder encoder;
  const auto describe = as_vector(encoder.encode(wire::Describe{}));
  const auto header = as_vector(
      wire::encode_header({wire::Kind::kDescribe, 1, 2, static_cast<uint32_t>(describe.size()), 0}));
  RawClient half_header(agent.endpoint());
  RawClient half_body(agent.endpoint());
  RawClient no_payload(agent.endpoint());
  RawClient half_echo(agent.endpoint());
  RawClient half_refused(agent.endpoint());
  RawClient idle(agent.endpoint());
  half_header.send_bytes(std::span(header).first(16));
  half_body.send_bytes(header);
  half_body.send_bytes(std::span(describe).first(4));
  no_payload.announce(2, call_with_bytes("reference.checksum", 1000), 1000);
  no_payload.send_bytes(some_bytes(500, 1));
  half_echo.announce(2, call_with_bytes("vaccel.echo", 1000), 1000);
  half_echo.send_bytes(some_bytes(500, 1));
  half_refused.announce(2, call_with_bytes("vaccel.echo", 100'000), 100'000);  // over the echo's limit
  const Stopwatch since;
  EXPECT_TRUE(half_header.is_closed_by_agent());
  EXPECT_TRUE(half_body.is_closed_by_agent());
  EXPECT_TRUE(no_payload.is_closed_by_agent());
  EXPECT_TRUE(half_echo.is_closed_by_agent());
  EXPECT_TRUE(half_refused.is_closed_by_agent());
  EXPECT_LT(since.elapsed_ns(), 5'000'000'000u);
  // Only frames are timed: who says nothing may stay.
  EXPECT_TRUE(idle.ask(2, call_of("vaccel.echo")).is_result());
}

TEST(Hostile, ALargeFrameBuysNoTimeForTheNextOne) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 300\nmax_payload_bytes = 4096"});
  RawClient client(agent.endpoint());
  const auto bytes = some_bytes(20 << 20, 1);  // refused, and skipped; it might have taken 20 s more
  EXPECT_EQ(client.ask(2, call_with_bytes("reference.checksum", bytes.size()), bytes).code,
            VACCEL_RESOURCE_EXHAUSTED);
  client.send_text("vAcl");
  const Stopwatch since;
  EXPECT_TRUE(client.is_closed_by_agent());
  EXPECT_LT(since.elapsed_ns(), 5'000'000'000u);
}

TEST(Hostile, AFrameThatTricklesInDoesNotBuyTime) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 300"});
  RawClient client(agent.endpoint());
  const auto header = as_vector(wire::encode_header({wire::Kind::kDescribe, 1, 2, 60'000, 0}));
  client.send_bytes(header);
  const auto body = some_bytes(60'000, 1);
  const Stopwatch since;
  size_t sent = 0;
  // A byte every 20 ms: the whole frame would take 20 minutes.
  const bool closed = eventually(
      [&] {
        ::poll(nullptr, 0, 18);
        return !client.send_bytes(std::span(body).subspan(sent++, 1));
      },
      10'000);
  EXPECT_TRUE(closed);
  EXPECT_LT(since.elapsed_ns(), 5'000'000'000u);
  expect_serves(agent.endpoint());
}

TEST(Hostile, WhoDoesNotGreetIsDisconnected) {
  const AgentProcess agent;
  RawClient silent(agent.endpoint(), RawClient::Greet::kNo);
  RawClient half(agent.endpoint(), RawClient::Greet::kNo);
  half.send_text("vAcl");
  EXPECT_TRUE(silent.is_closed_by_agent(15'000));  // 10 s, see docs/protocol.md
  EXPECT_TRUE(half.is_closed_by_agent(5'000));
  expect_serves(agent.endpoint());
}

TEST(Hostile, AClientThatVanishesWithinAPayloadLeavesNoMemoryTaken) {
  // Room for one such payload, not for two.
  const AgentProcess agent({.limits = "segment_bytes = 1048576\nmax_payload_bytes = 1048576"});
  for (int turn = 0; turn < 20; ++turn) {
    RawClient client(agent.endpoint());
    client.announce(2, call_with_bytes("reference.checksum", 900'000), 900'000);
    client.send_bytes(some_bytes(turn % 2 == 0 ? 450'000 : 0, 1));
    client.drop();
  }
  RawClient client(agent.endpoint());
  const auto bytes = some_bytes(900'000, 3);
  std::optional<Answer> answer;
  // The agent may hear of the last drop after our call.
  EXPECT_TRUE(eventually([&] {
    answer = client.ask(2, call_with_bytes("reference.checksum", bytes.size()), bytes);
    return answer->is_result();
  })) << answer->text();
  EXPECT_EQ(answer->sum(), sum_of(bytes));
}

// ---- Handles

TEST(Hostile, HandlesOfNobodyAreRefused) {
  const AgentProcess agent;
  RawClient client(agent.endpoint());
  uint64_t id = 2;
  for (const uint32_t handle : {1u, 2u, 77u, 0x7fffffffu, 0xffffffffu}) {
    wire::Call call = call_of("infer");
    call.model = handle;
    const Answer called = client.ask(id++, call);
    EXPECT_EQ(called.code, VACCEL_NOT_FOUND) << called.text();
    EXPECT_NE(called.sentence.find(std::to_string(handle)), std::string::npos) << called.sentence;
    EXPECT_EQ(client.ask(id++, wire::CloseModel{handle}).code, VACCEL_NOT_FOUND);
  }
  EXPECT_EQ(client.ask(id++, wire::CloseModel{0}).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client.ask(id++, wire::OpenModel{"../../etc/passwd"}).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client.ask(id++, wire::OpenModel{""}).code, VACCEL_NOT_FOUND);
  EXPECT_TRUE(client.ask(id++, call_of("vaccel.echo")).is_result());
}

// ---- Taking more than one's share

TEST(Hostile, FloodsOfFramesDoNotStarveOthers) {
  const AgentProcess agent;
  RawClient bystander(agent.endpoint());
  wire::Encoder encoder;
  const auto body = as_vector(encoder.encode(wire::Cancel{999}));
  std::vector<std::byte> many;
  for (int count = 0; count < 1000; ++count) {
    const auto header =
        wire::encode_header({wire::Kind::kCancel, 1, 2, static_cast<uint32_t>(body.size()), 0});
    many.insert(many.end(), header.begin(), header.end());
    many.insert(many.end(), body.begin(), body.end());
  }
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> batches = 0;
  std::vector<std::jthread> floods;
  for (int index = 0; index < 4; ++index) {
    floods.emplace_back([&] {
      RawClient flooder(agent.endpoint());
      while (!stop && flooder.send_bytes(many))
        ++batches;
    });
  }
  ASSERT_TRUE(eventually([&] { return batches > 50; }));
  const uint64_t batches_before = batches;
  uint64_t longest_ns = 0;
  const Stopwatch whole;
  for (uint64_t id = 2; id < 52; ++id) {
    const Stopwatch watch;
    const Answer answer = bystander.ask(id, call_of("reference.noop"));
    ASSERT_TRUE(answer.is_result()) << answer.text();
    const RawClient another(agent.endpoint());  // session set-up too
    longest_ns = std::max(longest_ns, watch.elapsed_ns());
  }
  const uint64_t patience = is_sanitized() ? 4 : 1;
  EXPECT_LT(longest_ns, patience * 1'000'000'000u);
  EXPECT_LT(whole.elapsed_ns(), patience * 5'000'000'000u);
  stop = true;
  EXPECT_GT(batches, batches_before) << "the floods had ended before";
}

TEST(Hostile, CancelsOfACallThatRunsDoNotPileUp) {
  AgentProcess agent;
  RawClient client(agent.endpoint());
  client.send(2, call_of("reference.delay", {integer("microseconds", 60'000'000)}));
  ASSERT_TRUE(client.ask(3, call_of("reference.noop")).is_result());  // so the first is at the worker
  const pid_t worker = agent.worker();
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  const int64_t before = private_kib(agent.pid());
  wire::Encoder encoder;
  const auto body = as_vector(encoder.encode(wire::Cancel{2}));
  for (int count = 0; count < 200'000; ++count) {
    ASSERT_TRUE(client.send_body(wire::Kind::kCancel, 4, body));
  }
  EXPECT_TRUE(client.ask(5, call_of("vaccel.echo")).is_result());  // all of them have been read
  if (!is_sanitized()) {
    EXPECT_LT(private_kib(agent.pid()) - before, 2'048);
  }
  ASSERT_EQ(::kill(worker, SIGCONT), 0);
  EXPECT_EQ(client.await(2)->code, VACCEL_CANCELLED);
  expect_serves(agent.endpoint());
}

TEST(Hostile, AClientThatStopsReadingHoldsBoundedMemoryForABoundedTime) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 1500\nsegment_bytes = 67108864\n"
                                      "max_payload_bytes = 8388608\nmax_session_bytes_in_flight = 16777216"});
  RawClient bystander(agent.endpoint());
  RawClient client(agent.endpoint());
  const int64_t before = private_kib(agent.pid());
  // Many results of 4 MiB each, none of which is ever read: far more than the segment has.
  for (uint64_t id = 2; id < 64; ++id)
    client.send(id, call_of("reference.fill", {integer("bytes", 4 << 20), integer("value", 7)}));
  const Stopwatch since;
  uint64_t id = 2;
  while (since.elapsed_ns() < 1'000'000'000) {
    const Stopwatch watch;
    const Answer answer =
        bystander.ask(id++, call_of("reference.fill", {integer("bytes", 100'000), integer("value", 9)}));
    ASSERT_TRUE(answer.is_result()) << answer.text();
    ASSERT_EQ(answer.output(0).size(), 100'000u);
    EXPECT_LT(watch.elapsed_ns(), 1'000'000'000u);
  }
  if (!is_sanitized()) {
    EXPECT_LT(private_kib(agent.pid()) - before, 4'096);
  }
  EXPECT_TRUE(eventually([&] { return agent.log().find("it takes no results") != std::string::npos; }));
  expect_serves(agent.endpoint());
}

TEST(Hostile, AnEchoThatIsNeverReadStopsBeingServed) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 1000"});
  RawClient client(agent.endpoint());
  const int64_t before = private_kib(agent.pid());
  const auto bytes = some_bytes(65'536, 1);
  // send() gives up when the agent has closed; the agent closes because nothing is read.
  uint64_t sent = 0;
  wire::Encoder encoder;
  const auto body = as_vector(encoder.encode(call_with_bytes("vaccel.echo", bytes.size())));
  while (sent < 100'000 && client.send_body(wire::Kind::kCall, sent + 2, body, bytes))
    ++sent;
  EXPECT_LT(sent, 1'000u) << "the agent read on";
  if (!is_sanitized()) {
    EXPECT_LT(private_kib(agent.pid()) - before, 4'096);
  }
  expect_serves(agent.endpoint());
}

TEST(Hostile, ResultsThatAreTakenSlowlyDoNotResetTheClock) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 400"});
  RawClient client(agent.endpoint());
  // Fills the socket, so that the agent has to wait ...
  client.send(2, call_of("reference.fill", {integer("bytes", 900'000), integer("value", 1)}));
  // ... and further results come in meanwhile, each within the time-out of the one before.
  for (uint64_t id = 3; id < 10; ++id) {
    client.send(
        id, call_of("reference.delay", {integer("microseconds", static_cast<int64_t>(id - 2) * 200'000)}));
  }
  const Stopwatch since;
  EXPECT_TRUE(eventually([&] { return agent.log().find("it takes no results") != std::string::npos; }));
  EXPECT_LT(since.elapsed_ns(), 1'000'000'000u);
  expect_serves(agent.endpoint());
}

// ---- Frames that are nearly right

TEST(Hostile, MutatedFramesOfAWholeSessionHarmNobody) {
  const AgentProcess agent({.limits = "frame_timeout_ms = 2000"});
  const pid_t worker = agent.worker();
  wire::Encoder encoder;
  std::vector<std::byte> whole;
  const auto add = [&](uint64_t id, const auto& message, std::span<const std::byte> payload) {
    const auto body = encoder.encode(message);
    const auto header =
        wire::encode_header({message.kKind, 1, id, static_cast<uint32_t>(body.size()), payload.size()});
    whole.insert(whole.end(), header.begin(), header.end());
    whole.insert(whole.end(), body.begin(), body.end());
    whole.insert(whole.end(), payload.begin(), payload.end());
  };
  const auto bytes = some_bytes(200, 5);
  add(1, wire::Hello{.client = "mutant"}, {});
  add(2, call_with_bytes("vaccel.echo", 200), bytes);
  add(3, call_with_bytes("reference.checksum", 200), bytes);
  add(4, wire::Describe{wire::Subject::kModels, "", 0}, {});
  add(5, call_of("reference.delay", {integer("microseconds", 1000)}), {});
  add(6, wire::Cancel{5}, {});
  add(7, wire::OpenModel{"none"}, {});
  add(8, wire::CloseModel{9}, {});
  uint32_t state = 12345;
  const auto random = [&](size_t below) {
    state = state * 1'664'525U + 1'013'904'223U;
    return static_cast<size_t>(state >> 8) % below;
  };
  for (int turn = 0; turn < 600; ++turn) {
    std::vector<std::byte> mutated = whole;
    const size_t changes = 1 + random(4);
    for (size_t change = 0; change < changes; ++change)
      mutated[random(mutated.size())] = static_cast<std::byte>(random(256));
    if (random(4) == 0) mutated.resize(random(mutated.size()));
    RawClient client(agent.endpoint(), RawClient::Greet::kNo);
    client.send_bytes(mutated);
    if (random(2) == 0) client.receive(1);
  }
  expect_serves(agent.endpoint());
  EXPECT_EQ(agent.worker(), worker) << "a worker died of it";
}

}  // namespace
}  // namespace vaccel::integration
