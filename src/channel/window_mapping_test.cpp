// SPDX-License-Identifier: Apache-2.0
//
// Files are really truncated under their mappings here, and what raises SIGBUS then is really touched.
#include "channel/window_mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "core/unique_fd.h"

namespace vaccel::channel {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A handler that was there before the guard, as a crash reporter's would be.
struct sigaction earlier {};
std::atomic<int> handled_by_earlier{0};
std::atomic<uintptr_t> foreign_page{0};

void earlier_handler(int, siginfo_t* info, void*) {
  ++handled_by_earlier;
  if (info->si_code <= 0) return;  // sent by raise()
  ::mmap(reinterpret_cast<void*>(foreign_page.load()), 4096, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

class WindowMappingTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    struct sigaction action {};
    action.sa_sigaction = earlier_handler;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(::sigaction(SIGBUS, &action, &earlier), 0);
    install_window_guard();
    install_window_guard();  // a second time changes nothing
  }

  static UniqueFd file_of(uint64_t bytes) {
    char path[] = "/tmp/vaccel-window-test-XXXXXX";
    UniqueFd fd{::mkostemp(path, O_CLOEXEC)};
    ::unlink(path);
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    return fd;
  }

  static UniqueFd sealed(uint64_t bytes) {
    UniqueFd fd{::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
    EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    return fd;
  }

  static int at(const WindowMapping& mapping, uint64_t offset) {
    return *reinterpret_cast<volatile uint8_t*>(mapping.bytes().subspan(offset, 1).data());
  }
};

TEST_F(WindowMappingTest, IsSharedAndBeginsWhereItIsTold) {
  const UniqueFd file = file_of(4 * kMiB);
  const auto all = WindowMapping::map(file.get(), 0, 4 * kMiB);
  const auto some = WindowMapping::map(file.get(), kMiB + 100, 50);
  ASSERT_TRUE(all.has_value() && some.has_value());
  std::memcpy(some->bytes().data(), "hello", 5);
  EXPECT_EQ(std::memcmp(all->bytes().data() + kMiB + 100, "hello", 5), 0);
  EXPECT_EQ(some->bytes().size(), 50u);
  EXPECT_EQ(all->part(kMiB + 100, 5).bytes().data(), all->bytes().data() + kMiB + 100);
}

TEST_F(WindowMappingTest, ATruncatedFileReadsAsZeros) {
  const UniqueFd file = file_of(4 * kMiB);
  const auto mapping = WindowMapping::map(file.get(), 0, 4 * kMiB);
  const auto other = WindowMapping::map(file.get(), 0, kMiB);
  ASSERT_TRUE(mapping.has_value() && other.has_value());
  const WindowMapping part = mapping->part(3 * kMiB, kMiB);
  std::memset(mapping->bytes().data(), 7, 4 * kMiB);
  ASSERT_EQ(::ftruncate(file.get(), 2 * kMiB), 0);
  EXPECT_FALSE(mapping->broken());  // nobody has touched what is gone
  EXPECT_EQ(at(*mapping, 3 * kMiB + 5000), 0);
  EXPECT_TRUE(mapping->broken());
  EXPECT_TRUE(part.broken());
  EXPECT_FALSE(other->broken());
  EXPECT_EQ(at(*mapping, 2 * kMiB - 1), 7);
  EXPECT_EQ(at(*mapping, 2 * kMiB), 0);  // before the first fault: faults, too, and is guarded, too
  std::memset(mapping->bytes().data(), 9, 4 * kMiB);
  EXPECT_EQ(at(part, kMiB - 1), 9);
  EXPECT_EQ(at(*other, kMiB - 1), 9);  // what is left of the file is still shared
  EXPECT_EQ(handled_by_earlier, 0);
}

TEST_F(WindowMappingTest, ThreadsThatFaultTogetherAllGoOn) {
  for (int round = 0; round < 20; ++round) {
    const UniqueFd file = file_of(8 * kMiB);
    const auto mapping = WindowMapping::map(file.get(), 0, 8 * kMiB);
    ASSERT_TRUE(mapping.has_value());
    std::atomic<bool> go{false};
    std::atomic<uint64_t> sum{0};
    std::vector<std::jthread> threads;
    for (uint64_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        while (!go)
          std::this_thread::yield();
        for (uint64_t offset = thread * 4096; offset < 8 * kMiB; offset += 4 * 4096)
          sum += static_cast<uint64_t>(at(*mapping, 8 * kMiB - 1 - offset));
      });
    }
    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    go = true;
    threads.clear();
    EXPECT_EQ(sum, 0u);
    EXPECT_TRUE(mapping->broken());
  }
}

TEST_F(WindowMappingTest, ASystemCallOnWhatIsGoneFails) {
  const UniqueFd file = file_of(kMiB);
  const auto mapping = WindowMapping::map(file.get(), 0, kMiB);
  ASSERT_TRUE(mapping.has_value());
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  const UniqueFd target = file_of(0);
  EXPECT_EQ(::write(target.get(), mapping->bytes().data(), 100), -1);
  EXPECT_EQ(errno, EFAULT);
}

TEST_F(WindowMappingTest, OtherBusErrorsGoWhereTheyWent) {
  const UniqueFd file = file_of(4096);
  void* page = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(page, MAP_FAILED);
  const Mapping foreign{page, 4096};
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  foreign_page = reinterpret_cast<uintptr_t>(page);
  handled_by_earlier = 0;
  EXPECT_EQ(*reinterpret_cast<volatile uint8_t*>(page), 0);
  EXPECT_EQ(handled_by_earlier, 1);
  ::raise(SIGBUS);
  EXPECT_EQ(handled_by_earlier, 2);
  handled_by_earlier = 0;

  // And the guard is still there.
  const UniqueFd window = file_of(kMiB);
  const auto mapping = WindowMapping::map(window.get(), 0, kMiB);
  ASSERT_EQ(::ftruncate(window.get(), 0), 0);
  EXPECT_EQ(at(*mapping, 0), 0);
  EXPECT_TRUE(mapping->broken());
  EXPECT_EQ(handled_by_earlier, 0);
}

TEST_F(WindowMappingTest, SealedMemoryNeedsNoGuard) {
  const UniqueFd memory = sealed(kMiB);
  std::vector<WindowMapping> many;
  for (int number = 0; number < 5000; ++number) {  // more than the guard has room for
    auto mapping = WindowMapping::map(memory.get(), 4096, 4096);
    ASSERT_TRUE(mapping.has_value()) << mapping.error().message();
    many.push_back(std::move(*mapping));
  }
  EXPECT_FALSE(many.back().broken());
}

TEST_F(WindowMappingTest, TheGuardSaysWhenItIsFullAndHasRoomAgain) {
  const UniqueFd file = file_of(kMiB);
  std::vector<WindowMapping> many;
  auto mapping = WindowMapping::map(file.get(), 0, 4096);
  while (mapping && many.size() < 10'000) {
    many.push_back(std::move(*mapping));
    mapping = WindowMapping::map(file.get(), 0, 4096);
  }
  ASSERT_FALSE(mapping.has_value());
  EXPECT_EQ(mapping.error().code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_GE(many.size(), 1000u);
  many.pop_back();
  mapping = WindowMapping::map(file.get(), 0, 4096);
  ASSERT_TRUE(mapping.has_value());
  many.clear();
  // The last slot guards like the first.
  ASSERT_EQ(::ftruncate(file.get(), 0), 0);
  EXPECT_EQ(at(*mapping, 0), 0);
  EXPECT_TRUE(mapping->broken());
}

TEST_F(WindowMappingTest, WhatTheFileDoesNotHaveIsRefused) {
  const UniqueFd file = file_of(kMiB);
  for (const auto& [start, bytes] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, 0}, {0, kMiB + 1}, {kMiB, 1}, {~uint64_t{0}, 2}, {4096, ~uint64_t{0}}}) {
    const auto mapping = WindowMapping::map(file.get(), start, bytes);
    ASSERT_FALSE(mapping.has_value());
    EXPECT_EQ(mapping.error().code(), VACCEL_INVALID_ARGUMENT);
  }
  EXPECT_EQ(WindowMapping::map(-1, 0, 4096).error().code(), VACCEL_INVALID_ARGUMENT);
}

// Whoever made something of the memory hears of its end while it is still there, and once.
TEST_F(WindowMappingTest, TellsBeforeTheLastPartGoes) {
  int told = 0;
  auto whole = WindowMapping::map(sealed(kMiB).get(), 0, kMiB);
  ASSERT_TRUE(whole) << whole.error().message();
  auto part = std::make_unique<WindowMapping>(whole->part(4096, 1));
  whole->before_unmapping([&told, byte = whole->bytes().data()] {
    *byte = std::byte{1};
    ++told;
  });
  { const WindowMapping gone = std::move(*whole); }
  EXPECT_EQ(told, 0);
  part.reset();
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace vaccel::channel
