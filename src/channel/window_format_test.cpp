// SPDX-License-Identifier: Apache-2.0
#include "channel/window_format.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>

namespace vaccel::channel {
namespace {

constexpr uint64_t kFileBytes = uint64_t{512} << 20;

InfoBlock block_of(uint64_t file_bytes) {
  std::array<std::byte, 16> uuid;
  for (size_t at = 0; at < uuid.size(); ++at)
    uuid[at] = static_cast<std::byte>(at + 1);
  return write_info_block(file_bytes, uuid);
}

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    text += "0123456789abcdef"[std::to_integer<int>(byte >> 4)];
    text += "0123456789abcdef"[std::to_integer<int>(byte & std::byte{15})];
  }
  return text;
}

// Made by another program from the kernel's description of the block, and taken by kernels 6.1 and 6.12.
TEST(InfoBlock, IsWhatTheKernelReads) {
  const std::map<size_t, std::string> lines{
      {0, "4e5644494d4d5f4441585f494e464f00"},  {16, "0102030405060708090a0b0c0d0e0f10"},
      {48, "00000000010004000000200000000000"}, {64, "00fe0100000000000100000000000000"},
      {80, "00000000000020000010000040000000"}, {4080, "00000000000000008870bcffba442624"},
  };
  const InfoBlock block = block_of(kFileBytes);
  for (size_t at = 0; at < block.size(); at += 16) {
    const auto line = lines.find(at);
    EXPECT_EQ(hex(std::span(block).subspan(at, 16)),
              line == lines.end() ? std::string(32, '0') : line->second)
        << "at offset " << at;
  }
  EXPECT_TRUE(check_info_block(block, kFileBytes).ok());
}

TEST(InfoBlock, EveryBitIsCovered) {
  InfoBlock block = block_of(kFileBytes);
  for (size_t at = 0; at < block.size(); ++at) {
    block[at] ^= std::byte{1};
    EXPECT_EQ(check_info_block(block, kFileBytes).code(), VACCEL_INVALID_ARGUMENT) << "at offset " << at;
    block[at] ^= std::byte{1};
  }
  EXPECT_TRUE(check_info_block(block, kFileBytes).ok());
}

TEST(InfoBlock, OfAnotherSizeIsRefused) {
  const Status status = check_info_block(block_of(kFileBytes), kFileBytes / 2);
  EXPECT_NE(status.message().find("it has been truncated or extended"), std::string::npos)
      << status.message();
  EXPECT_TRUE(check_info_block(block_of(kMinWindowFileBytes), kMinWindowFileBytes).ok());
}

TEST(InfoBlock, WhatIsNoneSaysSo) {
  const InfoBlock zeros{};
  EXPECT_NE(check_info_block(zeros, kFileBytes).message().find("there is no NVDIMM DAX info block"),
            std::string::npos);
}

const WindowHeader kHeader{.bytes = 0x0807060504030201,
                           .identity = {.vm_low = 0x1817161514131211,
                                        .vm_high = 0x2827262524232221,
                                        .generation = 0x3837363534333231,
                                        .nonce_low = 0x4847464544434241,
                                        .nonce_high = 0x5857565554535251}};

struct alignas(8) Page {
  std::array<std::byte, kWindowHeaderBytes> bytes{};
};

Page page_of(const WindowHeader& header) {
  Page page;
  std::ranges::copy(encode_window_header(header), page.bytes.begin());
  return page;
}

TEST(WindowHeader, IsAsDescribed) {
  EXPECT_EQ(hex(encode_window_header(kHeader)),
            "76416363656c576e"
            "0100000000000000"
            "0102030405060708"
            "1112131415161718"
            "2122232425262728"
            "3132333435363738"
            "4142434445464748"
            "5152535455565758");
}

TEST(WindowHeader, ComesBack) {
  const auto header = read_window_header(page_of(kHeader).bytes);
  ASSERT_TRUE(header.has_value()) << header.error().message();
  EXPECT_EQ(header->bytes, kHeader.bytes);
  EXPECT_EQ(header->identity, kHeader.identity);
}

TEST(WindowHeader, WhatIsNoneIsRefused) {
  Page page = page_of(kHeader);
  const auto whole = std::span<const std::byte>(page.bytes);
  EXPECT_EQ(read_window_header(whole.first(4095)).error().code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(read_window_header({}).error().code(), VACCEL_INVALID_ARGUMENT);
  page.bytes[8] = std::byte{2};
  EXPECT_NE(read_window_header(whole).error().message().find("version 2"), std::string::npos);
  page.bytes[0] = std::byte{'V'};
  EXPECT_NE(read_window_header(whole).error().message().find("does not begin"), std::string::npos);
}

}  // namespace
}  // namespace vaccel::channel
