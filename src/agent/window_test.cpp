// SPDX-License-Identifier: Apache-2.0
//
// Windows on real files and real memory, looked at through mappings of the tests' own, as a guest would.
#include "agent/window.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>
#include <vector>

#include "channel/window_file.h"
#include "wire/limits.h"

namespace vaccel::agent {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kPage = 4096;
using Leases = std::vector<std::shared_ptr<WindowLease>>;

bool is_filled(std::span<const std::byte> bytes, int value) {
  return std::ranges::all_of(bytes,
                             [value](std::byte byte) { return byte == static_cast<std::byte>(value); });
}

uint64_t taken_bytes(int fd) {
  struct stat file {};
  EXPECT_EQ(::fstat(fd, &file), 0);
  return static_cast<uint64_t>(file.st_blocks) * 512;
}

class WindowTest : public testing::Test {
 protected:
  WindowTest() : reactor_(std::move(Reactor::create().value())) {
    channel::install_window_guard();
    char name[] = "/tmp/vaccel-window-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~WindowTest() override { std::filesystem::remove_all(folder_); }

  std::string make_file(uint64_t bytes) const {
    const std::string path = folder_ / "vm.window";
    const Status status = channel::create_window_file(path, bytes, true);
    EXPECT_TRUE(status.ok()) << status.message();
    return path;
  }

  std::shared_ptr<Window> open(const std::string& path, bool prefault = false) {
    auto window = Window::from_file(*reactor_, path, prefault);
    EXPECT_TRUE(window.has_value()) << window.error().message();
    return window ? *window : nullptr;
  }

  std::shared_ptr<Window> in_memory(uint64_t bytes, bool prefault = false) {
    auto window = Window::in_memory(*reactor_, "test", bytes, prefault);
    EXPECT_TRUE(window.has_value()) << window.error().message();
    return window ? *window : nullptr;
  }

  // The window as a guest has it.
  static std::span<std::byte> see(const Window& window, std::vector<Mapping>& kept) {
    void* address = ::mmap(nullptr, window.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, window.fd(),
                           static_cast<off_t>(window.start()));
    EXPECT_NE(address, MAP_FAILED);
    kept.emplace_back(address, window.bytes());
    return kept.back().bytes();
  }
  std::span<std::byte> see(const Window& window) { return see(window, mappings_); }

  // One round of what is deferred.
  void turn() const {
    reactor_->stop();
    reactor_->run();
  }
  // @return how many rounds it took.
  int settle(Window& window) const {
    bool settled = false;
    window.when_settled([&settled] { settled = true; });
    int turns = 0;
    for (; !settled && turns < 1'000'000; ++turns)
      turn();
    EXPECT_TRUE(settled);
    return turns;
  }

  std::unique_ptr<Reactor> reactor_;
  std::filesystem::path folder_;
  std::vector<Mapping> mappings_;
};

std::shared_ptr<WindowLease> lease_of(Window& window, uint64_t bytes, uint64_t alignment = 64) {
  auto lease = window.lease(bytes, alignment);
  EXPECT_TRUE(lease.has_value()) << lease.error().message();
  return lease ? *lease : nullptr;
}

// ---- A session's own

TEST_F(WindowTest, ASessionsIsSealedAndTakesNothingInAdvance) {
  const auto window = Window::for_session(256 * kMiB).value();
  EXPECT_EQ(window->kind(), wire::WindowKind::kMemory);
  EXPECT_GE(window->number(), wire::kFirstWindowNumber);
  EXPECT_NE(window->number(), Window::for_session(kMiB).value()->number());
  EXPECT_EQ(window->start(), 0u);
  EXPECT_EQ(window->bytes(), 256 * kMiB);
  EXPECT_EQ(window->path(), "");
  EXPECT_LE(taken_bytes(window->fd()), 2 * kPage);
  EXPECT_NE(::ftruncate(window->fd(), 4096), 0);
  EXPECT_NE(::ftruncate(window->fd(), static_cast<off_t>(512 * kMiB)), 0);
  const auto header = channel::read_window_header(see(*window));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->bytes, window->bytes());
  EXPECT_EQ(header->identity, window->identity());
  EXPECT_NE(header->identity.nonce_low, Window::for_session(kMiB).value()->identity().nonce_low);
}

TEST_F(WindowTest, LeasesAreWholePagesBehindTheHeader) {
  const auto window = Window::for_session(16 * kMiB).value();
  const auto one = lease_of(*window, 1);
  EXPECT_EQ(one->offset(), channel::kWindowHeaderBytes);
  EXPECT_EQ(one->bytes(), kPage);
  const auto two = lease_of(*window, kPage + 1);
  EXPECT_EQ(two->offset(), 2 * kPage);
  EXPECT_EQ(two->bytes(), 2 * kPage);
  const auto aligned = lease_of(*window, 100, 2 * kMiB);
  EXPECT_EQ(aligned->offset(), 2 * kMiB);
  EXPECT_EQ(window->leases(), 3u);
  EXPECT_EQ(window->leased_bytes(), 4 * kPage);
}

TEST_F(WindowTest, WhatCannotBeLeasedIsRefused) {
  const auto window = Window::for_session(16 * kMiB).value();
  for (const auto& [bytes, alignment] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, 64}, {1, 0}, {1, 3}, {1, 4 * kMiB}, {1, ~uint64_t{0}}}) {
    EXPECT_EQ(window->lease(bytes, alignment).error().code(), VACCEL_INVALID_ARGUMENT);
  }
  for (const uint64_t bytes : {16 * kMiB, 16 * kMiB - kPage + 1, ~uint64_t{0}, ~uint64_t{0} - 4095}) {
    EXPECT_EQ(window->lease(bytes, 64).error().code(), VACCEL_RESOURCE_EXHAUSTED) << bytes;
  }
  const auto all = lease_of(*window, 16 * kMiB - kPage);
  const auto more = window->lease(1, 64);
  EXPECT_EQ(more.error().code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_NE(more.error().message().find("16773120 are leased"), std::string::npos) << more.error().message();
}

TEST_F(WindowTest, ALeaseKeepsItsWindowAndItsEndIsTold) {
  auto window = Window::for_session(kMiB).value();
  int ended = 0;
  window->at_end([&ended] { ++ended; });
  auto first = lease_of(*window, 1);
  auto second = lease_of(*window, 1);
  window.reset();
  first.reset();
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(second->window().leases(), 1u);
  second.reset();
  EXPECT_EQ(ended, 1);
}

// What is mapped is what was asked for, and no more: there are thousands of these.
TEST_F(WindowTest, OfASessionsAPartIsMapped) {
  const auto window = Window::for_session(256 * kMiB).value();
  const auto guest = see(*window);
  const auto mapping = window->map(3 * kPage, 100);
  ASSERT_TRUE(mapping.has_value());
  EXPECT_EQ(mapping->bytes().size(), 100u);
  std::memcpy(mapping->bytes().data(), "hello", 5);
  EXPECT_EQ(std::memcmp(guest.data() + 3 * kPage, "hello", 5), 0);
  for (const auto& [offset, bytes] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, 0}, {0, 256 * kMiB + 1}, {256 * kMiB, 1}, {~uint64_t{0}, 2}, {kPage, ~uint64_t{0}}}) {
    EXPECT_EQ(window->map(offset, bytes).error().code(), VACCEL_INVALID_ARGUMENT);
  }
}

TEST_F(WindowTest, ManyRandomLeasesLeaveNothing) {
  const auto window = in_memory(32 * kMiB);
  std::mt19937 random(7);
  Leases leases;
  std::vector<std::pair<uint64_t, uint64_t>> sorted;
  int granted = 0;
  for (int round = 0; round < 100'000; ++round) {
    if (random() % 2 == 0 || leases.empty()) {
      const uint64_t bytes = 1 + random() % (random() % 50 == 0 ? 2 * kMiB : 20'000);
      auto lease = window->lease(bytes, uint64_t{64} << (random() % 10));
      if (lease) leases.push_back(std::move(*lease));
      granted += lease.has_value() ? 1 : 0;
    } else {
      std::swap(leases[random() % leases.size()], leases.back());
      leases.pop_back();
    }
    if (round % 7 == 0) turn();
    if (round % 10'000 == 0) {
      sorted.clear();
      for (const auto& lease : leases)
        sorted.emplace_back(lease->offset(), lease->bytes());
      std::ranges::sort(sorted);
      for (size_t index = 1; index < sorted.size(); ++index)
        ASSERT_LE(sorted[index - 1].first + sorted[index - 1].second, sorted[index].first);
    }
  }
  EXPECT_GT(granted, 10'000);
  leases.clear();
  settle(*window);
  EXPECT_EQ(window->leases(), 0u);
  EXPECT_EQ(window->leased_bytes(), 0u);
  EXPECT_TRUE(window->lease(window->bytes() - kPage, 64).has_value());  // in one piece again
}

// ---- A VM's

TEST_F(WindowTest, AFileIsTakenOverWithANewNonce) {
  const std::string path = make_file(8 * kMiB);
  const auto made = channel::inspect_window_file(path)->header.identity;
  auto window = open(path);
  EXPECT_EQ(window->kind(), wire::WindowKind::kDevice);
  EXPECT_EQ(window->start(), channel::kWindowDataOffset);
  EXPECT_EQ(window->bytes(), 6 * kMiB);
  EXPECT_EQ(window->path(), path);
  const wire::WindowIdentity first = window->identity();
  EXPECT_EQ(first.vm_low, made.vm_low);
  EXPECT_EQ(first.vm_high, made.vm_high);
  EXPECT_EQ(first.generation, 1u);
  EXPECT_EQ(channel::read_window_header(see(*window))->identity, first);
  window.reset();
  window = open(path);
  EXPECT_EQ(window->identity().vm_low, made.vm_low);
  EXPECT_EQ(window->identity().generation, 2u);
  EXPECT_NE(window->identity().nonce_low, first.nonce_low);
}

// Workers are given the descriptor, and may outlive the window.
TEST_F(WindowTest, NobodyWhoIsGivenTheDescriptorKeepsTheFileLocked) {
  const std::string path = make_file(8 * kMiB);
  auto window = open(path);
  const auto second = Window::from_file(*reactor_, path, false);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), VACCEL_UNAVAILABLE);
  EXPECT_NE(second.error().message().find(path), std::string::npos) << second.error().message();
  const UniqueFd given{::fcntl(window->fd(), F_DUPFD_CLOEXEC, 0)};
  window.reset();
  EXPECT_TRUE(Window::from_file(*reactor_, path, false).has_value());
}

TEST_F(WindowTest, OneInMemoryIsAFileForTheVmm) {
  const auto window = in_memory(8 * kMiB);
  EXPECT_EQ(window->path(), "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(window->fd()));
  channel::InfoBlock block;
  ASSERT_EQ(::pread(window->fd(), block.data(), block.size(), channel::kInfoBlockOffset),
            static_cast<ssize_t>(block.size()));
  EXPECT_TRUE(channel::check_info_block(block, 8 * kMiB).ok());
  EXPECT_EQ(channel::read_window_header(see(*window))->identity, window->identity());
  EXPECT_NE(::ftruncate(window->fd(), 4096), 0);
  EXPECT_EQ(Window::in_memory(*reactor_, "test", 3 * kMiB, false).error().code(), VACCEL_INVALID_ARGUMENT);
}

TEST_F(WindowTest, ASmallLeaseIsClearedAtOnce) {
  const auto window = in_memory(16 * kMiB);
  const auto guest = see(*window);
  auto lease = lease_of(*window, 600'000);
  const auto piece = guest.subspan(lease->offset(), lease->bytes());
  const uint64_t offset = lease->offset();
  std::memset(piece.data(), 7, piece.size());
  lease.reset();
  EXPECT_TRUE(is_filled(piece, 0));
  EXPECT_EQ(lease_of(*window, 600'000)->offset(), offset);
}

TEST_F(WindowTest, ALeaseThatAnotherHoldsIsNotCleared) {
  const auto window = in_memory(16 * kMiB);
  const auto guest = see(*window);
  auto sessions = lease_of(*window, kPage);
  const auto calls = sessions;  // under way at a worker
  const auto piece = guest.subspan(sessions->offset(), kPage);
  std::memset(piece.data(), 7, piece.size());
  sessions.reset();
  EXPECT_TRUE(is_filled(piece, 7));
  EXPECT_NE(lease_of(*window, kPage)->offset(), calls->offset());
}

class LargeLeases : public WindowTest, public testing::WithParamInterface<bool> {};

TEST_P(LargeLeases, AreClearedInTurnsAndNotLeasedBefore) {
  const bool prefault = GetParam();
  const auto window = in_memory(66 * kMiB, prefault);
  settle(*window);
  const auto guest = see(*window);
  const uint64_t whole = window->bytes() - kPage;
  auto lease = lease_of(*window, whole);
  std::memset(guest.data() + kPage, 7, whole);
  lease.reset();
  EXPECT_EQ(window->leased_bytes(), 0u);
  const auto refused = window->lease(kPage, 64);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("are being cleared"), std::string::npos)
      << refused.error().message();
  // Other things are done meanwhile: many turns, and little in each.
  EXPECT_GE(settle(*window), 200);
  EXPECT_TRUE(is_filled(guest.subspan(kPage, whole), 0));
  EXPECT_TRUE(window->lease(whole, 64).has_value());
}

TEST_P(LargeLeases, GiveTheirMemoryBackUnlessItIsPrefaulted) {
  const bool prefault = GetParam();
  const auto window = in_memory(34 * kMiB, prefault);
  settle(*window);
  EXPECT_EQ(taken_bytes(window->fd()) >= 32 * kMiB, prefault);
  auto lease = lease_of(*window, 16 * kMiB);
  std::memset(see(*window).data() + lease->offset(), 7, lease->bytes());
  lease.reset();
  settle(*window);
  EXPECT_EQ(taken_bytes(window->fd()) >= 32 * kMiB, prefault);
  EXPECT_EQ(taken_bytes(window->fd()) < kMiB, !prefault);
}

INSTANTIATE_TEST_SUITE_P(Window, LargeLeases, testing::Bool(),
                         [](const auto& one) { return one.param ? "Prefaulted" : "Lazy"; });

// A guest that gives back a thousand at a time is one guest among many.
TEST_F(WindowTest, ManyLeasesAtOnceAreClearedInTurns) {
  const auto window = in_memory(66 * kMiB);
  const auto guest = see(*window);
  Leases leases;
  for (int count = 0; count < 60; ++count)
    leases.push_back(lease_of(*window, kMiB));
  std::memset(guest.data() + kPage, 7, 60 * kMiB);
  leases.clear();
  EXPECT_FALSE(is_filled(guest.subspan(30 * kMiB, kMiB), 0));
  EXPECT_GE(settle(*window), 200);
  EXPECT_TRUE(is_filled(guest.subspan(kPage), 0));
}

TEST_F(WindowTest, WhatAnEarlierAgentLeftIsCleared) {
  const std::string path = make_file(66 * kMiB);
  {
    const UniqueFd file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    const std::vector<std::byte> secret(62 * kMiB, std::byte{7});
    ASSERT_EQ(::pwrite(file.get(), secret.data(), secret.size(), 3 * kMiB),
              static_cast<ssize_t>(secret.size()));
  }
  const auto window = open(path);
  const auto guest = see(*window);
  // Enough for sessions to begin with is clear already.
  const auto first = lease_of(*window, kMiB);
  EXPECT_TRUE(is_filled(guest.subspan(first->offset(), first->bytes()), 0));
  EXPECT_FALSE(is_filled(guest.subspan(kPage), 0));
  settle(*window);
  EXPECT_TRUE(is_filled(guest.subspan(kPage), 0));
  EXPECT_TRUE(window->lease(62 * kMiB, 64).has_value());
}

TEST_F(WindowTest, AWindowThatGoesWhileItIsClearedIsNoTrouble) {
  auto window = in_memory(66 * kMiB);
  lease_of(*window, 60 * kMiB).reset();
  bool settled = false;
  window->when_settled([&settled] { settled = true; });
  window.reset();
  turn();
  turn();
  EXPECT_FALSE(settled);
}

// ---- A file that loses its memory

TEST_F(WindowTest, ATruncatedFileIsNoticedBeforeItIsTouched) {
  const std::string path = make_file(16 * kMiB);
  const auto window = open(path);
  auto lease = lease_of(*window, kMiB);
  EXPECT_EQ(window->problem(), "");
  std::filesystem::resize_file(path, 4 * kMiB);
  EXPECT_EQ(window->problem(), "its file was truncated");
  const auto refused = window->lease(kPage, 64);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), VACCEL_UNAVAILABLE);
  EXPECT_NE(refused.error().message().find("truncated"), std::string::npos);
}

TEST_F(WindowTest, ATruncatedFileEndsNobody) {
  const std::string path = make_file(66 * kMiB);
  const auto window = open(path);
  auto small = lease_of(*window, 8 * kPage);
  auto large = lease_of(*window, 32 * kMiB);
  const auto rings = window->map(small->offset(), small->bytes());
  ASSERT_TRUE(rings.has_value());
  std::memset(rings->bytes().data(), 7, rings->bytes().size());
  std::filesystem::resize_file(path, 0);
  EXPECT_TRUE(is_filled(rings->bytes(), 0));
  EXPECT_TRUE(rings->broken());
  small.reset();
  large.reset();
  settle(*window);
  EXPECT_EQ(window->leases(), 0u);
  EXPECT_NE(window->problem(), "");
  // Not even when it is made as long as it was: what guest and host have is no longer the same.
  std::filesystem::resize_file(path, 66 * kMiB);
  EXPECT_NE(window->problem().find("its memory was lost"), std::string::npos) << window->problem();
  EXPECT_FALSE(window->lease(kPage, 64).has_value());
}

// A tmpfs that is full: memory that a sparse file promised is not there.
class FullFileSystem : public WindowTest {
 protected:
  void SetUp() override {
    place_ = folder_ / "small";
    std::filesystem::create_directory(place_);
    if (::mount("tmpfs", place_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=24m") != 0) {
      const int error = errno;
      place_.clear();
      GTEST_SKIP() << "skipped: cannot mount a tmpfs: " << std::strerror(error);
    }
  }
  void TearDown() override {
    if (!place_.empty()) ::umount2(place_.c_str(), MNT_DETACH);
  }
  // A window, and then nothing left for it.
  [[nodiscard]] std::string make() const {
    const std::string path = place_ / "vm.window";
    const Status status = channel::create_window_file(path, 16 * kMiB, false);
    EXPECT_TRUE(status.ok()) << status.message();
    const UniqueFd filler{::open((place_ / "filler").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    EXPECT_EQ(::fallocate(filler.get(), 0, 0, 20 * kMiB), 0);
    return path;
  }
  std::filesystem::path place_;
};

TEST_F(FullFileSystem, PrefaultingSaysSo) {
  const auto window = Window::from_file(*reactor_, make(), true);
  ASSERT_FALSE(window.has_value());
  EXPECT_EQ(window.error().code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_NE(window.error().message().find("cannot take its memory in advance"), std::string::npos)
      << window.error().message();
}

TEST_F(FullFileSystem, TheAgentGoesOn) {
  const auto window = open(make());
  auto lease = lease_of(*window, 12 * kMiB);
  const auto mapping = window->map(lease->offset(), lease->bytes());
  ASSERT_TRUE(mapping.has_value());
  std::memset(mapping->bytes().data(), 7, mapping->bytes().size());
  EXPECT_TRUE(mapping->broken());
  EXPECT_NE(window->problem(), "");
}

}  // namespace
}  // namespace vaccel::agent
