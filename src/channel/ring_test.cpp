// SPDX-License-Identifier: Apache-2.0
#include "channel/ring.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "channel/shared_bytes.h"
#include "core/unique_fd.h"

namespace vaccel::channel {
namespace {

constexpr size_t kTail = 0;
constexpr size_t kHead = 128;

class RingTest : public testing::Test {
 protected:
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{4096}); }
  };
  RingTest() : pair_(static_cast<std::byte*>(::operator new[](kRingPairBytes, std::align_val_t{4096}))) {
    std::memset(pair_.get(), 0, kRingPairBytes);
    initialise_rings(pair_.get());
  }

  static std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  static bool push(RingProducer& producer, const std::string& text) {
    const auto bytes = bytes_of(text);
    return producer.push({&bytes, 1}, bytes.size()).value();
  }
  std::string pop(RingConsumer& consumer) {
    const auto record = consumer.pop(memory_).value();
    if (!record) return "(nothing)";
    return {reinterpret_cast<const char*>(record->data()), record->size()};
  }
  void store(size_t offset, uint64_t value) { shared<uint64_t>(pair_.get() + offset).store(value); }

  std::unique_ptr<std::byte[], Free> pair_;
  alignas(8) std::array<std::byte, kMaxRecord + 8> memory_;
};

TEST_F(RingTest, RecordsComeOutAsTheyWentIn) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  RingConsumer other(pair_.get(), Direction::kFromServer);
  EXPECT_FALSE(consumer.ready());
  EXPECT_TRUE(push(producer, "a"));
  EXPECT_TRUE(push(producer, "12345678"));
  EXPECT_TRUE(push(producer, "123456789"));
  EXPECT_TRUE(consumer.ready());
  EXPECT_FALSE(other.ready());
  EXPECT_EQ(pop(consumer), "a");
  EXPECT_EQ(pop(consumer), "12345678");
  EXPECT_EQ(pop(consumer), "123456789");
  EXPECT_EQ(pop(consumer), "(nothing)");
}

TEST_F(RingTest, PiecesOfAnySizeMakeOneRecord) {
  RingProducer producer(pair_.get(), Direction::kFromServer);
  RingConsumer consumer(pair_.get(), Direction::kFromServer);
  const std::array<std::string, 5> texts{"abc", "", "defghijklmnopqrstuvw", "x", "yz0123456789"};
  std::vector<std::span<const std::byte>> pieces;
  size_t bytes = 0;
  for (const std::string& text : texts) {
    pieces.push_back(bytes_of(text));
    bytes += text.size();
  }
  ASSERT_TRUE(producer.push(pieces, bytes).value());
  EXPECT_EQ(pop(consumer), "abcdefghijklmnopqrstuvwxyz0123456789");
}

TEST_F(RingTest, WrapsAroundManyTimes) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  std::minstd_rand random(1);
  for (int round = 0; round < 20'000; ++round) {
    const std::string text(1 + random() % 700, static_cast<char>('a' + round % 26));
    ASSERT_TRUE(push(producer, text));
    ASSERT_EQ(pop(consumer), text);
  }
}

TEST_F(RingTest, SaysWhenItIsFullAndGoesOnWhenThereIsRoom) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  const std::string text(1016, 'x');  // 1024 with its size
  for (uint64_t count = 0; count < kRingBytes / 1024; ++count)
    ASSERT_TRUE(push(producer, text));
  EXPECT_FALSE(push(producer, "y"));
  EXPECT_EQ(pop(consumer), text);
  EXPECT_TRUE(push(producer, text));
  EXPECT_FALSE(push(producer, "y"));
}

TEST_F(RingTest, OnlyASleeperIsWokenAndOnlyOnce) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  push(producer, "a");
  EXPECT_TRUE(producer.take_wake());  // nobody has looked at the ring yet: that counts as sleeping
  EXPECT_FALSE(producer.take_wake());
  EXPECT_FALSE(consumer.arm());  // there is something
  push(producer, "b");
  EXPECT_FALSE(producer.take_wake());
  pop(consumer);
  pop(consumer);
  EXPECT_TRUE(consumer.arm());
  push(producer, "c");
  EXPECT_TRUE(producer.take_wake());
  EXPECT_FALSE(producer.take_wake());
}

// ---- What the other side may have written

class HostileTail : public RingTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(HostileTail, IsAProtocolError) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  push(producer, "abcdefgh");
  pop(consumer);
  store(kTail, GetParam());
  const auto record = consumer.pop(memory_);
  ASSERT_FALSE(record.has_value());
  EXPECT_EQ(record.error().code(), VACCEL_PROTOCOL_ERROR);
}

// Behind the head (16), unaligned, further than the ring is long, and around the end of the numbers.
INSTANTIATE_TEST_SUITE_P(Ring, HostileTail,
                         testing::Values(0, 8, 17, 23, 16 + kRingBytes + 8, UINT64_MAX, UINT64_MAX - 7,
                                         uint64_t{1} << 63));

class HostileHead : public RingTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(HostileHead, IsAProtocolError) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  while (push(producer, std::string(1000, 'x'))) {
  }
  store(kHead, GetParam());
  const std::string text(1000, 'y');
  const auto bytes = bytes_of(text);
  const auto put = producer.push({&bytes, 1}, bytes.size());
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.error().code(), VACCEL_PROTOCOL_ERROR);
}

INSTANTIATE_TEST_SUITE_P(Ring, HostileHead,
                         testing::Values(4, kRingBytes + 8, UINT64_MAX, uint64_t{1} << 63));

TEST_F(RingTest, AHeadThatGoesBackIsAProtocolError) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  while (push(producer, std::string(1000, 'x'))) {
  }
  pop(consumer);
  while (push(producer, std::string(1000, 'x'))) {
  }
  store(kHead, 0);
  const std::string text(2000, 'y');
  const auto bytes = bytes_of(text);
  EXPECT_FALSE(producer.push({&bytes, 1}, bytes.size()).has_value());
}

class HostileSize : public RingTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(HostileSize, IsAProtocolError) {
  RingProducer producer(pair_.get(), Direction::kToServer);
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  push(producer, "abcdefgh");
  store(kRingControlBytes, GetParam());
  EXPECT_FALSE(consumer.pop(memory_).has_value());
}

INSTANTIATE_TEST_SUITE_P(Ring, HostileSize,
                         testing::Values(0, 9, kMaxRecord, kMaxRecord + 1, UINT64_MAX, UINT64_MAX - 7));

// ---- Two threads

// A consumer that spins or sleeps as chance has it, and a producer that is now quick, now slow: every record comes out, in
// order, and nobody sleeps while one is there. Were a wake-up lost, poll() would time out.
TEST_F(RingTest, NoWakeUpIsLost) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  constexpr uint64_t kRecords = 60'000;
#else
  constexpr uint64_t kRecords = 300'000;
#endif
  const UniqueFd wake{::eventfd(0, EFD_NONBLOCK)};
  std::jthread producing([&](const std::stop_token& stop) {
    RingProducer producer(pair_.get(), Direction::kToServer);
    std::mt19937 random(7);
    std::array<uint64_t, 40> record{};
    for (uint64_t number = 0; number < kRecords && !stop.stop_requested();) {
      record[0] = number;
      const size_t words = 1 + number % record.size();
      record[words - 1] = number;
      const auto bytes = std::as_bytes(std::span(record).first(words));
      const auto put = producer.push({&bytes, 1}, bytes.size());
      if (!put.has_value()) std::abort();
      if (!*put) {
        std::this_thread::yield();
        continue;
      }
      ++number;
      const uint64_t one = 1;
      if (producer.take_wake() && ::write(wake.get(), &one, sizeof one) != sizeof one) std::abort();
      for (auto pause = random() % 64 == 0 ? random() % 4000 : random() % 30; pause > 0; --pause)
        asm volatile("" ::: "memory");
    }
  });
  RingConsumer consumer(pair_.get(), Direction::kToServer);
  std::mt19937 random(11);
  uint64_t expected = 0;
  uint64_t sleeps = 0;
  while (expected < kRecords) {
    const auto record = consumer.pop(memory_).value();
    if (record) {
      uint64_t first = 0;
      uint64_t last = 0;
      std::memcpy(&first, record->data(), sizeof first);
      std::memcpy(&last, record->data() + record->size() - sizeof last, sizeof last);
      ASSERT_EQ(first, expected);
      ASSERT_EQ(last, expected);
      ++expected;
      continue;
    }
    bool found = false;
    for (auto look = random() % 200; look > 0 && !found; --look)
      found = consumer.ready();
    if (found || !consumer.arm()) continue;
    ++sleeps;
    pollfd waiting{wake.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 10'000), 1) << "a wake-up was lost before record " << expected;
    uint64_t wakes = 0;
    ASSERT_EQ(::read(wake.get(), &wakes, sizeof wakes), 8);
    consumer.disarm();
  }
  EXPECT_GT(sleeps, 0u);
}

}  // namespace
}  // namespace vaccel::channel
