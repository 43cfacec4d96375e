// SPDX-License-Identifier: Apache-2.0
#include "channel/ring_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "wire/messages.h"

namespace vaccel::channel {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Both ends of a channel in one process. @param sockets  Else wake-ups go over the stream.
struct Pair {
  explicit Pair(bool sockets, int64_t spin_ns = 0) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    client = std::make_unique<RingChannel>(StreamChannel(UniqueFd(ends[0])));
    server = std::make_unique<RingChannel>(StreamChannel(UniqueFd(ends[1])));
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(4096, kRingPairBytes + 4096)), std::free);
    std::memset(memory.get(), 0, kRingPairBytes);
    initialise_rings(memory.get());
    std::array<UniqueFd, 2> wakes;
    if (sockets) wakes = make_wake_sockets().value();
    client->attach(memory.get(), memory, RingChannel::Side::kClient, std::move(wakes[0]), spin_ns);
    server->attach(memory.get(), memory, RingChannel::Side::kServer, std::move(wakes[1]), spin_ns);
  }
  std::shared_ptr<std::byte> memory;
  std::unique_ptr<RingChannel> client;
  std::unique_ptr<RingChannel> server;
};

Status send(RingChannel& channel, wire::Kind kind, uint64_t id, const std::string& body,
            const std::string& payload = {}) {
  const auto piece = bytes_of(payload);
  return channel.send(kind, id, bytes_of(body),
                      payload.empty() ? std::span<const std::span<const std::byte>>{} : std::span(&piece, 1),
                      nullptr);
}

struct Received {
  wire::Kind kind;
  uint64_t id;
  std::string body;
  std::string payload;
};

// The next frame, its payload included.
Received receive(RingChannel& channel) {
  for (;;) {
    const auto event = channel.receive(true);
    if (!event || *event == Event::kClosed) return {};
    if (*event != Event::kFrame) continue;
    Received frame{channel.header().kind,
                   channel.header().request_id,
                   {reinterpret_cast<const char*>(channel.body().data()), channel.body().size()},
                   std::string(channel.header().payload_bytes, '\0')};
    if (frame.payload.empty()) return frame;
    const Destination destination{reinterpret_cast<std::byte*>(frame.payload.data()), frame.payload.size()};
    channel.accept_payload({&destination, 1});
    while (channel.receive(true).value() != Event::kPayload) {
    }
    return frame;
  }
}

class RingChannelTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Wakes, RingChannelTest, testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "socket" : "stream"; });

TEST_P(RingChannelTest, SmallCallsGoThroughTheRing) {
  Pair pair(GetParam());
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 5, "body", "payload").ok());
  const Received call = receive(*pair.server);
  EXPECT_EQ(call.kind, wire::Kind::kCall);
  EXPECT_EQ(call.id, 5u);
  EXPECT_EQ(call.body, "body");
  EXPECT_EQ(call.payload, "payload");
  EXPECT_EQ(pair.server->received().ring_frames, 1u);
  EXPECT_EQ(pair.server->received().stream_frames, 0u);
}

TEST_P(RingChannelTest, LargeOnesAndOtherKindsGoOverTheStream) {
  Pair pair(GetParam());
  const std::string large(20'000, 'x');
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 1, "body", large).ok());
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCancel, 2, "body").ok());
  EXPECT_EQ(receive(*pair.server).payload, large);
  EXPECT_EQ(receive(*pair.server).kind, wire::Kind::kCancel);
  EXPECT_EQ(pair.server->received().ring_frames, 0u);
}

TEST_P(RingChannelTest, AServerUsesItsRingOnceItsClientHas) {
  Pair pair(GetParam());
  ASSERT_TRUE(send(*pair.server, wire::Kind::kResult, 1, "before").ok());
  EXPECT_EQ(pair.server->sent().ring_frames, 0u);
  EXPECT_EQ(receive(*pair.client).body, "before");
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 2, "call").ok());
  ASSERT_EQ(receive(*pair.server).body, "call");
  ASSERT_TRUE(send(*pair.server, wire::Kind::kResult, 2, "after").ok());
  EXPECT_EQ(pair.server->sent().ring_frames, 1u);
  EXPECT_EQ(receive(*pair.client).body, "after");
}

TEST_P(RingChannelTest, WhatFindsTheRingFullGoesOverTheStream) {
  Pair pair(GetParam());
  constexpr uint64_t kFrames = 100;
  const std::string body(1000, 'b');
  for (uint64_t id = 1; id <= kFrames; ++id)
    ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, id, body).ok());
  EXPECT_GT(pair.client->sent().stream_frames, 0u);
  std::vector<bool> seen(kFrames + 1);
  for (uint64_t count = 0; count < kFrames; ++count)
    seen[receive(*pair.server).id] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<std::ptrdiff_t>(kFrames));
}

TEST_P(RingChannelTest, AFrameOnTheStreamComesAfterWhatWasInTheRingBeforeIt) {
  Pair pair(GetParam());
  for (uint64_t round = 0; round < 50; ++round) {
    ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 2 * round + 1, "call").ok());
    ASSERT_TRUE(send(*pair.client, wire::Kind::kCancel, 2 * round + 2, "cancel").ok());
    EXPECT_EQ(receive(*pair.server).id, 2 * round + 1);
    EXPECT_EQ(receive(*pair.server).id, 2 * round + 2);
  }
}

TEST_P(RingChannelTest, BothWaysWhetherTheySpinOrSleep) {
  for (const int64_t spin_ns : {int64_t{0}, int64_t{2'000}, int64_t{50'000}}) {
    Pair pair(GetParam(), spin_ns);
    std::jthread serving([&] {
      for (Received call = receive(*pair.server); call.id != 0; call = receive(*pair.server))
        (void)send(*pair.server, wire::Kind::kResult, call.id, call.body, call.payload);
    });
    for (uint64_t id = 1; id <= 3000; ++id) {
      const std::string payload(id % 300, 'p');
      ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, id, "some body", payload).ok());
      const Received result = receive(*pair.client);
      ASSERT_EQ(result.id, id);
      ASSERT_EQ(result.payload, payload);
    }
    EXPECT_EQ(pair.client->received().ring_frames, 3000u);
    ::shutdown(pair.client->fd(), SHUT_RDWR);
  }
}

TEST(RingChannelRouse, WakesASleeperOnceAndSaysThatAFrameFollows) {
  Pair pair(/*sockets=*/true);
  const auto is_woken = [&] {
    pollfd wake{pair.server->wake_fd(), POLLIN, 0};
    return ::poll(&wake, 1, 0) == 1;
  };
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 9, "to begin with").ok());
  EXPECT_EQ(receive(*pair.server).id, 9u);
  EXPECT_FALSE(pair.server->woken()) << "it is there, and not announced";
  ASSERT_TRUE(pair.server->arm());
  pair.client->rouse();
  pair.client->rouse();
  EXPECT_TRUE(is_woken());
  EXPECT_TRUE(pair.server->woken());
  EXPECT_FALSE(is_woken()) << "twice for one sleep";
  pair.client->rouse();
  EXPECT_FALSE(is_woken()) << "though it is awake";
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 1, "a call").ok());
  EXPECT_FALSE(is_woken());
  EXPECT_EQ(receive(*pair.server).id, 1u);
  // What is put in is not announced: it is there.
  ASSERT_TRUE(pair.server->arm());
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 2, "another").ok());
  EXPECT_TRUE(is_woken());
  EXPECT_FALSE(pair.server->woken());
  // Roused for nothing, it may sleep again, and soon does not believe it any more.
  EXPECT_EQ(receive(*pair.server).id, 2u);
  int believed = 0;
  for (int time = 0; time < 100; ++time) {
    ASSERT_TRUE(pair.server->arm());
    pair.client->rouse();
    EXPECT_TRUE(is_woken());
    believed += pair.server->woken() ? 1 : 0;
  }
  EXPECT_GT(believed, 0);
  EXPECT_LT(believed, 10);
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 3, "as announced").ok());
  EXPECT_EQ(receive(*pair.server).id, 3u);
  ASSERT_TRUE(pair.server->arm());
  pair.client->rouse();
  EXPECT_TRUE(pair.server->woken());
}

TEST(RingChannelRouse, DoesNothingWhereTheStreamWakes) {
  Pair pair(/*sockets=*/false);
  ASSERT_TRUE(pair.server->arm());
  pair.client->rouse();
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 1, "a call").ok());
  pollfd stream{pair.server->fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&stream, 1, 0), 1) << "the call itself wakes it";
  EXPECT_EQ(receive(*pair.server).id, 1u);
}

TEST_P(RingChannelTest, ASleeperHearsThatTheOtherEndHasGone) {
  Pair pair(GetParam());
  std::jthread closing([&] { pair.client.reset(); });
  EXPECT_EQ(receive(*pair.server).id, 0u);
}

TEST_P(RingChannelTest, WhatWasPutInBeforeTheEndIsTakenInBeforeIt) {
  for (uint64_t round = 0; round < 200; ++round) {
    Pair pair(GetParam());
    std::jthread closing([&] {
      ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 7, "last").ok());
      pair.client.reset();
    });
    EXPECT_EQ(receive(*pair.server).id, 7u);
    EXPECT_EQ(receive(*pair.server).id, 0u);
  }
}

TEST_P(RingChannelTest, AnUnwantedPayloadIsDropped) {
  Pair pair(GetParam());
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 1, "first", "dropped").ok());
  ASSERT_TRUE(send(*pair.client, wire::Kind::kCall, 2, "second", "kept").ok());
  ASSERT_EQ(pair.server->receive(true).value(), Event::kFrame);
  EXPECT_EQ(receive(*pair.server).payload, "kept");
}

TEST(RingChannelHostile, ARecordThatIsNoFrameOfOursIsAProtocolError) {
  wire::Encoder encoder;
  const wire::HeaderBytes greeting = wire::encode_header({wire::Kind::kHello, 1, 1, 0, 0});
  const wire::HeaderBytes longer = wire::encode_header({wire::Kind::kCall, 1, 1, 8, 0});
  const wire::HeaderBytes version = wire::encode_header({wire::Kind::kCall, 7, 1, 0, 0});
  wire::HeaderBytes nonsense{};
  const std::byte few[5]{};
  for (const std::span<const std::byte> record :
       {std::span<const std::byte>(greeting), std::span<const std::byte>(longer),
        std::span<const std::byte>(version), std::span<const std::byte>(nonsense),
        std::span<const std::byte>(few)}) {
    Pair pair(true);
    RingProducer producer(pair.memory.get(), Direction::kToServer);
    ASSERT_TRUE(producer.push({&record, 1}, record.size()).value());
    const auto event = pair.server->receive(false);
    ASSERT_FALSE(event.has_value());
    EXPECT_EQ(event.error().code(), VACCEL_PROTOCOL_ERROR);
  }
}

TEST(StreamDescriptors, ComeInTheOrderInWhichTheyWereSent) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  StreamChannel sender{UniqueFd(ends[0])};
  StreamChannel receiver{UniqueFd(ends[1])};
  receiver.accept_descriptors();
  const UniqueFd event{::eventfd(0, 0)};
  const int descriptors[] = {event.get(), ends[0]};
  ASSERT_TRUE(sender.send_with_descriptors(wire::Kind::kDone, 1, {}, descriptors).ok());
  ASSERT_EQ(receiver.receive(true).value(), Event::kFrame);
  auto taken = receiver.take_descriptors(3);
  ASSERT_EQ(taken.size(), 2u);
  const uint64_t one = 1;
  ASSERT_EQ(::write(taken[0].get(), &one, sizeof one), 8);
  pollfd waiting{event.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
}

TEST(StreamDescriptors, AreClosedByWhoeverDoesNotTakeAny) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  StreamChannel sender{UniqueFd(ends[0])};
  StreamChannel receiver{UniqueFd(ends[1])};
  int pipes[2];
  ASSERT_EQ(::pipe2(pipes, O_CLOEXEC), 0);
  const UniqueFd reading{pipes[0]};
  {
    const UniqueFd writing{pipes[1]};
    ASSERT_TRUE(sender.send_with_descriptors(wire::Kind::kDone, 1, {}, std::span(&pipes[1], 1)).ok());
  }
  ASSERT_EQ(receiver.receive(true).value(), Event::kFrame);
  char byte = 0;
  EXPECT_EQ(::read(reading.get(), &byte, 1), 0);  // the end of the pipe: nobody holds its writing side
}

}  // namespace
}  // namespace vaccel::channel
