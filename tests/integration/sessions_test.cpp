// SPDX-License-Identifier: Apache-2.0
//
// Many callers at once: of one session, of many sessions, and beside sessions that nobody closed. Results always belong
// to their call, and what is dead costs nothing.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int kCallsOfAThread = 100;
#else
constexpr int kCallsOfAThread = 1000;
#endif

// A pseudo-random sequence that is each thread's own.
class Random {
 public:
  explicit Random(uint32_t seed) : state_(seed * 2'654'435'761U + 12'345) {}
  uint32_t below(uint32_t limit) {
    state_ = state_ * 1'664'525U + 1'013'904'223U;
    return static_cast<uint32_t>((uint64_t{state_ >> 8} * limit) >> 24);
  }

 private:
  uint32_t state_;
};

// One call of many kinds, and whether its result was its own.
void one_mixed_call(const Session& session, Random& random, std::span<const std::byte> photo_bytes) {
  const uint32_t kind = random.below(photo_bytes.empty() ? 98 : 100);
  const uint32_t seed = random.below(1 << 20);
  // Most are small, as calls are; some fill every buffer on the way.
  const uint32_t size = kind % 20 == 0 ? random.below(1'500'000) : random.below(9000);
  if (kind < 40) {
    const auto bytes = some_bytes(size, seed);
    const auto sum = session.call("reference.checksum", {}, {bytes_tensor(bytes)});
    ASSERT_TRUE(sum.ok()) << sum.text();
    ASSERT_EQ(sum_in(*sum.value), sum_of(bytes));
  } else if (kind < 70) {
    const auto bytes = some_bytes(size, seed);
    const auto echo = session.call("reference.echo", {}, {bytes_tensor(bytes)});
    ASSERT_TRUE(echo.ok()) << echo.text();
    ASSERT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), bytes));
  } else if (kind < 80) {
    const auto echo = session.call("vaccel.echo", {}, {bytes_tensor(some_bytes(seed % 5000, seed))});
    ASSERT_TRUE(echo.ok()) << echo.text();
    ASSERT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), some_bytes(seed % 5000, seed)));
  } else if (kind < 90) {
    const std::string name = "none." + std::to_string(seed);
    const auto refused = session.call(name.c_str(), {}, {bytes_tensor(some_bytes(size, seed))});
    ASSERT_EQ(refused.status, VACCEL_NOT_FOUND);
    ASSERT_TRUE(refused.says(name)) << refused.text();
  } else if (kind < 98) {
    const std::string words = "fault " + std::to_string(seed);
    const auto failed = session.call(
        "reference.fault", {text_attribute("kind", "error"), text_attribute("message", words.c_str())});
    ASSERT_EQ(failed.status, VACCEL_INTERNAL);
    ASSERT_TRUE(failed.says(words)) << failed.text();
  } else {
    const auto classes = session.classify("mobilenet", photo_bytes, 1 + seed % 5);
    ASSERT_TRUE(classes.ok()) << classes.text();
    ASSERT_EQ(classes.value->count, 1 + seed % 5);
    ASSERT_STREQ(classes.value->items[0].label, "Egyptian cat");
  }
}

bool has_models() {
#if defined(__SANITIZE_THREAD__)
  return false;  // the frameworks are not built for ThreadSanitizer, and take minutes under it
#endif
  return std::filesystem::exists(real_catalogue() / "mobilenet" / "model.toml") &&
         std::filesystem::exists(photo("chelsea.png"));
}

TEST(Sessions, EightThreadsShareOneForAThousandMixedCallsEach) {
  const bool classify = has_models();
  const AgentProcess agent(classify ? AgentSetup{.catalogue = real_catalogue(), .all_backends = true}
                                    : AgentSetup{});
  const Session session(agent.endpoint());
  const auto image = classify ? file_bytes(photo("chelsea.png")) : std::vector<std::byte>{};
  {
    std::vector<std::jthread> threads;
    for (uint32_t index = 0; index < 8; ++index) {
      threads.emplace_back([&, index] {
        Random random(index);
        for (int call = 0; call < kCallsOfAThread && !testing::Test::HasFatalFailure(); ++call)
          one_mixed_call(session, random, image);
      });
    }
  }
  expect_serves(agent.endpoint());
}

TEST(Sessions, SixtyFourAtOnce) {
  const AgentProcess agent;
  {
    std::vector<std::jthread> threads;
    for (uint32_t index = 0; index < 64; ++index) {
      threads.emplace_back([&, index] {
        const Session session(agent.endpoint());
        Random random(1000 + index);
        for (int call = 0; call < kCallsOfAThread / 20 && !testing::Test::HasFatalFailure(); ++call)
          one_mixed_call(session, random, {});
      });
    }
  }
  EXPECT_EQ(thread_count(agent.pid()), 1u);
  expect_serves(agent.endpoint());
}

TEST(Sessions, ManyCallsInFlightOfOneThreadCompleteEachWithItsOwnResult) {
  const AgentProcess agent;
  const Session session(agent.endpoint());
  struct Sent {
    RequestPtr request;
    uint64_t sum;
  };
  std::vector<Sent> sent;
  for (uint32_t turn = 0; turn < 500; ++turn) {
    const auto bytes = some_bytes(turn * 37 % 20'000, turn);
    auto request = session.submit("reference.checksum", {}, {bytes_tensor(bytes)});
    ASSERT_TRUE(request.ok()) << request.text();
    sent.push_back({std::move(request.value), sum_of(bytes)});
    if (sent.size() < 60) continue;
    for (Sent& one : sent) {
      ASSERT_EQ(vaccel_wait(one.request.get(), 0), VACCEL_OK) << vaccel_error_message();
      vaccel_outputs* outputs = nullptr;
      ASSERT_EQ(vaccel_request_outputs(one.request.get(), &outputs), VACCEL_OK);
      EXPECT_EQ(sum_in(*outputs), one.sum);
      vaccel_outputs_free(outputs);
    }
    sent.clear();
  }
}

TEST(Sessions, ALongCallDelaysNobodyElse) {
  const AgentProcess agent;
  const Session patient(agent.endpoint());
  const Session other(agent.endpoint());
  auto slow = patient.submit("reference.delay", {int_attribute("microseconds", 3'000'000)});
  ASSERT_TRUE(slow.ok()) << slow.text();
  const Stopwatch watch;
  uint64_t longest_ns = 0;
  for (uint32_t turn = 0; turn < 200; ++turn) {
    const Stopwatch call;
    const auto bytes = some_bytes(1000, turn);
    const auto sum = other.call("reference.checksum", {}, {bytes_tensor(bytes)});
    ASSERT_TRUE(sum.ok()) << sum.text();
    ASSERT_EQ(sum_in(*sum.value), sum_of(bytes));
    const auto opened = open_session(agent.endpoint());
    ASSERT_TRUE(opened.ok()) << opened.text();
    longest_ns = std::max(longest_ns, call.elapsed_ns());
  }
  EXPECT_LT(watch.elapsed_ns(), 2'500'000'000u);
  EXPECT_LT(longest_ns, 500'000'000u);
  EXPECT_EQ(vaccel_request_done(slow.value.get()), 0) << "the long call had ended before the others had";
  EXPECT_EQ(vaccel_wait(slow.value.get(), 0), VACCEL_OK) << vaccel_error_message();
  EXPECT_GE(watch.elapsed_ns(), 2'900'000'000u);
}

// ---- Sessions that nobody closed

// Six ways to leave: before a greeting, idle, within a frame, within a payload, with calls in flight, with a result
// that nobody takes.
void open_and_drop(const std::string& endpoint, int way) {
  if (way == 0) {
    RawClient client(endpoint, RawClient::Greet::kNo);
    client.send_text("vA");
    return;
  }
  RawClient client(endpoint);
  switch (way) {
    case 2:
      client.send_text("vAcl");
      break;
    case 3:
      client.announce(2, call_with_bytes("reference.checksum", 100'000), 100'000);
      client.send_bytes(some_bytes(50'000, 1));
      break;
    case 4:
      for (uint64_t id = 2; id < 6; ++id) {
        wire::Call call = call_with_bytes("reference.delay", 1000);
        call.attributes.push_back(integer("microseconds", 60'000'000));
        client.send(id, call, some_bytes(1000, 1));
      }
      break;
    case 5:
      client.send(2, call_of("reference.fill", {integer("bytes", 500'000)}));
      break;
    default:
      break;
  }
}

TEST(Sessions, TwoThousandDroppedOnesLeaveNothingBehind) {
  const AgentProcess agent;
  const auto settle = [&] {  // until the agent has heard of every end
    expect_serves(agent.endpoint());
    size_t before = 0;
    eventually([&] {
      const size_t now = descriptor_count(agent.pid());
      return std::exchange(before, now) == now;
    });
  };
  for (int count = 0; count < 200; ++count)
    open_and_drop(agent.endpoint(), count % 6);
  settle();
  const size_t descriptors = descriptor_count(agent.pid());
  const int64_t memory_kib = private_kib(agent.pid());
  const pid_t worker = agent.worker();
  const int64_t worker_kib = private_kib(worker);
  for (int count = 0; count < 2000; ++count)
    open_and_drop(agent.endpoint(), count % 6);
  settle();
  EXPECT_TRUE(eventually([&] { return descriptor_count(agent.pid()) <= descriptors; }))
      << descriptor_count(agent.pid()) << " descriptors, " << descriptors << " before";
  EXPECT_EQ(thread_count(agent.pid()), 1u);
  EXPECT_EQ(agent.worker(), worker);
  if (!is_sanitized()) {
    EXPECT_LT(private_kib(agent.pid()) - memory_kib, 1'024);
    EXPECT_LT(private_kib(worker) - worker_kib, 4'096);
  }
  expect_serves(agent.endpoint());
  const Session session(agent.endpoint());
  EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK) << vaccel_error_message();
}

TEST(Sessions, AnIdleOneIsSmallAndHasNoThread) {
  const AgentProcess agent({.limits = "max_sessions = 2000"});
  constexpr size_t kCount = 1000;
  std::vector<std::unique_ptr<RawClient>> idle;
  // Each has done something large before, in both directions.
  const auto visit = [&] {
    auto client = std::make_unique<RawClient>(agent.endpoint());
    const auto bytes = some_bytes(60'000, 1);
    EXPECT_TRUE(client->ask(2, call_with_bytes("vaccel.echo", bytes.size()), bytes).is_result());
    EXPECT_TRUE(client->ask(3, call_with_bytes("reference.echo", bytes.size()), bytes).is_result());
    wire::Call wordy = call_of("reference.noop");
    for (int index = 0; index < 12; ++index) {
      wordy.attributes.push_back(
          text(("text" + std::to_string(index)).c_str(), std::string(4000, 'x').c_str()));
    }
    EXPECT_TRUE(client->ask(4, wordy).is_result());
    idle.push_back(std::move(client));
  };
  for (int count = 0; count < 20; ++count)
    visit();
  const int64_t before = private_kib(agent.pid());
  for (size_t count = 0; count < kCount; ++count)
    visit();
  if (!is_sanitized()) {
    const int64_t each = (private_kib(agent.pid()) - before) * 1024 / static_cast<int64_t>(kCount);
    RecordProperty("bytes_of_an_idle_session", std::to_string(each));
    EXPECT_LE(each, 64 * 1024);
  }
  EXPECT_EQ(thread_count(agent.pid()), 1u);
  const int64_t busy = cpu_ms(agent.pid());
  expect_serves(agent.endpoint());
  EXPECT_LT(cpu_ms(agent.pid()) - busy, 100);
}

}  // namespace
}  // namespace vaccel::integration
