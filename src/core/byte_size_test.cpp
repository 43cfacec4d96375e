// SPDX-License-Identifier: Apache-2.0
#include "core/byte_size.h"

#include <gtest/gtest.h>

namespace vaccel {
namespace {

TEST(ByteSize, IsReadAsPeopleWriteIt) {
  for (const auto& [text, bytes] :
       std::initializer_list<std::pair<const char*, uint64_t>>{{"0", 0},
                                                               {"4096", 4096},
                                                               {"7B", 7},
                                                               {"8K", 8192},
                                                               {"512M", uint64_t{512} << 20},
                                                               {"512 MiB", uint64_t{512} << 20},
                                                               {"512MB", uint64_t{512} << 20},
                                                               {"1g", uint64_t{1} << 30},
                                                               {"2T", uint64_t{2} << 40},
                                                               {"18446744073709551615", ~uint64_t{0}},
                                                               {"16777215T", uint64_t{16777215} << 40}}) {
    const auto size = parse_byte_size(text);
    ASSERT_TRUE(size.has_value()) << text;
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(ByteSize, WhatIsNoneIsRefused) {
  for (const char* text : {"", " ", "M", "-1", "+1", "1.5G", "512X", "512MM", "512 M ", "1  K", "0x10", "1Mi",
                           "18446744073709551616", "16777216T", "{K", "1\n"}) {
    const auto size = parse_byte_size(text);
    ASSERT_FALSE(size.has_value()) << text;
    EXPECT_EQ(size.error().code(), VACCEL_INVALID_ARGUMENT);
  }
}

}  // namespace
}  // namespace vaccel
