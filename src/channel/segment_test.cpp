// SPDX-License-Identifier: Apache-2.0
#include "channel/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <random>
#include <vector>

namespace vaccel::channel {
namespace {

TEST(Segment, IsSharedAndCannotShrink) {
  auto made = Segment::create("test", 1 << 20);
  ASSERT_TRUE(made.has_value()) << made.error().message();
  auto mapped = Segment::map(UniqueFd{::fcntl(made->fd(), F_DUPFD_CLOEXEC, 0)}, false);
  ASSERT_TRUE(mapped.has_value());
  std::memcpy(made->at(4096, 5)->data(), "hello", 5);
  EXPECT_EQ(std::memcmp(mapped->at(4096, 5)->data(), "hello", 5), 0);
  EXPECT_NE(::ftruncate(made->fd(), 4096), 0);
}

TEST(Segment, OffsetsFromElsewhereAreChecked) {
  const auto segment = Segment::create("test", 1 << 20);
  EXPECT_TRUE(segment->at(0, 1 << 20).has_value());
  EXPECT_TRUE(segment->at(1 << 20, 0).has_value());
  EXPECT_FALSE(segment->at(1, 1 << 20).has_value());
  EXPECT_FALSE(segment->at(~uint64_t{0}, 2).has_value());
  EXPECT_FALSE(segment->at(64, ~uint64_t{0}).has_value());
}

TEST(Segment, AnUnsealedOneIsRefused) {
  UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  EXPECT_EQ(Segment::map(std::move(fd), false).error().code(), VACCEL_INVALID_ARGUMENT);
}

TEST(Segment, WhatIsForgottenTakesNoMemory) {
  auto segment = Segment::create("test", 8 << 20);
  std::memset(segment->at(0, 8 << 20)->data(), 1, 8 << 20);
  segment->forget(100, (4 << 20) - 100);
  struct stat file {};
  ASSERT_EQ(::fstat(segment->fd(), &file), 0);
  EXPECT_LE(file.st_blocks * 512, (4 << 20) + 4096);
  EXPECT_EQ((*segment->at(99, 1))[0], std::byte{1});  // a partial page is kept
  EXPECT_EQ((*segment->at(8192, 1))[0], std::byte{0});
}

TEST(SegmentAllocator, UsesTheSamePlaceAgain) {
  SegmentAllocator allocator(1 << 20);
  const auto first = allocator.allocate(1000);
  EXPECT_EQ(first, 0u);
  const auto second = allocator.allocate(1);
  EXPECT_EQ(second, 1024u);
  EXPECT_EQ(allocator.release(0), 1024u);
  EXPECT_EQ(allocator.allocate(1024), 0u);
  EXPECT_EQ(allocator.release(64), std::nullopt);  // nothing begins there
  EXPECT_EQ(allocator.allocate(2 << 20), std::nullopt);
  EXPECT_EQ(allocator.allocate(~uint64_t{0}), std::nullopt);
}

TEST(SegmentAllocator, AlignsAndUsesWhatItSkips) {
  SegmentAllocator allocator(1 << 20);
  EXPECT_EQ(allocator.allocate(64), 0u);
  EXPECT_EQ(allocator.allocate(4096, 65536), 65536u);
  EXPECT_EQ(allocator.allocate(64), 64u);  // between the two
  EXPECT_EQ(allocator.allocate(4096, 65536), 131072u);
  EXPECT_EQ(allocator.allocate((1 << 20) - 131072 - 4096, 4096), 135168u);  // the rest, to its end
  EXPECT_EQ(allocator.allocate(65536, 65536), std::nullopt);  // as much is free, but not at such a place
  EXPECT_EQ(allocator.allocate(65536 - 128), 128u);
  EXPECT_EQ(allocator.piece_count(), 6u);
}

TEST(SegmentAllocator, NeverOverlapsAndComesBackWhole) {
  constexpr uint64_t kSize = 1 << 20;
  SegmentAllocator allocator(kSize);
  std::mt19937 random(3);
  std::map<uint64_t, uint64_t> mine;
  for (int round = 0; round < 20'000; ++round) {
    if (random() % 2 == 0) {
      const uint64_t size = random() % 20'000;
      const uint64_t alignment = uint64_t{64} << (random() % 8);
      if (const auto offset = allocator.allocate(size, alignment)) {
        EXPECT_EQ(*offset % alignment, 0u);
        const auto after = mine.lower_bound(*offset);
        if (after != mine.end()) {
          ASSERT_LE(*offset + size, after->first);
        }
        if (after != mine.begin()) {
          ASSERT_LE(std::prev(after)->first + std::prev(after)->second, *offset);
        }
        mine[*offset] = size;
      }
    } else if (!mine.empty()) {
      auto victim = std::next(mine.begin(), static_cast<std::ptrdiff_t>(random() % mine.size()));
      EXPECT_TRUE(allocator.release(victim->first).has_value());
      mine.erase(victim);
    }
  }
  for (const auto& [offset, size] : mine)
    allocator.release(offset);
  EXPECT_EQ(allocator.used_bytes(), 0u);
  EXPECT_EQ(allocator.allocate(kSize), 0u);
}

}  // namespace
}  // namespace vaccel::channel
