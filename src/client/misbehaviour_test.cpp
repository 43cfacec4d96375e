// SPDX-License-Identifier: Apache-2.0
//
// What happens when the other end is no agent, a broken one, or gone.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "client/client_testing.h"
#include "core/clock.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

std::vector<std::byte> bytes(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

// What vaccel_open() says of a server that answers the greeting in some way.
class GreetingTest : public testing::Test {
 protected:
  vaccel_status open(std::function<void(Peer&, const Frame&)> answer, uint32_t timeout_ms = 3000) {
    TestServer::Options options;
    options.hook = [answer = std::move(answer)](Peer& peer, const Frame& frame) {
      answer(peer, frame);
      return true;
    };
    TestServer server(std::move(options));
    auto open_options = VACCEL_INIT(vaccel_open_options);
    open_options.connect_timeout_ms = timeout_ms;
    const auto status = vaccel_open(server.endpoint().c_str(), &open_options, &session_);
    sentence_ = vaccel_error_message();
    return status;
  }
  [[nodiscard]] bool says(const char* part) const { return sentence_.find(part) != std::string::npos; }

  vaccel_session* session_ = nullptr;
  std::string sentence_;
};

TEST_F(GreetingTest, TellsItsNameAndItsVersions) {
  wire::Hello hello;
  EXPECT_NE(open([&](Peer& peer, const Frame& frame) {
              EXPECT_EQ(frame.header.kind, wire::Kind::kHello);
              EXPECT_EQ(frame.header.request_id, 1u);
              hello = wire::decode_hello(frame.body).value();
              peer.shut_down();
            }),
            VACCEL_OK);
  EXPECT_EQ(hello.version_min, 1);
  EXPECT_EQ(hello.version_max, 1);
  EXPECT_EQ(hello.client, program_invocation_short_name);
}

TEST_F(GreetingTest, NobodyListens) {
  EXPECT_EQ(vaccel_open(fresh_endpoint().c_str(), nullptr, &session_), VACCEL_UNAVAILABLE);
  EXPECT_NE(std::string(vaccel_error_message()).find("is the agent (vacceld) running"), std::string::npos);
  EXPECT_EQ(session_, nullptr);
}

TEST_F(GreetingTest, NotAllowed) {
  const TestServer server;
  ::chmod(server.endpoint().c_str() + 5, 0);
  const uid_t user = ::geteuid();
  if (user == 0) {  // who may connect to every socket
    ASSERT_EQ(::seteuid(65534), 0);
  }
  EXPECT_EQ(vaccel_open(server.endpoint().c_str(), nullptr, &session_), VACCEL_PERMISSION_DENIED);
  if (user == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
}

TEST_F(GreetingTest, EndpointsThatAreNone) {
  for (const char* endpoint : {"", "x", "unix:", "http://127.0.0.1", "tcp:127.0.0.1", "hvsock:/tmp/x:4411"}) {
    EXPECT_EQ(vaccel_open(endpoint, nullptr, &session_), VACCEL_INVALID_ARGUMENT) << endpoint;
  }
}

TEST_F(GreetingTest, AnotherProtocol) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) {
              peer.write(bytes("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
            }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("does not speak vAccel")) << sentence_;
}

TEST_F(GreetingTest, AVersionThatWasNotOffered) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) { peer.reply(1, wire::Welcome{.version = 9, .server = "x"}); }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("it chose protocol version 9; this library speaks 1 to 1")) << sentence_;
}

TEST_F(GreetingTest, NoVersionInCommon) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) {
              peer.reply(1,
                         wire::Failure{.code = VACCEL_UNIMPLEMENTED, .message = "this agent speaks 7 to 8"});
            }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("this agent speaks 7 to 8")) << sentence_;
}

TEST_F(GreetingTest, ARefusal) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) {
              peer.reply(1,
                         wire::Failure{.code = VACCEL_RESOURCE_EXHAUSTED, .message = "64 sessions are open"});
            }),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(says("refused the session: 64 sessions are open")) << sentence_;
}

TEST_F(GreetingTest, AnotherAnswer) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) { peer.reply(1, wire::Done{}); }), VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("answered the greeting with a done frame")) << sentence_;
  EXPECT_EQ(open([](Peer& peer, const Frame&) { peer.reply(2, wire::Welcome{.version = 1}); }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_EQ(open([](Peer& peer, const Frame&) {
              peer.reply_raw(wire::Kind::kWelcome, 1, bytes("not a body"), {});
            }),
            VACCEL_PROTOCOL_ERROR);
}

TEST_F(GreetingTest, HalfAFrameThenTheEnd) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) {
              const auto header = wire::encode_header({wire::Kind::kWelcome, 1, 1, 40, 0});
              peer.write(std::span(header).first(20));
              peer.shut_down();
            }),
            VACCEL_UNAVAILABLE);
  EXPECT_TRUE(says("within a frame")) << sentence_;
}

TEST_F(GreetingTest, TheEndAtOnce) {
  EXPECT_EQ(open([](Peer& peer, const Frame&) { peer.shut_down(); }), VACCEL_UNAVAILABLE);
  EXPECT_TRUE(says("closed the connection instead of answering")) << sentence_;
}

TEST_F(GreetingTest, Silence) {
  const int64_t before = now_ns();
  EXPECT_EQ(open([](Peer&, const Frame&) {}, 50), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_GE(now_ns() - before, 50'000'000);
  EXPECT_TRUE(says("did not answer in time")) << sentence_;
}

TEST_F(GreetingTest, HalfAFrameThenSilence) {
  EXPECT_EQ(open(
                [](Peer& peer, const Frame&) {
                  const auto header = wire::encode_header({wire::Kind::kWelcome, 1, 1, 40, 0});
                  peer.write(std::span(header).first(20));
                },
                50),
            VACCEL_DEADLINE_EXCEEDED);
}

// What a call says when the server answers it in some way; and that a good server at the same endpoint serves the
// next one.
class AnswerTest : public testing::Test {
 protected:
  vaccel_status call(std::function<void(Peer&, const Frame&)> answer) {
    answer_ = std::move(answer);
    armed_ = true;
    session_ = open_session(server_.endpoint());
    std::vector<uint8_t> input = pattern(100, 1);
    TensorView tensor("x", VACCEL_UINT8, input, {100});
    vaccel_outputs* outputs = nullptr;
    const auto status =
        vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, &tensor, 1, options_, &outputs);
    sentence_ = vaccel_error_message();
    EXPECT_EQ(outputs, nullptr);
    vaccel_outputs_free(outputs);
    return status;
  }

  void expect_next_call_works(int connections) {
    EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK) << vaccel_error_message();
    EXPECT_EQ(server_.connections, connections);
  }

  // A result with one tensor as given, and a payload of so many bytes.
  static std::function<void(Peer&, const Frame&)> result(wire::Tensor tensor, size_t payload_bytes) {
    return [tensor, payload_bytes](Peer& peer, const Frame& frame) {
      peer.reply(frame.header.request_id, wire::CallResult{.outputs = {tensor}, .timings = {}},
                 std::vector<std::byte>(payload_bytes));
    };
  }
  static wire::Tensor tensor(int32_t dtype, int64_t count, uint64_t offset, uint64_t size) {
    wire::Tensor value{.name = "y", .dtype = dtype, .rank = 1, .offset = offset, .bytes = size};
    value.shape[0] = count;
    return value;
  }
  [[nodiscard]] bool says(const char* part) const { return sentence_.find(part) != std::string::npos; }

  std::function<void(Peer&, const Frame&)> answer_;
  std::atomic<bool> armed_ = false;
  TestServer server_{{.hook = [this](Peer& peer, const Frame& frame) {
    if (frame.header.kind != wire::Kind::kCall || !armed_.exchange(false)) return false;
    answer_(peer, frame);
    return true;
  }}};
  const vaccel_call_options* options_ = nullptr;
  SessionPtr session_;
  std::string sentence_;
};

TEST_F(AnswerTest, TheConnectionEndsInACall) {
  EXPECT_EQ(call([](Peer& peer, const Frame&) { peer.shut_down(); }), VACCEL_UNAVAILABLE);
  EXPECT_TRUE(says("closed the connection before it answered")) << sentence_;
  EXPECT_EQ(server_.calls, 0) << "a call in flight must not be sent again";
  expect_next_call_works(2);
}

TEST_F(AnswerTest, TheConnectionEndsInAHeader) {
  EXPECT_EQ(
      call([](Peer& peer, const Frame& frame) {
        const auto header = wire::encode_header({wire::Kind::kResult, 1, frame.header.request_id, 0, 0});
        peer.write(std::span(header).first(31));
        peer.shut_down();
      }),
      VACCEL_UNAVAILABLE);
  expect_next_call_works(2);
}

TEST_F(AnswerTest, TheConnectionEndsInAPayload) {
  EXPECT_EQ(call([](Peer& peer, const Frame& frame) {
              wire::Encoder encoder;
              const auto body = encoder.encode(
                  wire::CallResult{.outputs = {tensor(VACCEL_UINT8, 100'000, 0, 100'000)}, .timings = {}});
              peer.write(wire::encode_header({wire::Kind::kResult, 1, frame.header.request_id,
                                              static_cast<uint32_t>(body.size()), 100'000}));
              peer.write(body);
              peer.write(std::vector<std::byte>(50'000));
              peer.shut_down();
            }),
            VACCEL_UNAVAILABLE);
  EXPECT_TRUE(says("50000 bytes of a payload missing")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, Garbage) {
  EXPECT_EQ(call([](Peer& peer, const Frame&) { peer.write(std::vector<std::byte>(100, std::byte{0xa5})); }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("does not speak vAccel")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, ABodyThatIsNone) {
  EXPECT_EQ(call([](Peer& peer, const Frame& frame) {
              peer.reply_raw(wire::Kind::kResult, frame.header.request_id, bytes("this is no body of ours"),
                             {});
            }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("the agent's result cannot be used")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, AFailureWithoutACode) {
  EXPECT_EQ(call([](Peer& peer, const Frame& frame) {
              peer.reply(frame.header.request_id, wire::Failure{.code = VACCEL_OK, .message = "all is well"});
            }),
            VACCEL_PROTOCOL_ERROR);
  expect_next_call_works(2);
}

TEST_F(AnswerTest, AnotherKindOfAnswer) {
  EXPECT_EQ(
      call([](Peer& peer, const Frame& frame) { peer.reply(frame.header.request_id, wire::ModelOpened{1}); }),
      VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("a model-opened frame instead of a result frame")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, AnAnswerToNothing) {
  EXPECT_EQ(call([](Peer& peer, const Frame&) { peer.reply(123'456, wire::CallResult{}); }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("answered request 123456, which was never made")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, TwoAnswers) {
  // The second one is for nobody, as is the late answer to a call that was given up: it is dropped.
  session_ = open_session(server_.endpoint());
  answer_ = [](Peer& peer, const Frame& frame) {
    peer.reply(frame.header.request_id, wire::CallResult{});
    peer.reply(frame.header.request_id, wire::CallResult{});
  };
  armed_ = true;
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
  expect_next_call_works(1);
}

TEST_F(AnswerTest, ATensorBeyondThePayload) {
  EXPECT_EQ(call(result(tensor(VACCEL_UINT8, 100, 64, 100), 100)), VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("reaches beyond the payload's 100 bytes")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, ATensorOfAnotherSize) {
  EXPECT_EQ(call(result(tensor(VACCEL_FLOAT32, 100, 0, 100), 100)), VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("takes 400 bytes, not 100")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, ATensorInMemoryThatIsNotShared) {
  auto elsewhere = tensor(VACCEL_UINT8, 100, 0, 100);
  elsewhere.segment = wire::Segment::kResults;
  EXPECT_EQ(call(result(elsewhere, 100)), VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("segment 2")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, StringsThatAreNone) {
  EXPECT_EQ(call(result(tensor(VACCEL_STRING, 3, 0, 40), 40)), VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("result 'y'")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, TensorsThatShareBytesCannotGoToTheCallersMemory) {
  std::vector<uint8_t> one(100), two(100);
  vaccel_tensor places[2]{};
  places[0].data = one.data();
  places[1].data = two.data();
  places[0].bytes = places[1].bytes = 100;
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = places;
  options.output_count = 2;
  options_ = &options;
  EXPECT_EQ(call([](Peer& peer, const Frame& frame) {
              const auto same = tensor(VACCEL_UINT8, 100, 0, 100);
              peer.reply(frame.header.request_id, wire::CallResult{.outputs = {same, same}, .timings = {}},
                         std::vector<std::byte>(100));
            }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("share bytes")) << sentence_;
}

TEST_F(AnswerTest, APayloadOfHugeSizeCostsNothingUntilItComes) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(100'000);
  options_ = &options;
  const auto status = call([](Peer& peer, const Frame& frame) {
    wire::Encoder encoder;
    const auto body = encoder.encode(wire::CallResult{
        .outputs = {tensor(VACCEL_UINT8, int64_t{1} << 34, 0, wire::kMaxPayloadBytes)}, .timings = {}});
    peer.write(wire::encode_header({wire::Kind::kResult, 1, frame.header.request_id,
                                    static_cast<uint32_t>(body.size()), wire::kMaxPayloadBytes}));
    peer.write(body);
    peer.write(std::vector<std::byte>(1000));
  });
  // Which of the two depends on whether the system promises 16 GiB that it may not have.
  EXPECT_TRUE(status == VACCEL_DEADLINE_EXCEEDED || status == VACCEL_RESOURCE_EXHAUSTED) << sentence_;
}

TEST_F(AnswerTest, APayloadLargerThanTheProtocolAllows) {
  EXPECT_EQ(call([](Peer& peer, const Frame& frame) {
              peer.write(wire::encode_header(
                  {wire::Kind::kResult, 1, frame.header.request_id, 8, uint64_t{1} << 63}));
            }),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_TRUE(says("may not have a payload of 9223372036854775808 bytes")) << sentence_;
  expect_next_call_works(2);
}

TEST_F(AnswerTest, TheOtherCallsOfTheConnectionEndWithIt) {
  session_ = open_session(server_.endpoint());
  vaccel_request* held = nullptr;
  ASSERT_EQ(vaccel_submit_call(session_.get(), "test.hold", nullptr, nullptr, 0, nullptr, 0, nullptr, &held),
            VACCEL_OK);
  answer_ = [](Peer& peer, const Frame&) { peer.shut_down(); };
  while (server_.holding == 0)
    std::this_thread::yield();
  armed_ = true;
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_UNAVAILABLE);
  EXPECT_EQ(vaccel_request_done(held), 1);
  EXPECT_EQ(vaccel_wait(held, 0), VACCEL_UNAVAILABLE);
  vaccel_request_free(held);
  expect_next_call_works(2);
}

TEST_F(AnswerTest, ClassesThatAreNone) {
  session_ = open_session(server_.endpoint());
  answer_ = result(tensor(VACCEL_INT32, 1, 0, 4), 4);
  armed_ = true;
  vaccel_classes* classes = nullptr;
  EXPECT_EQ(vaccel_classify(session_.get(), "m", "image", 5, 1, nullptr, &classes), VACCEL_PROTOCOL_ERROR);
  EXPECT_NE(std::string(vaccel_error_message()).find("no result 'index' of type int32"), std::string::npos)
      << vaccel_error_message();
}

}  // namespace
}  // namespace vaccel::client
