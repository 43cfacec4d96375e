// SPDX-License-Identifier: Apache-2.0
#include "channel/window_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace vaccel::channel {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class WindowFileTest : public testing::Test {
 protected:
  WindowFileTest() {
    char name[] = "/tmp/vaccel-window-file-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ / "vm.window";
  }
  ~WindowFileTest() override { std::filesystem::remove_all(folder_); }

  void overwrite(uint64_t offset, const std::string& bytes) const {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
  }
  [[nodiscard]] Status create(uint64_t bytes = 8 * kMiB, bool replace = false) const {
    return create_window_file(path_, bytes, replace);
  }
  // Refused, and for this reason.
  void expect_refused(vaccel_status code, const std::string& sentence) const {
    const auto file = open_window_file(path_);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code(), code) << file.error().message();
    EXPECT_NE(file.error().message().find(sentence), std::string::npos) << file.error().message();
    // Whoever looks is told the same, unless it is about the lock.
    const auto state = inspect_window_file(path_);
    EXPECT_EQ(state.has_value(), code == VACCEL_UNAVAILABLE);
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(WindowFileTest, IsMadeAndOpened) {
  ASSERT_TRUE(create().ok());
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_size, static_cast<off_t>(8 * kMiB));
  EXPECT_EQ(file.st_mode & 07777, 0600u);
  EXPECT_LE(file.st_blocks * 512, 64 * 1024);  // nothing is taken in advance
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);

  const auto opened = open_window_file(path_);
  ASSERT_TRUE(opened.has_value()) << opened.error().message();
  EXPECT_EQ(opened->bytes, 8 * kMiB);
  EXPECT_EQ(opened->header.bytes, 6 * kMiB);
  EXPECT_EQ(opened->header.identity.generation, 0u);
  EXPECT_NE(opened->header.identity.vm_low, 0u);
  const auto state = inspect_window_file(path_);
  ASSERT_TRUE(state.has_value());
  EXPECT_TRUE(state->held);
  EXPECT_EQ(state->header.identity, opened->header.identity);
}

TEST_F(WindowFileTest, OneAtATimeHasIt) {
  ASSERT_TRUE(create().ok());
  {
    const auto first = open_window_file(path_);
    ASSERT_TRUE(first.has_value());
    expect_refused(VACCEL_UNAVAILABLE, "another agent has it");
  }
  EXPECT_FALSE(inspect_window_file(path_)->held);
  EXPECT_TRUE(open_window_file(path_).has_value());
}

TEST_F(WindowFileTest, WhatIsThereStaysUnlessItIsToBeReplaced) {
  ASSERT_TRUE(create().ok());
  const auto before = inspect_window_file(path_)->header.identity;
  const Status again = create();
  EXPECT_EQ(again.code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(again.message().find("--force"), std::string::npos);
  EXPECT_EQ(inspect_window_file(path_)->header.identity, before);

  // A VMM that has the old one mapped keeps it whole.
  const UniqueFd mapped{::open(path_.c_str(), O_RDWR | O_CLOEXEC)};
  ASSERT_TRUE(create(16 * kMiB, true).ok());
  struct stat old {};
  ASSERT_EQ(::fstat(mapped.get(), &old), 0);
  EXPECT_EQ(old.st_size, static_cast<off_t>(8 * kMiB));
  EXPECT_EQ(inspect_window_file(path_)->bytes, 16 * kMiB);
  EXPECT_NE(inspect_window_file(path_)->header.identity, before);

  const auto held = open_window_file(path_);
  ASSERT_TRUE(held.has_value());
  EXPECT_EQ(create(8 * kMiB, true).code(), VACCEL_UNAVAILABLE);
  EXPECT_EQ(inspect_window_file(path_)->bytes, 16 * kMiB);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1)
      << "nothing half made is left";
}

TEST_F(WindowFileTest, WrongSizesAreRefused) {
  for (const uint64_t bytes : {uint64_t{0}, 2 * kMiB, 4 * kMiB + 4096, 5 * kMiB, ~uint64_t{0}}) {
    EXPECT_EQ(create(bytes).code(), VACCEL_INVALID_ARGUMENT) << bytes;
    EXPECT_FALSE(std::filesystem::exists(path_));
  }
  EXPECT_TRUE(create(4 * kMiB).ok());
}

TEST_F(WindowFileTest, WhereThereIsNoRoomNoneIsMade) {
  EXPECT_EQ(create(uint64_t{1} << 50).code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_EQ(create_window_file(folder_ / "none" / "vm.window", 8 * kMiB, false).code(), VACCEL_NOT_FOUND);
}

TEST_F(WindowFileTest, WhatIsNoRegularFileIsRefused) {
  expect_refused(VACCEL_NOT_FOUND, "'vaccelctl window create'");
  ASSERT_TRUE(create().ok());
  const auto link = folder_ / "link";
  std::filesystem::create_symlink(path_, link);
  EXPECT_NE(open_window_file(link).error().message().find("symbolic link"), std::string::npos);
  EXPECT_EQ(create_window_file(link, 8 * kMiB, true).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(open_window_file(folder_).error().code(), VACCEL_OK);
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_NE(open_window_file(pipe).error().message().find("not a regular file"), std::string::npos);
}

TEST_F(WindowFileTest, WhatIsNoWindowIsRefusedWithTheReason) {
  std::ofstream(path_) << std::string(100, 'x');
  expect_refused(VACCEL_INVALID_ARGUMENT, "100 bytes cannot be a window's file");
  std::filesystem::resize_file(path_, 8 * kMiB);
  expect_refused(VACCEL_INVALID_ARGUMENT, "no NVDIMM DAX info block");
  expect_refused(VACCEL_INVALID_ARGUMENT, "'vaccelctl window create' makes a new one");

  ASSERT_TRUE(create(8 * kMiB, true).ok());
  std::filesystem::resize_file(path_, 6 * kMiB);
  expect_refused(VACCEL_INVALID_ARGUMENT, "for a file of 8388608 bytes, and it has 6291456");
  std::filesystem::resize_file(path_, 8 * kMiB);
  EXPECT_TRUE(open_window_file(path_).has_value());

  overwrite(kWindowDataOffset, "VACCELWN");
  expect_refused(VACCEL_INVALID_ARGUMENT, "does not begin with a window's header");
  ASSERT_TRUE(create(8 * kMiB, true).ok());
  overwrite(kWindowDataOffset + 8, "\x07");
  expect_refused(VACCEL_INVALID_ARGUMENT, "version 7");
  ASSERT_TRUE(create(8 * kMiB, true).ok());
  overwrite(kWindowDataOffset + 16, "\x01");
  expect_refused(VACCEL_INVALID_ARGUMENT, "its header is for a window of");
  ASSERT_TRUE(create(8 * kMiB, true).ok());
  overwrite(kInfoBlockOffset + 100, "\x01");
  expect_refused(VACCEL_INVALID_ARGUMENT, "checksum");
}

}  // namespace
}  // namespace vaccel::channel
