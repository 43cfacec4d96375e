// SPDX-License-Identifier: Apache-2.0
#include "wire/last_body.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

namespace vaccel::wire {
namespace {

Tensor tensor(const std::string& name) {
  Tensor made{.name = name, .dtype = VACCEL_FLOAT32, .rank = 2, .shape = {2, 3}};
  made.bytes = 24;
  return made;
}

Call example() {
  Call call{.operator_name = "infer", .model = 9, .backend = "onnxruntime", .timeout_us = 77};
  call.attributes = {{"alpha", 0.0}, {"mode", std::string("fast")}};
  call.inputs = {tensor("a")};
  call.window = Segment::kWindow;
  call.places = {{"c", 4096, 64}};
  return call;
}

std::string text(std::span<const std::byte> body) {
  return {reinterpret_cast<const char*>(body.data()), body.size()};
}

// Every way in which a call can differ from example().
const std::vector<void (*)(Call&)> kChanges = {
    [](Call& call) { call.operator_name = "inferx"; },
    [](Call& call) { call.model = 8; },
    [](Call& call) { call.backend = ""; },
    [](Call& call) { call.timeout_us = 78; },
    [](Call& call) { call.timings = true; },
    [](Call& call) { call.places.clear(); },
    [](Call& call) { call.places[0].name = "d"; },
    [](Call& call) { call.places[0].offset = 8192; },
    [](Call& call) { call.places[0].bytes = 65; },
    [](Call& call) { call.places[0].segment = static_cast<Segment>(kFirstMemoryNumber); },
    [](Call& call) { call.area_offset = 64, call.area_bytes = 64; },
    [](Call& call) { call.area_bytes = 128; },
    [](Call& call) { call.priority = 1; },
    [](Call& call) { call.attributes.pop_back(); },
    [](Call& call) { call.attributes[0].name = "beta"; },
    [](Call& call) { call.attributes[0].value = 5e-324; },
    [](Call& call) { call.attributes[0].value = int64_t{0}; },
    [](Call& call) { call.attributes[1].value = std::string("slow"); },
    [](Call& call) { call.inputs.push_back(tensor("b")); },
    [](Call& call) { call.inputs[0].name = "b"; },
    [](Call& call) { call.inputs[0].dtype = VACCEL_INT32; },
    [](Call& call) {
      call.inputs[0].shape = {3, 2};
    },
    [](Call& call) {
      call.inputs[0].rank = 3, call.inputs[0].shape = {2, 3, 1};
    },
    [](Call& call) { call.inputs[0].segment = Segment::kWindow; },
    [](Call& call) { call.inputs[0].offset = 64; },
};

TEST(LastBody, IsWhatEncodingAnewWouldGive) {
  Encoder encoder;
  const std::string first = text(encoder.encode(example()));
  EXPECT_EQ(text(encoder.encode(example())), first);
  for (size_t index = 0; index < kChanges.size(); ++index) {
    SCOPED_TRACE(index);
    Call changed = example();
    kChanges[index](changed);
    Encoder fresh;
    const std::string expected = text(fresh.encode(changed));
    EXPECT_EQ(text(encoder.encode(changed)), expected);
    EXPECT_EQ(text(encoder.encode(changed)), expected) << "the second time";
    EXPECT_NE(expected, first) << "it was no change";
    EXPECT_EQ(text(encoder.encode(example())), first);
  }
}

TEST(LastBody, NumbersThatAreNoneAreComparedBitByBit) {
  Call one = example();
  one.attributes[0].value = std::bit_cast<double>(uint64_t{0x7ff8000000000001});
  EXPECT_TRUE(is_same(one, one));
  Call other = example();
  other.attributes[0].value = std::bit_cast<double>(uint64_t{0x7ff8000000000002});
  EXPECT_FALSE(is_same(one, other));
}

TEST(LastBody, OfResultsTellsTheirTimesApart) {
  CallResult result;
  result.outputs = {tensor("out")};
  Encoder encoder;
  const std::string first = text(encoder.encode(result));
  result.timings.infer_ns = 5;
  EXPECT_NE(text(encoder.encode(result)), first);
  result.timings.infer_ns = 0;
  result.copied_bytes = 1;
  EXPECT_NE(text(encoder.encode(result)), first);
  result.copied_bytes = 0;
  result.batch = 2;
  EXPECT_NE(text(encoder.encode(result)), first);
  result.batch = 0;
  result.calls_wanted = 4;
  EXPECT_NE(text(encoder.encode(result)), first);
  result.calls_wanted = 0;
  EXPECT_EQ(text(encoder.encode(result)), first);
}

TEST(CallDecoder, TellsTheSameAsDecodingAnew) {
  Encoder encoder;
  CallDecoder decoder;
  const TensorRules rules{.payload_bytes = 88, .window = true};
  for (int round = 0; round < 3; ++round) {
    for (size_t index = 0; index < kChanges.size(); ++index) {
      SCOPED_TRACE(index);
      Call changed = example();
      kChanges[index](changed);
      const std::string body = text(encoder.encode(changed));
      const auto bytes = std::as_bytes(std::span(body));
      for (int time = 0; time < 2; ++time) {
        const auto decoded = decoder.decode(bytes, rules);
        const auto expected = decode_call(bytes, rules);
        ASSERT_EQ(decoded.has_value(), expected.has_value());
        if (decoded) {
          EXPECT_TRUE(is_same(*decoded, *expected));
        } else {
          EXPECT_EQ(decoded.error().message(), expected.error().message());
        }
      }
    }
  }
}

TEST(CallDecoder, RulesThatChangeAreKept) {
  Encoder encoder;
  CallDecoder decoder;
  const std::string body = text(encoder.encode(example()));
  const auto bytes = std::as_bytes(std::span(body));
  EXPECT_TRUE(decoder.decode(bytes, {.payload_bytes = 88, .window = true}).has_value());
  EXPECT_FALSE(decoder.decode(bytes, {.payload_bytes = 23, .window = true}).has_value());
  EXPECT_FALSE(decoder.decode(bytes, {.payload_bytes = 88}).has_value());
  EXPECT_TRUE(decoder.decode(bytes, {.payload_bytes = 88, .window = true}).has_value());
}

TEST(CallDecoder, LargeBodiesAndThoseThatAlwaysDifferAreDecodedAllTheSame) {
  Encoder encoder;
  CallDecoder decoder;
  for (uint64_t count = 0; count < 300; ++count) {
    Call call = example();
    call.timeout_us = count / 2 * 2;
    if (count % 7 == 0) call.inputs.assign(20, tensor("one of many"));
    const std::string body = text(encoder.encode(call));
    const auto decoded =
        decoder.decode(std::as_bytes(std::span(body)), {.payload_bytes = 88, .window = true});
    ASSERT_TRUE(decoded.has_value());
    EXPECT_TRUE(is_same(*decoded, call));
  }
}

}  // namespace
}  // namespace vaccel::wire
