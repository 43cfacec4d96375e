// SPDX-License-Identifier: Apache-2.0
#include "wire/operator_page.h"

#include <gtest/gtest.h>

namespace vaccel::wire {
namespace {

OperatorInfo operator_with(size_t parts, size_t text_bytes) {
  OperatorInfo info{"vendor.name", std::string(text_bytes, 'd'), {}, {}};
  for (size_t part = 0; part < parts; ++part)
    info.parts.push_back({VACCEL_OPERATOR_INPUT, "x", "float32 []", std::string(text_bytes, 'p')});
  info.backends.resize(parts, {"backend", VACCEL_FLOAT32, 50});
  return info;
}

size_t encoded_bytes(const Description& description) {
  Encoder encoder;
  return encoder.encode(description).size();
}

TEST(OperatorPage, WhatIsCountedIsNeverLessThanWhatIsSent) {
  for (const size_t parts : {0u, 1u, 2u, 7u, 64u}) {
    for (const size_t text_bytes : {0u, 1u, 3u, 4u, 100u, 511u}) {
      const OperatorInfo info = operator_with(parts, text_bytes);
      Description description;
      const size_t before = encoded_bytes(description);
      description.operators.push_back(info);
      EXPECT_LE(encoded_bytes(description) - before, most_bytes_of(info)) << parts << " " << text_bytes;
    }
  }
}

// However large the descriptions are, all of them come across, each once, in bodies that a decoder takes.
TEST(OperatorPage, AllComeAcrossInBodiesThatFit) {
  for (const size_t parts : {size_t{0}, size_t{1}, size_t{5}, kMaxOperatorParts}) {
    for (const size_t text_bytes : {0u, 100u, 500u}) {
      SCOPED_TRACE(std::to_string(parts) + " parts of " + std::to_string(text_bytes));
      std::vector<OperatorInfo> all(700, operator_with(parts, text_bytes));
      for (size_t index = 0; index < all.size(); ++index)
        all[index].name = "vendor." + std::to_string(index);
      std::vector<std::string> names;
      for (bool more = true; more;) {
        Description page;
        put_page(all, static_cast<uint32_t>(names.size()), page);
        ASSERT_FALSE(page.operators.empty());
        Encoder encoder;
        const auto body = encoder.encode(page);
        ASSERT_LE(body.size(), kMaxBodyBytes);
        const auto back = decode_description(body);
        ASSERT_TRUE(back.has_value()) << back.error().message();
        for (const OperatorInfo& info : back->operators)
          names.push_back(info.name);
        more = back->more;
      }
      ASSERT_EQ(names.size(), all.size());
      for (size_t index = 0; index < all.size(); ++index)
        EXPECT_EQ(names[index], all[index].name);
    }
  }
}

TEST(OperatorPage, BeyondTheEndThereIsNothing) {
  const std::vector<OperatorInfo> all(3, operator_with(1, 10));
  for (const uint32_t start : {3u, 4u, UINT32_MAX}) {
    Description page;
    put_page(all, start, page);
    EXPECT_TRUE(page.operators.empty());
    EXPECT_FALSE(page.more);
  }
}

}  // namespace
}  // namespace vaccel::wire
