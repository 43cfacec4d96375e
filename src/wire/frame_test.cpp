// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "wire/limits.h"

namespace vaccel::wire {
namespace {

TEST(Header, ComesOutAsItWentIn) {
  const Header header{Kind::kCall, 1, 0x1122334455667788, 1234, uint64_t{5} << 30};
  const HeaderBytes bytes = encode_header(header);
  EXPECT_EQ(std::memcmp(bytes.data(), "vAcl", 4), 0);
  const auto back = decode_header(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->kind, Kind::kCall);
  EXPECT_EQ(back->request_id, header.request_id);
  EXPECT_EQ(back->body_bytes, header.body_bytes);
  EXPECT_EQ(back->payload_bytes, header.payload_bytes);
}

struct Corruption {
  const char* what;
  size_t offset;
  uint8_t value;
};

class BrokenHeader : public testing::TestWithParam<Corruption> {};

TEST_P(BrokenHeader, IsAProtocolError) {
  HeaderBytes bytes = encode_header({Kind::kCall, 1, 1, 100, 100});
  bytes[GetParam().offset] = std::byte{GetParam().value};
  const auto header = decode_header(bytes);
  ASSERT_FALSE(header.has_value()) << GetParam().what;
  EXPECT_EQ(header.error().code(), VACCEL_PROTOCOL_ERROR);
}

INSTANTIATE_TEST_SUITE_P(Header, BrokenHeader,
                         testing::Values(Corruption{"magic", 0, 'X'}, Corruption{"kind 0", 6, 0},
                                         Corruption{"kind between", 6, 20}, Corruption{"kind after", 6, 38},
                                         Corruption{"flags", 7, 1}, Corruption{"body size", 18, 2},
                                         Corruption{"reserved", 20, 1},
                                         Corruption{"payload of 2^63", 31, 0x80},
                                         Corruption{"payload over 16 GiB", 28, 5}));

TEST(Header, OnlyCallsAndResultsHavePayloads) {
  for (const Kind kind : {Kind::kHello, Kind::kCancel, Kind::kFailure, Kind::kDescription}) {
    EXPECT_TRUE(decode_header(encode_header({kind, 1, 1, 8, 0})).has_value());
    EXPECT_FALSE(decode_header(encode_header({kind, 1, 1, 8, 1})).has_value()) << kind_name(kind);
  }
  EXPECT_TRUE(decode_header(encode_header({Kind::kResult, 1, 1, 8, 1})).has_value());
}

TEST(Header, LimitsAreAtTheLimit) {
  EXPECT_TRUE(decode_header(encode_header({Kind::kCall, 1, 1, kMaxBodyBytes, kMaxPayloadBytes})).has_value());
  EXPECT_FALSE(decode_header(encode_header({Kind::kCall, 1, 1, kMaxBodyBytes + 1, 0})).has_value());
  EXPECT_FALSE(decode_header(encode_header({Kind::kCall, 1, 1, 0, kMaxPayloadBytes + 1})).has_value());
}

TEST(KindNames, StandAtTheirNumbers) {
  EXPECT_STREQ(kind_name(Kind::kHello), "hello");
  EXPECT_STREQ(kind_name(Kind::kCall), "call");
  EXPECT_STREQ(kind_name(Kind::kWake), "wake");
  EXPECT_STREQ(kind_name(Kind::kFreeMemory), "free-memory");
  EXPECT_STREQ(kind_name(Kind::kLiftQuarantine), "lift-quarantine");
  EXPECT_STREQ(kind_name(Kind::kWelcome), "welcome");
  EXPECT_STREQ(kind_name(Kind::kFailure), "failure");
  EXPECT_STREQ(kind_name(Kind::kMemoryAllocated), "memory-allocated");
  EXPECT_STREQ(kind_name(Kind::kReloaded), "reloaded");
  for (const int number : {0, 23, 31, 45, 255})
    EXPECT_STREQ(kind_name(static_cast<Kind>(number)), "unknown") << number;
}

}  // namespace
}  // namespace vaccel::wire
