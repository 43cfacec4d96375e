// SPDX-License-Identifier: Apache-2.0
//
// Many calls at the same time: from many threads, submitted, cancelled, and while connections are lost.
#include <gtest/gtest.h>
#include <poll.h>

#include <random>
#include <set>

#include "client/client_testing.h"
#include "client/outputs.h"
#include "core/clock.h"

namespace vaccel::client {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int kCallsPerThread = 300;
#else
constexpr int kCallsPerThread = 1000;
#endif

// Polls a descriptor. @return whether it is readable.
bool is_readable(int fd, int timeout_ms) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, timeout_ms) == 1;
}

vaccel_attribute number(const char* name, int64_t value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = value;
  return attribute;
}

vaccel_request* submit(vaccel_session* session, const char* operator_name,
                       std::vector<vaccel_attribute> attributes = {}, std::vector<vaccel_tensor> inputs = {},
                       const vaccel_call_options* options = nullptr) {
  vaccel_request* request = nullptr;
  EXPECT_EQ(vaccel_submit_call(session, operator_name, nullptr, attributes.data(), attributes.size(),
                               inputs.data(), inputs.size(), options, &request),
            VACCEL_OK)
      << vaccel_error_message();
  return request;
}

// Runs `work(thread)` on several threads and waits for them.
template <typename Work>
void in_parallel(int threads, Work work) {
  std::vector<std::jthread> running;
  running.reserve(static_cast<size_t>(threads));
  for (int thread = 0; thread < threads; ++thread)
    running.emplace_back([&work, thread] { work(thread); });
}

// Calls of every kind whose results can belong to no other call.
class MixedCalls {
 public:
  MixedCalls(vaccel_session* session, int thread)
      : session_(session), random_(static_cast<uint32_t>(thread)) {}

  // @return what the call returned; its result has been checked if it was VACCEL_OK.
  vaccel_status one() {
    switch (next() % 6) {
      case 0:
        return sum(next() % 200);
      case 1:
        return sum(next() % 300'000);
      case 2:
        return echo(next() % 100'000);
      case 3:
        return fill(next() % 200'000);
      case 4:
        return infer(next() % 500);
      default:
        return classify(1 + next() % 5000);
    }
  }

 private:
  vaccel_status sum(size_t size) {
    std::vector<uint8_t> bytes = pattern(size, next());
    TensorView tensor("x", VACCEL_UINT8, bytes, {static_cast<int64_t>(size)});
    vaccel_outputs* outputs = nullptr;
    const auto status = vaccel_call(session_, "test.sum", nullptr, nullptr, 0, &tensor, 1, nullptr, &outputs);
    if (status == VACCEL_OK) {
      EXPECT_EQ(*static_cast<const uint64_t*>(outputs->tensors[0].data), sum_of(bytes));
    }
    vaccel_outputs_free(outputs);
    return status;
  }

  vaccel_status echo(size_t size) {
    std::vector<uint8_t> bytes = pattern(size, next()), place(size);
    TensorView tensor("x", VACCEL_UINT8, bytes, {static_cast<int64_t>(size)});
    vaccel_tensor places[1]{};
    places[0].data = place.data();
    places[0].bytes = size;
    auto options = VACCEL_INIT(vaccel_call_options);
    options.outputs = places;
    options.output_count = 1;
    const auto status =
        vaccel_call(session_, "test.echo", nullptr, nullptr, 0, &tensor, 1, &options, nullptr);
    if (status == VACCEL_OK) {
      EXPECT_EQ(place, bytes);
    }
    return status;
  }

  vaccel_status fill(size_t size) {
    const auto value = static_cast<uint8_t>(next());
    const vaccel_attribute attributes[] = {number("bytes", static_cast<int64_t>(size)),
                                           number("value", value)};
    vaccel_outputs* outputs = nullptr;
    const auto status =
        vaccel_call(session_, "test.fill", nullptr, attributes, 2, nullptr, 0, nullptr, &outputs);
    if (status == VACCEL_OK) {
      EXPECT_EQ(bytes_of(outputs->tensors[0]), std::vector<uint8_t>(size, value));
    }
    vaccel_outputs_free(outputs);
    return status;
  }

  vaccel_status infer(size_t size) {
    std::vector<uint8_t> bytes = pattern(size, next());
    TensorView tensor("x", VACCEL_UINT8, bytes, {static_cast<int64_t>(size)});
    const std::string model = "model" + std::to_string(next() % 20);
    vaccel_outputs* outputs = nullptr;
    const auto status = vaccel_infer(session_, model.c_str(), &tensor, 1, nullptr, &outputs);
    if (status == VACCEL_OK) {
      EXPECT_EQ(bytes_of(outputs->tensors[0]), bytes);
    }
    vaccel_outputs_free(outputs);
    return status;
  }

  vaccel_status classify(size_t size) {
    const std::vector<uint8_t> image = pattern(size, next());
    vaccel_classes* classes = nullptr;
    const auto status = vaccel_classify(session_, "classifier", image.data(), size, 3, nullptr, &classes);
    if (status == VACCEL_OK) {
      EXPECT_EQ(classes->items[0].index, static_cast<int32_t>(size));
    }
    vaccel_classes_free(classes);
    return status;
  }

  uint32_t next() { return static_cast<uint32_t>(random_()); }

  vaccel_session* session_;
  std::mt19937 random_;
};

TEST(ConcurrencyTest, ResultsBelongToTheirCalls) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  in_parallel(8, [&](int thread) {
    MixedCalls calls(session.get(), thread);
    for (int call = 0; call < kCallsPerThread; ++call)
      ASSERT_EQ(calls.one(), VACCEL_OK) << vaccel_error_message();
  });
  EXPECT_EQ(server.connections, 1);
  EXPECT_EQ(server.models_opened, 21);
}

TEST(ConcurrencyTest, CallsGoOnWhileConnectionsAreLost) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  std::atomic<int> running = 4;
  std::atomic<int> lost = 0;
  std::atomic<int> done = 0;
  std::jthread breaker([&] {
    // Each time some calls have come through: their number, not the clock, says when.
    for (int next = 100; running > 0; next = done + 100) {
      while (running > 0 && done < next)
        std::this_thread::yield();
      server.drop_connections();
    }
  });
  in_parallel(4, [&](int thread) {
    MixedCalls calls(session.get(), thread);
    for (int call = 0; call < kCallsPerThread; ++call) {
      const auto status = calls.one();
      ++done;
      if (status == VACCEL_UNAVAILABLE) {
        ++lost;
      } else {
        ASSERT_EQ(status, VACCEL_OK) << vaccel_error_message();
      }
    }
    --running;
  });
  EXPECT_GT(server.connections, 10);
  EXPECT_LT(lost, done / 10);
}

TEST(ConcurrencyTest, DeadlinesAndCancelsLeaveOtherCallsAlone) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  in_parallel(6, [&](int thread) {
    MixedCalls calls(session.get(), thread);
    for (int call = 0; call < kCallsPerThread / 10; ++call) {
      if (thread % 3 == 0) {
        auto options = VACCEL_INIT(vaccel_call_options);
        options.deadline_ns = vaccel_deadline_after_us(1000);
        EXPECT_EQ(vaccel_call(session.get(), "test.hold", nullptr, nullptr, 0, nullptr, 0, &options, nullptr),
                  VACCEL_DEADLINE_EXCEEDED);
      } else if (thread % 3 == 1) {
        vaccel_request* request = submit(session.get(), "test.hold");
        if (call % 2 == 0) {
          vaccel_cancel(request);
          EXPECT_EQ(vaccel_wait(request, 0), VACCEL_CANCELLED) << vaccel_error_message();
        }
        vaccel_request_free(request);
      } else {
        ASSERT_EQ(calls.one(), VACCEL_OK) << vaccel_error_message();
      }
    }
  });
  EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK);
  EXPECT_EQ(server.connections, 1);
  EXPECT_EQ(server.holding, 0);  // all were cancelled at the other end too
}

TEST(ConcurrencyTest, AModelIsOpenedOnceForAllWhoWantIt) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  in_parallel(8, [&](int) { EXPECT_EQ(vaccel_model_load(session.get(), "m"), VACCEL_OK); });
  EXPECT_EQ(server.models_opened, 1);
}

TEST(ConcurrencyTest, LargeCallsBothWaysDoNotBlockEachOther) {
  // The server does not read while it sends; so this end must read while it sends.
  TestServer server;
  const auto session = open_session(server.endpoint());
  std::vector<uint8_t> bytes = pattern(3'000'000, 1);
  TensorView tensor("x", VACCEL_UINT8, bytes, {3'000'000});
  std::vector<vaccel_request*> requests;
  for (int call = 0; call < 8; ++call)
    requests.push_back(submit(session.get(), "test.echo", {}, {*tensor}));
  in_parallel(4, [&](int) {
    vaccel_outputs* outputs = nullptr;
    ASSERT_EQ(vaccel_call(session.get(), "test.echo", nullptr, nullptr, 0, &tensor, 1, nullptr, &outputs),
              VACCEL_OK);
    EXPECT_EQ(bytes_of(outputs->tensors[0]), bytes);
    vaccel_outputs_free(outputs);
  });
  for (vaccel_request* request : requests) {
    ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK) << vaccel_error_message();
    vaccel_outputs* outputs = nullptr;
    ASSERT_EQ(vaccel_request_outputs(request, &outputs), VACCEL_OK);
    EXPECT_EQ(bytes_of(outputs->tensors[0]), bytes);
    vaccel_outputs_free(outputs);
    vaccel_request_free(request);
  }
}

TEST(ConcurrencyTest, WaitersOfOneConnectionAllGetTheirAnswersOutOfOrder) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  std::vector<vaccel_request*> held;
  for (int call = 0; call < 16; ++call)
    held.push_back(submit(session.get(), "test.hold"));
  while (server.holding < 16)
    std::this_thread::yield();
  std::vector<std::jthread> waiters;
  std::atomic<int> done = 0;
  for (vaccel_request* request : held) {
    waiters.emplace_back([&done, request] {
      EXPECT_EQ(vaccel_wait(request, 0), VACCEL_CANCELLED);
      ++done;
    });
  }
  // One by one, the last first: each waiter that reads for the others must hand that on.
  for (size_t index = held.size(); index-- > 0;) {
    vaccel_cancel(held[index]);
    while (done < static_cast<int>(held.size() - index))
      std::this_thread::yield();
  }
  waiters.clear();
  for (vaccel_request* request : held)
    vaccel_request_free(request);
}

// ---- Submitted calls

class RequestTest : public testing::Test {
 protected:
  TestServer server_;
  SessionPtr session_ = open_session(server_.endpoint());

  vaccel_request* poll() {
    vaccel_request* request = nullptr;
    EXPECT_EQ(vaccel_poll(session_.get(), &request), VACCEL_OK);
    return request;
  }
};

TEST_F(RequestTest, AreWaitedForAndTakenOnce) {
  std::vector<uint8_t> bytes = pattern(1000, 1);
  TensorView tensor("x", VACCEL_UINT8, bytes, {1000});
  auto options = VACCEL_INIT(vaccel_call_options);
  options.user_data = this;
  vaccel_request* request = submit(session_.get(), "test.echo", {}, {*tensor}, &options);
  std::ranges::fill(bytes, 0);  // inputs may be reused at once
  EXPECT_EQ(vaccel_request_user_data(request), this);
  ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK);
  EXPECT_EQ(vaccel_request_done(request), 1);
  EXPECT_EQ(vaccel_request_status(request), VACCEL_OK);
  vaccel_outputs* outputs = nullptr;
  ASSERT_EQ(vaccel_request_outputs(request, &outputs), VACCEL_OK);
  EXPECT_EQ(bytes_of(outputs->tensors[0]), pattern(1000, 1));
  EXPECT_GT(outputs->timings.total_ns, 0u);
  vaccel_outputs_free(outputs);
  EXPECT_EQ(vaccel_request_outputs(request, &outputs), VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "the results of this request have been taken before");
  EXPECT_EQ(poll(), nullptr) << "what was waited for is not handed out again";
  vaccel_request_free(request);
}

TEST_F(RequestTest, ClassesAreTakenFromClassifyOnly) {
  vaccel_request* request = nullptr;
  ASSERT_EQ(vaccel_submit_classify(session_.get(), "m", "image", 5, 2, nullptr, &request), VACCEL_OK);
  vaccel_classes* classes = nullptr;
  ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK);
  ASSERT_EQ(vaccel_request_classes(request, &classes), VACCEL_OK);
  EXPECT_EQ(classes->items[0].index, 5);
  vaccel_classes_free(classes);
  vaccel_request_free(request);
  request = submit(session_.get(), "test.echo");
  ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK);
  EXPECT_EQ(vaccel_request_classes(request, &classes), VACCEL_INVALID_ARGUMENT);
  vaccel_request_free(request);
}

TEST_F(RequestTest, AWaitMayEndBeforeTheCall) {
  vaccel_request* request = submit(session_.get(), "test.hold");
  EXPECT_EQ(vaccel_wait(request, vaccel_deadline_after_us(1000)), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(vaccel_request_done(request), 0);
  EXPECT_EQ(vaccel_request_status(request), VACCEL_UNAVAILABLE);
  vaccel_outputs* outputs = nullptr;
  EXPECT_EQ(vaccel_request_outputs(request, &outputs), VACCEL_UNAVAILABLE);
  vaccel_cancel(request);
  EXPECT_EQ(vaccel_wait(request, 0), VACCEL_CANCELLED);
  EXPECT_STREQ(vaccel_error_message(), "cancelled by its caller");
  vaccel_request_free(request);
}

TEST_F(RequestTest, TheDescriptorTellsOfResults) {
  const int fd = vaccel_session_fd(session_.get());
  ASSERT_GE(fd, 0);
  EXPECT_EQ(vaccel_session_fd(session_.get()), fd);
  while (poll() != nullptr) {
  }
  EXPECT_FALSE(is_readable(fd, 0));
  std::set<vaccel_request*> submitted;
  for (int call = 0; call < 20; ++call)
    submitted.insert(
        submit(session_.get(), "test.fill", {number("bytes", call * 1000), number("value", call)}));
  while (!submitted.empty()) {
    ASSERT_TRUE(is_readable(fd, 10'000));
    while (vaccel_request* request = poll()) {
      EXPECT_EQ(submitted.erase(request), 1u);
      EXPECT_EQ(vaccel_request_status(request), VACCEL_OK);
      vaccel_request_free(request);
    }
  }
  EXPECT_FALSE(is_readable(fd, 0));
}

TEST_F(RequestTest, TheDescriptorTellsOfResultsThatOthersTookIn) {
  // A blocking call reads the answers that come before its own: one frame may hold all of them.
  const int fd = vaccel_session_fd(session_.get());
  for (int round = 0; round < 200; ++round) {
    while (poll() != nullptr) {
    }
    vaccel_request* first = submit(session_.get(), "test.echo");
    ASSERT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
    vaccel_request* second = submit(session_.get(), "test.echo");
    size_t taken = 0;
    while (taken < 2) {
      ASSERT_TRUE(is_readable(fd, 10'000));
      while (poll() != nullptr)
        ++taken;
    }
    vaccel_request_free(first);
    vaccel_request_free(second);
  }
}

TEST_F(RequestTest, TheDescriptorOutlivesConnections) {
  const int fd = vaccel_session_fd(session_.get());
  for (int round = 0; round < 3; ++round) {
    vaccel_request* request = submit(session_.get(), "test.hold");
    while (server_.holding <= round)
      std::this_thread::yield();
    server_.drop_connections();
    vaccel_request* completed = nullptr;
    while (completed == nullptr) {
      ASSERT_TRUE(is_readable(fd, 10'000));
      completed = poll();
    }
    EXPECT_EQ(completed, request);
    EXPECT_EQ(vaccel_request_status(request), VACCEL_UNAVAILABLE);
    EXPECT_EQ(poll(), nullptr);
    EXPECT_FALSE(is_readable(fd, 0)) << "a connection that was lost is not watched any more";
    vaccel_request_free(request);
  }
}

TEST_F(RequestTest, DeadlinesAreLookedAtByPoll) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(2000);
  vaccel_request* request = submit(session_.get(), "test.hold", {}, {}, &options);
  vaccel_request* completed = nullptr;
  while (completed == nullptr)
    completed = poll();
  EXPECT_EQ(completed, request);
  EXPECT_GE(now_ns(), options.deadline_ns);
  EXPECT_EQ(vaccel_request_status(request), VACCEL_DEADLINE_EXCEEDED);
  vaccel_request_free(request);
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
  EXPECT_EQ(server_.cancels, 1);
}

TEST_F(RequestTest, DeadlinesAreLookedAtByWait) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(2000);
  vaccel_request* request = submit(session_.get(), "test.hold", {}, {}, &options);
  EXPECT_EQ(vaccel_wait(request, 0), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(vaccel_request_done(request), 1);
  vaccel_request_free(request);
}

TEST_F(RequestTest, FreeingCancels) {
  vaccel_request* request = submit(session_.get(), "test.hold");
  vaccel_request_free(request);
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
  EXPECT_EQ(server_.cancels, 1);
  EXPECT_EQ(server_.holding, 0);
  EXPECT_EQ(poll(), nullptr);
}

TEST(GivingUpTest, ACallersMemoryIsItsOwnAgainWhenItGaveUpInThePayload) {
  // The server sends half a payload and stops; the caller gives up; another thread goes on reading for its own call
  // and takes in the rest, which must not land in the first caller's memory.
  std::atomic<bool> half_sent = false;
  std::atomic<bool> go_on = false;
  constexpr size_t kBytes = 400'000;
  TestServer server({.hook = [&](Peer& peer, const Frame& frame) {
    if (frame.header.kind != wire::Kind::kCall || half_sent) return false;
    wire::Encoder encoder;
    wire::Tensor tensor{.name = "y", .dtype = VACCEL_UINT8, .rank = 1, .offset = 0, .bytes = kBytes};
    tensor.shape[0] = kBytes;
    const auto body = encoder.encode(wire::CallResult{.outputs = {tensor}, .timings = {}});
    peer.write(wire::encode_header(
        {wire::Kind::kResult, 1, frame.header.request_id, static_cast<uint32_t>(body.size()), kBytes}));
    peer.write(body);
    const std::vector<std::byte> half(kBytes / 2, std::byte{0x55});
    peer.write(half);
    half_sent = true;
    while (!go_on)
      std::this_thread::yield();
    peer.write(half);
    return true;
  }});
  const auto session = open_session(server.endpoint());
  std::vector<uint8_t> memory(kBytes, 0);
  vaccel_tensor places[1]{};
  places[0].data = memory.data();
  places[0].bytes = memory.size();
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = places;
  options.output_count = 1;
  vaccel_request* request = submit(session.get(), "test.any", {}, {}, &options);
  std::jthread other([&] {
    while (!half_sent)
      std::this_thread::yield();
    EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK) << vaccel_error_message();
  });
  // The other thread reads meanwhile.
  while (!half_sent)
    std::this_thread::yield();
  EXPECT_EQ(vaccel_wait(request, vaccel_deadline_after_us(20'000)), VACCEL_DEADLINE_EXCEEDED);
  vaccel_request_free(request);
  std::ranges::fill(memory, uint8_t{7});
  go_on = true;
  other.join();
  EXPECT_EQ(memory, std::vector<uint8_t>(kBytes, 7));
  EXPECT_EQ(server.connections, 1);
}

TEST(GivingUpTest, ACallThatIsGivenUpWhileItIsSentLeavesTheOthersAlone) {
  // The server does not read while it holds up this thread; so a large call is stuck half-way when its deadline
  // passes. The rest of it follows, and what comes after is understood.
  std::atomic<bool> held_up = false;
  std::atomic<bool> go_on = false;
  TestServer server({.hook = [&](Peer&, const Frame& frame) {
    if (frame.header.kind == wire::Kind::kCall && !held_up.exchange(true)) {
      while (!go_on)
        std::this_thread::yield();
    }
    return false;
  }});
  const auto session = open_session(server.endpoint());
  vaccel_request* first = submit(session.get(), "test.echo");
  while (!held_up)
    std::this_thread::yield();
  std::vector<uint8_t> bytes = pattern(5'000'000, 1);
  TensorView tensor("x", VACCEL_UINT8, bytes, {5'000'000});
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(20'000);
  EXPECT_EQ(vaccel_call(session.get(), "test.hold", nullptr, nullptr, 0, &tensor, 1, &options, nullptr),
            VACCEL_DEADLINE_EXCEEDED);
  EXPECT_NE(std::string(vaccel_error_message()).find("while the call was being sent"), std::string::npos)
      << vaccel_error_message();
  bytes.assign(bytes.size(), 0);  // it is the caller's again
  go_on = true;
  EXPECT_EQ(vaccel_wait(first, 0), VACCEL_OK) << vaccel_error_message();  // its waiter sends the rest
  vaccel_request_free(first);
  EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK) << vaccel_error_message();
  EXPECT_EQ(server.connections, 1);
  EXPECT_EQ(server.calls, 3);
  EXPECT_EQ(server.cancels, 1);
  EXPECT_EQ(server.holding, 0);
}

// ---- Connections that die unseen

TEST(ReconnectTest, ATcpConnectionThatDiedIsReplacedBeforeTheCall) {
  TestServer server("tcp:127.0.0.1:0", {});
  const auto session = open_session(server.endpoint());
  for (int round = 1; round <= 5; ++round) {
    ASSERT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK) << vaccel_error_message();
    EXPECT_EQ(server.connections, round);
    server.drop_connections();
  }
}

TEST(ReconnectTest, AUnixConnectionThatDiedIsReplacedBeforeTheCall) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  std::vector<uint8_t> bytes = pattern(1'000'000, 1);
  TensorView tensor("x", VACCEL_UINT8, bytes, {1'000'000});
  for (int round = 1; round <= 5; ++round) {
    ASSERT_EQ(vaccel_infer(session.get(), "m", &tensor, 1, nullptr, nullptr), VACCEL_INVALID_ARGUMENT);
    ASSERT_EQ(vaccel_call(session.get(), "infer", "m", nullptr, 0, &tensor, 1, nullptr, nullptr), VACCEL_OK)
        << vaccel_error_message();
    EXPECT_EQ(server.connections, round);
    EXPECT_EQ(server.models_opened, round);  // handles belong to a connection
    server.drop_connections();
  }
}

TEST(ReconnectTest, TheServerComesBackAtTheSameEndpoint) {
  const std::string endpoint = fresh_endpoint();
  auto server = std::make_unique<TestServer>(endpoint, TestServer::Options{});
  const auto session = open_session(endpoint);
  ASSERT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK);
  server.reset();
  EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_UNAVAILABLE);
  EXPECT_NE(std::string(vaccel_error_message()).find("cannot connect"), std::string::npos)
      << vaccel_error_message();
  server = std::make_unique<TestServer>(endpoint, TestServer::Options{});
  EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK) << vaccel_error_message();
}

TEST(ReconnectTest, ManyThreadsShareTheNewConnection) {
  TestServer server;
  const auto session = open_session(server.endpoint());
  server.drop_connections();
  in_parallel(8, [&](int) { EXPECT_EQ(vaccel_ping(session.get(), nullptr, nullptr), VACCEL_OK); });
  EXPECT_EQ(server.connections, 2);
}

}  // namespace
}  // namespace vaccel::client
