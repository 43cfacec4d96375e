// SPDX-License-Identifier: Apache-2.0
//
// Every limit of the agent's configuration: reached, it still serves; one more is refused with a sentence that names
// it, and what was there goes on.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/agent_process.h"
#include "support/raw_client.h"
#include "support/real_parts.h"
#include "wire/limits.h"

namespace vaccel::integration {
namespace {

constexpr int64_t kLongUs = 60'000'000;

void expect_exhausted(const Answer& answer, const std::string& limit) {
  EXPECT_EQ(answer.code, VACCEL_RESOURCE_EXHAUSTED) << answer.text();
  EXPECT_NE(answer.sentence.find(limit), std::string::npos) << answer.sentence;
}

TEST(Limits, Sessions) {
  const AgentProcess agent({.limits = "max_sessions = 3"});
  RawClient first(agent.endpoint());
  auto second = std::make_unique<RawClient>(agent.endpoint());
  RawClient third(agent.endpoint());
  {
    RawClient over(agent.endpoint(), RawClient::Greet::kNo);
    const auto answer = over.receive();
    ASSERT_TRUE(answer);
    expect_exhausted(*answer, "its most sessions, 3,");
    EXPECT_TRUE(over.is_closed_by_agent());
  }
  EXPECT_TRUE(first.ask(2, call_of("reference.noop")).is_result());
  EXPECT_TRUE(third.ask(2, call_of("reference.noop")).is_result());
  second.reset();
  // The agent hears of the end before it takes the next connection, or soon after.
  EXPECT_TRUE(eventually([&] {
    RawClient next(agent.endpoint(), RawClient::Greet::kNo);
    return next.ask(1, wire::Hello{}).kind == wire::Kind::kWelcome;
  }));
}

// What the system has given the agent for payloads, in bytes.
uint64_t memory_for_payloads(const AgentProcess& agent) {
  const std::filesystem::path descriptors = "/proc/" + std::to_string(agent.pid()) + "/fd";
  for (const auto& descriptor : std::filesystem::directory_iterator(descriptors)) {
    std::error_code gone;
    if (!std::filesystem::read_symlink(descriptor, gone).native().starts_with("/memfd:vaccel-calls"))
      continue;
    struct stat file {};
    if (::stat(descriptor.path().c_str(), &file) == 0) return static_cast<uint64_t>(file.st_blocks) * 512;
  }
  ADD_FAILURE() << "the agent has no segment for calls";
  return 0;
}

TEST(Limits, MemoryOfAPeakIsGivenBack) {
  constexpr uint64_t kPeak = uint64_t{96} << 20;
  constexpr uint64_t kKept = uint64_t{64} << 20;
  const AgentProcess agent;
  RawClient client(agent.endpoint());
  ASSERT_FALSE(client.ask(2, call_with_bytes("vaccel.discard", kPeak), std::vector<std::byte>(kPeak)).code);
  EXPECT_GE(memory_for_payloads(agent), kPeak) << "it is kept for a while, since the next call may want it";
  EXPECT_TRUE(eventually([&] { return memory_for_payloads(agent) <= kKept; })) << memory_for_payloads(agent);
  EXPECT_GT(memory_for_payloads(agent), kKept / 2) << "what is usually needed is kept";
  expect_serves(agent.endpoint());
}

TEST(Limits, CallsInFlight) {
  const AgentProcess agent({.limits = "max_calls_in_flight = 3", .worker = "threads = 2"});
  RawClient client(agent.endpoint());
  RawClient other(agent.endpoint());
  const wire::Call slow = call_of("reference.delay", {integer("microseconds", kLongUs)});
  for (uint64_t id = 2; id < 5; ++id)
    client.send(id, slow);
  expect_exhausted(client.ask(5, slow), "the limit is 3");
  // With a payload: it is skipped, and the frames after it are understood.
  expect_exhausted(client.ask(6, call_with_bytes("reference.checksum", 10'000), some_bytes(10'000, 1)),
                   "the limit is 3");
  expect_exhausted(client.ask(7, call_of("vaccel.echo")), "the limit is 3");
  for (uint64_t id = 2; id < 5; ++id) {
    client.send(100, wire::Cancel{id});
    EXPECT_EQ(client.await(id)->code, VACCEL_CANCELLED);
  }
  EXPECT_TRUE(client.ask(8, call_of("reference.noop")).is_result());
  EXPECT_TRUE(other.ask(2, call_of("reference.noop")).is_result());
}

TEST(Limits, PayloadBytesOfACall) {
  const AgentProcess agent({.limits = "max_payload_bytes = 100000"});
  RawClient client(agent.endpoint(), RawClient::Greet::kNo);
  EXPECT_EQ(client.ask(1, wire::Hello{}).welcome.max_payload_bytes, 100'000u);
  for (uint64_t id = 2; id < 8; id += 2) {
    const auto at = some_bytes(100'000, static_cast<uint32_t>(id));
    const Answer fits = client.ask(id, call_with_bytes("reference.checksum", at.size()), at);
    ASSERT_TRUE(fits.is_result()) << fits.text();
    EXPECT_EQ(fits.sum(), sum_of(at));
    const auto over = some_bytes(100'001, 1);
    expect_exhausted(client.ask(id + 1, call_with_bytes("reference.checksum", over.size()), over), "100000");
  }
}

TEST(Limits, PayloadBytesOfACallThatSendsMuchMore) {
  const AgentProcess agent({.limits = "max_payload_bytes = 100000"});
  RawClient client(agent.endpoint());
  const int64_t before = private_kib(agent.pid()) + shared_kib(agent.pid());
  const auto over = some_bytes(50'000'000, 1);
  expect_exhausted(client.ask(2, call_with_bytes("reference.checksum", over.size()), over), "100000");
  EXPECT_TRUE(client.ask(3, call_of("vaccel.echo")).is_result());
  if (!is_sanitized()) {
    EXPECT_LT(private_kib(agent.pid()) + shared_kib(agent.pid()) - before, 1'024);
  }
}

TEST(Limits, BytesInFlightOfASession) {
  const AgentProcess agent({.limits = "max_payload_bytes = 100000\nmax_session_bytes_in_flight = 150000"});
  RawClient client(agent.endpoint());
  RawClient other(agent.endpoint());
  wire::Call slow = call_with_bytes("reference.delay", 100'000);
  slow.attributes.push_back(integer("microseconds", kLongUs));
  const auto bytes = some_bytes(100'000, 1);
  client.send(2, slow, bytes);
  const auto at = some_bytes(50'000, 2);
  const auto over = some_bytes(50'001, 2);
  EXPECT_TRUE(client.ask(3, call_with_bytes("reference.checksum", at.size()), at).is_result());
  expect_exhausted(client.ask(4, call_with_bytes("reference.checksum", over.size()), over),
                   "the limit of 150000");
  EXPECT_TRUE(other.ask(2, call_with_bytes("reference.checksum", bytes.size()), bytes).is_result());
  client.send(5, wire::Cancel{2});
  EXPECT_EQ(client.await(2)->code, VACCEL_CANCELLED);
  EXPECT_TRUE(client.ask(6, call_with_bytes("reference.checksum", over.size()), over).is_result());
}

TEST(Limits, BytesOfAResult) {
  const AgentProcess agent({.limits = "max_payload_bytes = 100000\nmax_session_bytes_in_flight = 1000000"});
  RawClient client(agent.endpoint());
  const auto fill = [](int64_t bytes) { return call_of("reference.fill", {integer("bytes", bytes)}); };
  EXPECT_TRUE(client.ask(2, fill(100'000)).is_result());
  // What one session holds, results that wait to be taken included, has an end whatever an operator gives.
  expect_exhausted(client.ask(3, fill(1'000'001)), "");
  expect_exhausted(client.ask(4, fill(int64_t{1} << 33)), "");
  EXPECT_TRUE(client.ask(5, fill(100'000)).is_result());
}

TEST(Limits, Segment) {
  const AgentProcess agent({.limits = "segment_bytes = 1048576"});
  RawClient client(agent.endpoint());
  const auto fits = some_bytes(1'048'576, 1);
  const Answer answer = client.ask(2, call_with_bytes("reference.checksum", fits.size()), fits);
  ASSERT_TRUE(answer.is_result()) << answer.text();
  EXPECT_EQ(answer.sum(), sum_of(fits));
  const auto over = some_bytes(1'048'577, 1);
  expect_exhausted(client.ask(3, call_with_bytes("reference.checksum", over.size()), over), "1048577");
  EXPECT_TRUE(client.ask(4, call_of("reference.fill", {integer("bytes", 1'048'576)})).is_result());
  expect_exhausted(client.ask(5, call_of("reference.fill", {integer("bytes", 1'048'577)})), "");
  EXPECT_TRUE(client.ask(6, call_with_bytes("reference.checksum", fits.size()), fits).is_result());
}

TEST(Limits, EchoBytes) {
  const AgentProcess agent;
  RawClient client(agent.endpoint());
  const auto at = some_bytes(65'536, 1);
  EXPECT_EQ(client.ask(2, call_with_bytes("vaccel.echo", at.size()), at).output(0), at);
  const auto over = some_bytes(65'537, 1);
  expect_exhausted(client.ask(3, call_with_bytes("vaccel.echo", over.size()), over), "65536");
  EXPECT_TRUE(client.ask(4, call_of("vaccel.echo")).is_result());
}

TEST(Limits, BodyBytes) {
  const AgentProcess agent;
  wire::Encoder encoder;
  const auto call = encoder.encode(call_of("reference.noop"));
  std::vector<std::byte> body(call.begin(), call.end());
  RawClient client(agent.endpoint());
  for (const size_t size : {size_t{4063}, size_t{4064}, size_t{4065}, size_t{wire::kMaxBodyBytes}}) {
    body.resize(size);  // zeros behind a FlatBuffer are no part of it
    ASSERT_TRUE(client.send_body(wire::Kind::kCall, size, body));
    const auto answer = client.await(size);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->is_result()) << answer->text();
  }
  body.resize(wire::kMaxBodyBytes + 1);
  client.send_body(wire::Kind::kCall, 9, body);
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(client.is_closed_by_agent());
}

TEST(Limits, ModelsOpen) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(
      {.limits = "max_models_open = 2", .catalogue = real_catalogue(), .all_backends = true});
  RawClient client(agent.endpoint());
  RawClient other(agent.endpoint());
  const Answer first = client.ask(2, wire::OpenModel{"mobilenet"});
  ASSERT_EQ(first.kind, wire::Kind::kModelOpened) << first.text();
  const Answer second = client.ask(3, wire::OpenModel{"mobilenet"});
  ASSERT_EQ(second.kind, wire::Kind::kModelOpened) << second.text();
  EXPECT_NE(first.model, second.model);
  expect_exhausted(client.ask(4, wire::OpenModel{"mobilenet"}), "the limit is 2");
  EXPECT_EQ(other.ask(2, wire::OpenModel{"mobilenet"}).kind, wire::Kind::kModelOpened);
  EXPECT_EQ(client.ask(5, wire::CloseModel{first.model}).kind, wire::Kind::kDone);
  EXPECT_EQ(client.ask(6, wire::CloseModel{first.model}).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client.ask(7, wire::OpenModel{"mobilenet"}).kind, wire::Kind::kModelOpened);

  // A closed handle, and one of another session, open nothing.
  wire::Call infer = call_of("infer");
  infer.model = first.model;
  EXPECT_EQ(client.ask(8, infer).code, VACCEL_NOT_FOUND);
  infer.model = second.model;
  EXPECT_EQ(other.ask(9, infer).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client.ask(9, infer).code, VACCEL_INVALID_ARGUMENT);  // its own: only the inputs are missing
}

TEST(Limits, Descriptors) {
  if (is_sanitized()) GTEST_SKIP() << "skipped: a sanitizer does not live without descriptors";
  AgentProcess agent({.most_descriptors = 90});
  RawClient before(agent.endpoint());
  {
    std::vector<std::unique_ptr<RawClient>> many;
    for (int count = 0; count < 120; ++count)
      many.push_back(std::make_unique<RawClient>(agent.endpoint(), RawClient::Greet::kNo));
    EXPECT_TRUE(
        eventually([&] { return agent.log().find("cannot accept a connection") != std::string::npos; }));
    EXPECT_TRUE(before.ask(2, call_of("reference.noop")).is_result());
    const int64_t busy = cpu_ms(agent.pid());
    ::poll(nullptr, 0, 500);
    EXPECT_LT(cpu_ms(agent.pid()) - busy, 200) << "it spins on connections that it cannot take";
  }
  expect_serves(agent.endpoint());
}

}  // namespace
}  // namespace vaccel::integration
