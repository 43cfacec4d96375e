// SPDX-License-Identifier: Apache-2.0
//
// Bodies that are FlatBuffers of the right table and say what cannot be, written with the schema itself since the
// project's own encoder would not. Each is one request's INVALID_ARGUMENT; its payload is skipped, the session goes on.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "support/agent_process.h"
#include "support/raw_client.h"
#include "wire/limits.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include "wire/schema_generated.h"
#pragma GCC diagnostic pop

namespace vaccel::integration {
namespace {

namespace fb = flatbuffers;
namespace schema = wire::schema;

using Builder = fb::FlatBufferBuilder;
using Tensors = std::vector<fb::Offset<schema::Tensor>>;
using Attributes = std::vector<fb::Offset<schema::Attribute>>;

struct TensorFields {
  std::string name = "data";
  uint8_t dtype = VACCEL_UINT8;
  std::vector<int64_t> shape{100};
  uint32_t segment = 0;
  uint64_t offset = 0;
  uint64_t bytes = 100;
};

fb::Offset<schema::Tensor> put(Builder& flat, const TensorFields& fields) {
  const auto name = flat.CreateString(fields.name);
  const auto shape = flat.CreateVector(fields.shape);
  return schema::CreateTensor(flat, name, fields.dtype, shape, fields.segment, fields.offset, fields.bytes);
}

std::vector<std::byte> finish_call(Builder& flat, const std::string& operator_name, const Tensors& inputs,
                                   const Attributes& attributes = {}, const std::string& backend = {}) {
  const auto name = flat.CreateString(operator_name);
  const auto backend_name = flat.CreateString(backend);
  const auto all_attributes = flat.CreateVector(attributes);
  const auto all_inputs = flat.CreateVector(inputs);
  flat.Finish(schema::CreateCall(flat, name, 0, backend_name, all_attributes, all_inputs, 0, false));
  const auto* bytes = reinterpret_cast<const std::byte*>(flat.GetBufferPointer());
  return {bytes, bytes + flat.GetSize()};
}

std::vector<std::byte> call_with_tensor(const TensorFields& fields) {
  Builder flat;
  const auto tensor = put(flat, fields);
  return finish_call(flat, "reference.echo", {tensor});
}

class Bodies : public testing::Test {
 protected:
  // One request with 1000 bytes of payload, and its answer; the session must go on after it.
  Answer ask(const std::vector<std::byte>& body) {
    EXPECT_LE(body.size(), wire::kMaxBodyBytes) << "the test's own mistake";
    const uint64_t id = next_id_++;
    EXPECT_TRUE(client_.send_body(wire::Kind::kCall, id, body, payload_));
    auto answer = client_.await(id);
    if (!answer) {
      ADD_FAILURE() << "no answer";
      return {};
    }
    const Answer next =
        client_.ask(next_id_++, call_with_bytes("reference.checksum", payload_.size()), payload_);
    EXPECT_TRUE(next.is_result()) << next.text();
    return *answer;
  }
  void expect_invalid(const std::vector<std::byte>& body, const std::string& words) {
    const Answer answer = ask(body);
    EXPECT_EQ(answer.code, VACCEL_INVALID_ARGUMENT) << answer.text();
    EXPECT_NE(answer.sentence.find(words), std::string::npos) << answer.sentence;
  }

  AgentProcess agent_;
  RawClient client_{agent_.endpoint()};
  const std::vector<std::byte> payload_ = some_bytes(1000, 1);
  uint64_t next_id_ = 2;
};

TEST_F(Bodies, TensorsThatCannotBe) {
  const pid_t worker = agent_.worker();
  EXPECT_TRUE(ask(call_with_tensor({})).is_result());
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const auto wrong = [&](const char* what, TensorFields fields, const char* words) {
    SCOPED_TRACE(what);
    expect_invalid(call_with_tensor(fields), words);
  };
  wrong("too few bytes", {.bytes = 99}, "takes 100 bytes, not 99");
  wrong("too many bytes", {.bytes = 101}, "takes 100 bytes, not 101");
  wrong("beyond the payload", {.shape = {1001}, .bytes = 1001}, "beyond the payload");
  wrong("offset beyond", {.offset = 1024}, "beyond the payload");
  wrong("offset and bytes wrap", {.offset = ~uint64_t{63}, .bytes = 100}, "beyond the payload");
  wrong("offset between", {.offset = 10}, "not a multiple of 64");
  wrong("dtype 0", {.dtype = 0}, "dtype 0");
  wrong("dtype 200", {.dtype = 200}, "dtype 200");
  wrong("nine dimensions", {.shape = std::vector<int64_t>(9, 1), .bytes = 1}, "dimensions");
  wrong("many dimensions", {.shape = std::vector<int64_t>(5000, 1), .bytes = 1}, "dimensions");
  wrong("a negative dimension", {.shape = {-1}}, "negative dimension");
  wrong("the most negative", {.shape = {std::numeric_limits<int64_t>::min()}}, "");
  wrong("two negative", {.shape = {-10, -10}}, "");
  wrong("a product that wraps to 0", {.shape = {int64_t{1} << 32, int64_t{1} << 32}, .bytes = 0}, "");
  wrong("a product that wraps to 100", {.shape = {kMost, kMost, 100}}, "");
  wrong("a huge one", {.shape = {kMost}, .bytes = static_cast<uint64_t>(kMost)}, "");
  wrong("bytes that wrap", {.dtype = VACCEL_FLOAT64, .shape = {int64_t{1} << 61}, .bytes = 0}, "");
  wrong("huge beside zero", {.shape = {0, kMost, kMost}, .bytes = 0}, "");
  wrong("segment of the agent", {.segment = 1}, "segment 1");
  wrong("segment of the worker", {.segment = 2}, "segment 2");
  wrong("segment of nobody", {.segment = 0x7fffffff}, "segment 2147483647");
  wrong("device buffer of nobody", {.segment = 0xffffffff}, "device buffer 4294967295");
  wrong("a name of 256 bytes", {.name = std::string(256, 'n')}, "255");
  wrong("a NUL in the name", {.name = std::string("a\0b", 3)}, "NUL");
  EXPECT_TRUE(ask(call_with_tensor({.name = std::string(255, 'n')})).is_result());
  EXPECT_TRUE(ask(call_with_tensor({.shape = {0}, .offset = 960, .bytes = 0})).is_result());
  EXPECT_EQ(agent_.worker(), worker);
}

TEST_F(Bodies, StringsThatLie) {
  // Offsets of strings are for whoever reads the strings; wrong ones must hurt nobody on the way.
  for (const auto& shape : {std::vector<int64_t>{1}, {249}, {int64_t{1} << 40}, {0}, {}}) {
    const Answer answer = ask(call_with_tensor({.dtype = VACCEL_STRING, .shape = shape, .bytes = 1000}));
    EXPECT_TRUE(answer.is_result() || answer.code == VACCEL_INVALID_ARGUMENT) << answer.text();
  }
  expect_serves(agent_.endpoint());
}

TEST_F(Bodies, NamesAndTextsThatCannotBe) {
  Builder flat;
  expect_invalid(finish_call(flat, "", {}), "no operator");
  flat.Clear();
  expect_invalid(finish_call(flat, std::string(256, 'o'), {}), "255");
  flat.Clear();
  expect_invalid(finish_call(flat, std::string("vaccel\0echo", 11), {}), "NUL");
  flat.Clear();
  expect_invalid(finish_call(flat, "reference.noop", {}, {}, std::string(256, 'b')), "255");
  flat.Clear();
  const auto without_value = schema::CreateAttribute(flat, flat.CreateString("x"));
  expect_invalid(finish_call(flat, "reference.noop", {}, {without_value}), "no value");
  flat.Clear();
  const auto nameless =
      schema::CreateAttribute(flat, 0, schema::Value_Integer, schema::CreateInteger(flat, 1).Union());
  expect_invalid(finish_call(flat, "reference.noop", {}, {nameless}), "no name");
  flat.Clear();
  const auto words = flat.CreateString(std::string(4097, 't'));
  const auto long_text = schema::CreateAttribute(flat, flat.CreateString("x"), schema::Value_Text,
                                                 schema::CreateText(flat, words).Union());
  expect_invalid(finish_call(flat, "reference.noop", {}, {long_text}), "4096");
}

TEST_F(Bodies, TooManyOfAnything) {
  const auto with_inputs = [](size_t count) {
    Builder flat;
    const TensorFields empty{.shape = {0}, .bytes = 0};
    const Tensors inputs(count, put(flat, empty));  // one table, referred to often
    return finish_call(flat, "reference.noop", inputs);
  };
  const auto with_attributes = [](size_t count) {
    Builder flat;
    Attributes attributes;
    for (size_t index = 0; index < count; ++index) {
      attributes.push_back(schema::CreateAttribute(flat, flat.CreateString("a" + std::to_string(index)),
                                                   schema::Value_Integer,
                                                   schema::CreateInteger(flat, 1).Union()));
    }
    return finish_call(flat, "reference.noop", {}, attributes);
  };
  EXPECT_TRUE(ask(with_inputs(wire::kMaxTensors)).is_result());
  expect_invalid(with_inputs(wire::kMaxTensors + 1), std::to_string(wire::kMaxTensors));
  EXPECT_TRUE(ask(with_attributes(wire::kMaxAttributes)).is_result());
  expect_invalid(with_attributes(wire::kMaxAttributes + 1), std::to_string(wire::kMaxAttributes));
}

// A body of 5 KiB in which 64 attributes share one text is one of 260 KiB when each has its own: the worker, to which
// it would go in that form, must not be made to choke on it.
TEST_F(Bodies, TextsThatShareTheirBytesDoNotReachTheWorker) {
  RawClient other(agent_.endpoint());
  other.send(2, call_of("reference.delay", {integer("microseconds", 500'000)}));
  const pid_t worker = agent_.worker();
  Builder flat;
  const auto words = schema::CreateText(flat, flat.CreateString(std::string(4096, 't'))).Union();
  Attributes attributes;
  for (size_t index = 0; index < wire::kMaxAttributes; ++index) {
    attributes.push_back(schema::CreateAttribute(flat, flat.CreateString("a" + std::to_string(index)),
                                                 schema::Value_Text, words));
  }
  const auto body = finish_call(flat, "reference.noop", {}, attributes);
  ASSERT_LT(body.size(), 16'000u);
  expect_invalid(body, "65536");
  const auto undisturbed = other.await(2);
  ASSERT_TRUE(undisturbed);
  EXPECT_TRUE(undisturbed->is_result()) << undisturbed->text();
  EXPECT_EQ(agent_.worker(), worker);
  // The agent's own operator answers with what it was asked; that has the same limit.
  Builder echo;
  const auto name = echo.CreateString(std::string(255, 'n'));
  const auto shape = echo.CreateVector(std::vector<int64_t>(8, 0));
  Tensors inputs;
  for (size_t index = 0; index < wire::kMaxTensors; ++index)
    inputs.push_back(schema::CreateTensor(echo, name, VACCEL_UINT8, shape));
  const Answer answer = ask(finish_call(echo, "vaccel.echo", inputs));
  EXPECT_TRUE(answer.is_result() || answer.code != VACCEL_OK);
}

TEST_F(Bodies, SubjectsThatCannotBeDescribed) {
  Builder flat;
  flat.Finish(schema::CreateDescribe(flat, static_cast<schema::Subject>(77)));
  const auto* bytes = reinterpret_cast<const std::byte*>(flat.GetBufferPointer());
  client_.send_body(wire::Kind::kDescribe, 900, {bytes, flat.GetSize()});
  const auto answer = client_.await(900);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, VACCEL_INVALID_ARGUMENT) << answer->text();
  EXPECT_EQ(client_.ask(901, wire::Describe{wire::Subject::kModel, "none", 0}).code, VACCEL_NOT_FOUND);
  EXPECT_EQ(client_.ask(902, wire::Describe{wire::Subject::kServer, "none", 9}).kind,
            wire::Kind::kDescription);
}

}  // namespace
}  // namespace vaccel::integration
