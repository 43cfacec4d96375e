// SPDX-License-Identifier: Apache-2.0
#include "channel/stream.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <numeric>
#include <thread>

#include "wire/limits.h"

namespace vaccel::channel {
namespace {

std::vector<std::byte> pattern(size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (size_t index = 0; index < size; ++index)
    bytes[index] = static_cast<std::byte>(index * 31 + static_cast<size_t>(seed) + (index >> 8));
  return bytes;
}

class StreamTest : public testing::Test {
 protected:
  StreamTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    raw_ = ends[0];
    a_.emplace(UniqueFd{ends[0]});
    b_.emplace(UniqueFd{ends[1]});
  }

  static void send_whole(StreamChannel& channel, uint64_t id, std::span<const std::byte> body,
                         std::vector<std::span<const std::byte>> payload) {
    ASSERT_TRUE(channel.send(wire::Kind::kCall, id, body, payload, nullptr).ok());
    while (channel.sending()) {
      pollfd waiting{channel.fd(), POLLOUT, 0};
      ::poll(&waiting, 1, -1);
      ASSERT_TRUE(channel.flush().ok());
    }
  }

  int raw_ = -1;  // a_'s descriptor, to write what a channel never would
  std::optional<StreamChannel> a_, b_;
};

TEST_F(StreamTest, SmallFramesArriveTogetherAndInOrder) {
  const auto body = pattern(40, 1);
  for (uint64_t id = 1; id <= 10; ++id)
    send_whole(*a_, id, body, {});
  for (uint64_t id = 1; id <= 10; ++id) {
    ASSERT_EQ(b_->receive(false).value(), Event::kFrame);
    EXPECT_EQ(b_->header().request_id, id);
    EXPECT_TRUE(std::ranges::equal(b_->body(), body));
  }
  EXPECT_EQ(b_->receive(false).value(), Event::kBlocked);
  a_.reset();
  EXPECT_EQ(b_->receive(false).value(), Event::kClosed);
}

// Every way in which body and payload sizes can meet the channel's buffer of 4096 bytes.
class StreamSizes : public StreamTest, public testing::WithParamInterface<std::tuple<size_t, size_t>> {};

TEST_P(StreamSizes, BodyAndPayloadArriveWholeAndAfterThemTheNextFrame) {
  const auto [body_size, payload_size] = GetParam();
  const auto body = pattern(body_size, 1);
  const auto payload = pattern(payload_size, 2);
  std::jthread sender([&] {
    const std::span whole(payload);
    const size_t half = payload_size / 2;
    send_whole(*a_, 7, body, {whole.first(half), whole.subspan(half)});
    send_whole(*a_, 8, pattern(100, 3), {});
  });
  Event event = b_->receive(true).value();
  while (event == Event::kPartial)
    event = b_->receive(true).value();
  ASSERT_EQ(event, Event::kFrame);
  EXPECT_EQ(b_->header().request_id, 7u);
  ASSERT_TRUE(std::ranges::equal(b_->body(), body));
  ASSERT_EQ(b_->header().payload_bytes, payload_size);
  if (payload_size > 0) {
    std::vector<std::byte> received(payload_size);
    const size_t third = payload_size / 3;  // a gap in the middle goes nowhere
    const Destination destinations[] = {
        {received.data(), third}, {nullptr, third}, {received.data() + 2 * third, payload_size - 2 * third}};
    b_->accept_payload(destinations);
    do {
      event = b_->receive(true).value();
    } while (event == Event::kPartial);
    ASSERT_EQ(event, Event::kPayload);
    EXPECT_TRUE(
        std::equal(received.begin(), received.begin() + static_cast<std::ptrdiff_t>(third), payload.begin()));
    EXPECT_TRUE(std::equal(received.begin() + static_cast<std::ptrdiff_t>(2 * third), received.end(),
                           payload.begin() + static_cast<std::ptrdiff_t>(2 * third)));
  }
  do {
    event = b_->receive(true).value();
  } while (event == Event::kPartial);
  ASSERT_EQ(event, Event::kFrame);
  EXPECT_EQ(b_->header().request_id, 8u);
  EXPECT_TRUE(std::ranges::equal(b_->body(), pattern(100, 3)));
}

INSTANTIATE_TEST_SUITE_P(Stream, StreamSizes,
                         testing::Combine(testing::Values(0, 8, 4063, 4064, 4065, 65536),
                                          testing::Values(0, 1, 64, 4000, 4064, 5000, 1000000)));

TEST_F(StreamTest, DiscardedPayloadsGoNowhere) {
  const auto payload = pattern(500'000, 2);
  std::jthread sender([&] {
    send_whole(*a_, 1, pattern(8, 1), {payload});
    send_whole(*a_, 2, pattern(8, 1), {});
  });
  Event event;
  do {
    event = b_->receive(true).value();
  } while (event == Event::kPartial);
  ASSERT_EQ(event, Event::kFrame);
  b_->discard_payload();
  do {
    event = b_->receive(true).value();
  } while (event == Event::kPartial);
  EXPECT_EQ(event, Event::kPayload);
  do {
    event = b_->receive(true).value();
  } while (event == Event::kPartial);
  EXPECT_EQ(event, Event::kFrame);
  EXPECT_EQ(b_->header().request_id, 2u);
}

TEST_F(StreamTest, WhatIsKeptIsNeededNoLonger) {
  auto payload = pattern(4'000'000, 1);
  const auto sent = payload;
  const std::span<const std::byte> halves[] = {std::span(payload).first(1'000'000),
                                               std::span(payload).subspan(1'000'000)};
  ASSERT_TRUE(a_->send(wire::Kind::kResult, 1, {}, halves, nullptr).ok());
  ASSERT_TRUE(a_->sending());
  const uint64_t unsent = a_->unsent_bytes();
  ASSERT_TRUE(a_->keep_unsent().ok());
  EXPECT_EQ(a_->unsent_bytes(), unsent);
  std::ranges::fill(payload, std::byte{0});
  std::vector<std::byte> received(payload.size());
  std::jthread drain([&] {
    Event event = b_->receive(true).value();
    while (event != Event::kFrame)
      event = b_->receive(true).value();
    const Destination all{received.data(), received.size()};
    b_->accept_payload({&all, 1});
    while (b_->receive(true).value() != Event::kPayload) {
    }
  });
  while (a_->sending()) {
    pollfd waiting{a_->fd(), POLLOUT, 0};
    ::poll(&waiting, 1, -1);
    ASSERT_TRUE(a_->flush().ok());
  }
  drain.join();
  EXPECT_EQ(received, sent);
}

TEST_F(StreamTest, WhatIsRetainedGoesWhenThePayloadHasGone) {
  struct Flag final : Retained {
    explicit Flag(bool& gone) : gone_(gone) {}
    ~Flag() override { gone_ = true; }
    bool& gone_;
  };
  bool gone = false;
  const auto payload = pattern(4'000'000, 1);
  const std::span<const std::byte> piece(payload);
  ASSERT_TRUE(a_->send(wire::Kind::kResult, 1, {}, {&piece, 1}, std::make_unique<Flag>(gone)).ok());
  EXPECT_TRUE(a_->sending());
  EXPECT_GT(a_->unsent_bytes(), 0u);
  EXPECT_FALSE(gone);
  std::jthread drain([&] {
    while (b_->receive(true).value() != Event::kPayload) {
    }
  });
  while (a_->sending()) {
    pollfd waiting{a_->fd(), POLLOUT, 0};
    ::poll(&waiting, 1, -1);
    ASSERT_TRUE(a_->flush().ok());
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(a_->unsent_bytes(), 0u);
}

TEST_F(StreamTest, RubbishIsAProtocolError) {
  const auto rubbish = pattern(64, 9);
  ASSERT_EQ(::write(raw_, rubbish.data(), rubbish.size()), 64);
  EXPECT_EQ(b_->receive(false).error().code(), VACCEL_PROTOCOL_ERROR);
}

TEST_F(StreamTest, AnotherVersionIsAProtocolErrorExceptInAGreeting) {
  const auto hello = wire::encode_header({wire::Kind::kHello, 9, 1, 0, 0});
  const auto call = wire::encode_header({wire::Kind::kCall, 9, 1, 0, 0});
  ASSERT_EQ(::write(raw_, hello.data(), hello.size()), 32);
  EXPECT_EQ(b_->receive(false).value(), Event::kFrame);
  ASSERT_EQ(::write(raw_, call.data(), call.size()), 32);
  EXPECT_EQ(b_->receive(false).error().code(), VACCEL_PROTOCOL_ERROR);
}

TEST_F(StreamTest, AnEndWithinAFrameIsToldFromOneBetween) {
  const auto header = wire::encode_header({wire::Kind::kCall, 1, 1, 100, 50});
  for (const size_t length : {size_t{5}, header.size()}) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    StreamChannel channel{UniqueFd{ends[1]}};
    ASSERT_EQ(::write(ends[0], header.data(), length), static_cast<ssize_t>(length));
    EXPECT_EQ(channel.receive(false).value(), Event::kBlocked);
    EXPECT_TRUE(channel.within_frame());
    ::close(ends[0]);
    EXPECT_EQ(channel.receive(false).error().code(), VACCEL_UNAVAILABLE);
  }
}

TEST_F(StreamTest, ADeadPeerIsSeenBeforeAnythingIsSent) {
  b_.reset();
  const Status status = a_->send(wire::Kind::kCall, 1, pattern(8, 1), {}, nullptr);
  EXPECT_EQ(status.code(), VACCEL_UNAVAILABLE);
  EXPECT_TRUE(a_->nothing_sent());
}

}  // namespace
}  // namespace vaccel::channel
