// SPDX-License-Identifier: Apache-2.0
//
// Calls through the library, the agent and a worker: right ones, and every kind of wrong one. What is wrong comes back
// as a status with a sentence that says what would be right, and the next call works.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/clock.h"
#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

AgentSetup with_models() {
  return {.catalogue = real_catalogue(), .all_backends = true};
}

#define EXPECT_REFUSED(given, expected, words)             \
  do {                                                     \
    const auto& refused = (given);                         \
    EXPECT_EQ(refused.status, expected) << refused.text(); \
    EXPECT_TRUE(refused.says(words)) << refused.text();    \
  } while (false)

class Calls : public testing::Test {
 protected:
  void expect_next_call_works() {
    const auto bytes = some_bytes(5000, 3);
    const auto sum = session.call("reference.checksum", {}, {bytes_tensor(bytes)});
    ASSERT_TRUE(sum.ok()) << sum.text();
    EXPECT_EQ(sum_in(*sum.value), sum_of(bytes));
  }
  AgentProcess agent;
  Session session{agent.endpoint()};
};

TEST_F(Calls, EveryElementTypeAndRankComesBack) {
  constexpr std::pair<vaccel_dtype, size_t> kTypes[] = {
      {VACCEL_FLOAT32, 4}, {VACCEL_FLOAT64, 8}, {VACCEL_FLOAT16, 2}, {VACCEL_BFLOAT16, 2}, {VACCEL_INT8, 1},
      {VACCEL_INT16, 2},   {VACCEL_INT32, 4},   {VACCEL_INT64, 8},   {VACCEL_UINT8, 1},    {VACCEL_UINT16, 2},
      {VACCEL_UINT32, 4},  {VACCEL_UINT64, 8},  {VACCEL_BOOL, 1}};
  std::vector<Tensor> inputs;
  for (const auto& [dtype, size] : kTypes) {
    std::vector<int64_t> shape;
    size_t count = 1;
    for (size_t rank = 0; rank < inputs.size() % 9; ++rank) {
      shape.push_back(static_cast<int64_t>(rank % 3 + 1));
      count *= rank % 3 + 1;
    }
    inputs.push_back({"t" + std::to_string(inputs.size()), dtype, shape, some_bytes(count * size, 1)});
  }
  for (const char* name : {"reference.echo", "vaccel.echo"}) {
    const auto echo = session.call(name, {}, inputs);
    ASSERT_TRUE(echo.ok()) << echo.text();
    ASSERT_EQ(echo.value->count, inputs.size());
    for (size_t index = 0; index < inputs.size(); ++index) {
      const vaccel_tensor& output = echo.value->tensors[index];
      EXPECT_EQ(output.name, inputs[index].name);
      EXPECT_EQ(output.dtype, inputs[index].dtype);
      EXPECT_EQ(std::vector(output.shape, output.shape + output.rank), inputs[index].shape);
      EXPECT_TRUE(std::ranges::equal(data_of(output), inputs[index].bytes)) << inputs[index].name;
    }
  }
}

TEST_F(Calls, SizesAroundEveryBoundaryComeBack) {
  for (const size_t size : {0u, 1u, 63u, 64u, 65u, 4063u, 4064u, 4095u, 4096u, 4097u, 65'535u, 65'536u,
                            65'537u, 1'048'575u, 1'048'577u, 20'000'000u}) {
    const auto bytes = some_bytes(size, static_cast<uint32_t>(size));
    const auto echo = session.call("reference.echo", {}, {bytes_tensor(bytes)});
    ASSERT_TRUE(echo.ok()) << size << ": " << echo.text();
    ASSERT_EQ(echo.value->count, 1u);
    EXPECT_TRUE(std::ranges::equal(data_of(echo.value->tensors[0]), bytes)) << size;
  }
}

TEST_F(Calls, TensorsWithoutElementsAreTensors) {
  const std::vector<Tensor> inputs{{"none", VACCEL_FLOAT32, {0}, {}},
                                   {"rows", VACCEL_INT64, {3, 0, 5}, {}},
                                   {"some", VACCEL_UINT8, {2}, some_bytes(2, 1)}};
  const auto echo = session.call("reference.echo", {}, inputs);
  ASSERT_TRUE(echo.ok()) << echo.text();
  ASSERT_EQ(echo.value->count, 3u);
  EXPECT_EQ(echo.value->tensors[1].rank, 3);
  EXPECT_EQ(echo.value->tensors[1].bytes, 0u);
  EXPECT_EQ(echo.value->tensors[2].bytes, 2u);
}

TEST_F(Calls, UnknownOperatorsModelsAndBackendsAreNotFound) {
  EXPECT_REFUSED(session.call("no.such"), VACCEL_NOT_FOUND, "no.such");
  EXPECT_REFUSED(session.call("reference.noop", {}, {}, nullptr, "no-such-model"), VACCEL_NOT_FOUND,
                 "no-such-model");
  EXPECT_REFUSED(session.call("reference.noop", {}, {}, nullptr, "../../etc"), VACCEL_NOT_FOUND, "../../etc");
  auto options = VACCEL_INIT(vaccel_call_options);
  options.backend = "no-such-backend";
  EXPECT_REFUSED(session.call("reference.noop", {}, {}, &options), VACCEL_NOT_FOUND, "no-such-backend");
  EXPECT_REFUSED(session.call(""), VACCEL_INVALID_ARGUMENT, "operator");
  EXPECT_REFUSED(session.classify("no-such-model", some_bytes(10, 1)), VACCEL_NOT_FOUND, "no-such-model");
  EXPECT_REFUSED(session.infer("no-such-model", {}), VACCEL_NOT_FOUND, "no-such-model");
  expect_next_call_works();
}

TEST_F(Calls, WrongAttributesAreNamed) {
  EXPECT_REFUSED(session.call("reference.delay"), VACCEL_INVALID_ARGUMENT, "'microseconds'");
  EXPECT_REFUSED(session.call("reference.delay", {text_attribute("microseconds", "10")}),
                 VACCEL_INVALID_ARGUMENT, "'microseconds'");
  EXPECT_REFUSED(session.call("reference.delay", {int_attribute("microseconds", -1)}),
                 VACCEL_INVALID_ARGUMENT, "'microseconds'");
  EXPECT_REFUSED(
      session.call("reference.fill", {int_attribute("bytes", std::numeric_limits<int64_t>::max())}),
      VACCEL_INVALID_ARGUMENT, "'bytes'");
  EXPECT_REFUSED(session.call("reference.fill", {int_attribute("bytes", int64_t{1} << 40)}),
                 VACCEL_RESOURCE_EXHAUSTED, "");
  EXPECT_REFUSED(session.call("reference.noop", {int_attribute("twice", 1), int_attribute("twice", 2)}),
                 VACCEL_INVALID_ARGUMENT, "'twice'");
  EXPECT_REFUSED(session.call("reference.fault", {text_attribute("kind", "none such")}),
                 VACCEL_INVALID_ARGUMENT, "none such");
  expect_next_call_works();
}

// ---- Deadlines and cancellation

TEST_F(Calls, ADeadlineInThePastFailsAtOnce) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = 1;
  EXPECT_REFUSED(session.call("reference.noop", {}, {}, &options), VACCEL_DEADLINE_EXCEEDED, "deadline");
  options.deadline_ns = -5;
  EXPECT_NE(session.call("reference.noop", {}, {}, &options).status, VACCEL_OK);
  expect_next_call_works();
}

TEST_F(Calls, ADeadlineEndsACallThatRunsAndFreesItsPlace) {
  for (int turn = 0; turn < 20;
       ++turn) {  // more than there are threads: a call that ran on would block the rest
    const auto options = within_us(20'000);
    const Stopwatch watch;
    EXPECT_REFUSED(session.call("reference.delay", {int_attribute("microseconds", 60'000'000)}, {}, &options),
                   VACCEL_DEADLINE_EXCEEDED, "deadline");
    EXPECT_LT(watch.elapsed_ns(), 1'500'000'000u);
  }
  expect_next_call_works();
}

TEST(CallsOfOneThread, ADeadlineEndsACallThatIsQueued) {
  const AgentProcess agent({.worker = "threads = 1"});
  const Session session(agent.endpoint());
  auto blocker = session.submit("reference.delay", {int_attribute("microseconds", 60'000'000)});
  ASSERT_TRUE(blocker.ok()) << blocker.text();
  const auto options = within_us(100'000);
  const Stopwatch watch;
  EXPECT_REFUSED(session.call("reference.noop", {}, {}, &options), VACCEL_DEADLINE_EXCEEDED, "deadline");
  EXPECT_GE(watch.elapsed_ns(), 100'000'000u);
  EXPECT_LT(watch.elapsed_ns(), 2'000'000'000u);

  // What was queued can be cancelled before it began; then what runs.
  auto queued = session.submit("reference.noop");
  ASSERT_TRUE(queued.ok());
  vaccel_cancel(queued.value.get());
  EXPECT_EQ(vaccel_wait(queued.value.get(), 0), VACCEL_CANCELLED);
  EXPECT_EQ(vaccel_request_done(blocker.value.get()), 0);
  vaccel_cancel(blocker.value.get());
  EXPECT_EQ(vaccel_wait(blocker.value.get(), 0), VACCEL_CANCELLED);
  // One that has finished stays as it is.
  auto finished = session.submit("reference.noop");
  ASSERT_EQ(vaccel_wait(finished.value.get(), 0), VACCEL_OK) << vaccel_error_message();
  vaccel_cancel(finished.value.get());
  EXPECT_EQ(vaccel_request_status(finished.value.get()), VACCEL_OK);
}

TEST_F(Calls, CancelsOfWhatIsNotThereAreIgnored) {
  RawClient client(agent.endpoint());
  client.send(2, wire::Cancel{2});
  client.send(2, wire::Cancel{0});
  client.send(2, wire::Cancel{~uint64_t{0}});
  EXPECT_TRUE(client.ask(3, call_of("reference.noop")).is_result());
  client.send(2, wire::Cancel{3});  // answered already
  // Of another session.
  client.send(4, call_of("reference.delay", {integer("microseconds", 300'000)}));
  RawClient other(agent.endpoint());
  other.send(4, wire::Cancel{4});
  EXPECT_TRUE(other.ask(5, call_of("reference.noop")).is_result());
  EXPECT_TRUE(client.await(4)->is_result());
}

TEST_F(Calls, FreedRequestsAreCancelled) {
  for (int turn = 0; turn < 30; ++turn) {  // more than the worker has threads
    auto request = session.submit("reference.delay", {int_attribute("microseconds", 60'000'000)},
                                  {bytes_tensor(some_bytes(10'000, 1))});
    ASSERT_TRUE(request.ok()) << request.text();
  }
  expect_next_call_works();
}

// ---- Models

TEST(ModelCalls, InputsThatTheModelDoesNotTakeAreNamed) {
  VACCEL_NEEDS_MOBILENET();
  const AgentProcess agent(with_models());
  const Session session(agent.endpoint());
  const auto described = given<ModelPtr>(
      [&](vaccel_model** model) { return vaccel_model_describe(session.get(), "mobilenet", model); });
  ASSERT_TRUE(described.ok()) << described.text();
  ASSERT_EQ(described.value->input_count, 1u);
  const vaccel_tensor_info& info = described.value->inputs[0];
  const std::string name = info.name;
  std::vector<int64_t> shape(info.shape, info.shape + info.rank);
  for (int64_t& dimension : shape)
    if (dimension < 0) dimension = 1;
  ASSERT_EQ(shape.size(), 4u);
  const size_t count = 3 * 224 * 224;
  const std::vector<float> zeros(count);
  const Tensor right = tensor_of(name, VACCEL_FLOAT32, shape, zeros);

  const auto result = session.infer("mobilenet", {right});
  ASSERT_TRUE(result.ok()) << result.text();

  Tensor wrong = right;
  wrong.dtype = VACCEL_INT32;
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "int32");
  wrong = tensor_of(name, VACCEL_FLOAT64, shape, std::vector<double>(count));
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "float64");
  wrong = right;
  wrong.shape = {static_cast<int64_t>(count)};
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "shape");
  wrong = right;
  wrong.shape = {1, 224, 224, 3};
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "shape");
  wrong = right;
  wrong.shape[3] = 0;
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "shape");
  wrong = right;
  wrong.shape[0] = -1;
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "");
  wrong = right;
  wrong.bytes.resize(wrong.bytes.size() - 1);
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "bytes");
  wrong = right;
  wrong.name = "no such input";
  EXPECT_REFUSED(session.infer("mobilenet", {wrong}), VACCEL_INVALID_ARGUMENT, "no such input");
  EXPECT_REFUSED(session.infer("mobilenet", {}), VACCEL_INVALID_ARGUMENT, "missing");
  EXPECT_REFUSED(session.infer("mobilenet", {right, right}), VACCEL_INVALID_ARGUMENT, "twice");

  // NaN and infinity are values like others: the model answers.
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto odd = session.infer(
        "mobilenet", {tensor_of(name, VACCEL_FLOAT32, shape, std::vector<float>(count, value))});
    EXPECT_TRUE(odd.ok()) << odd.text();
  }
  const auto again = session.infer("mobilenet", {right});
  ASSERT_TRUE(again.ok()) << again.text();
  EXPECT_TRUE(std::ranges::equal(data_of(again.value->tensors[0]), data_of(result.value->tensors[0])));
}

TEST(ModelCalls, WhatIsNoPictureIsRefused) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  const AgentProcess agent(with_models());
  const pid_t worker = agent.worker();
  const Session session(agent.endpoint());
  const auto cat = file_bytes(photo("chelsea.png"));
  const std::string words = "This is a text file, not a picture.\n";
  const auto text_bytes = std::as_bytes(std::span(words));
  EXPECT_REFUSED(session.classify("mobilenet", {}), VACCEL_INVALID_ARGUMENT, "");
  EXPECT_REFUSED(session.classify("mobilenet", text_bytes), VACCEL_INVALID_ARGUMENT, "");
  EXPECT_REFUSED(session.classify("mobilenet", some_bytes(100'000, 1)), VACCEL_INVALID_ARGUMENT, "");
  for (const auto& whole : {cat, png_as_jpeg(cat), png_as_webp(cat)}) {
    for (const size_t size : {size_t{1}, size_t{8}, size_t{40}, whole.size() / 2, whole.size() - 8}) {
      EXPECT_REFUSED(session.classify("mobilenet", std::span(whole).first(size)), VACCEL_INVALID_ARGUMENT,
                     "");
    }
  }
  EXPECT_REFUSED(session.classify("mobilenet", png_that_claims(60'000, 60'000)), VACCEL_RESOURCE_EXHAUSTED,
                 "60000");
  EXPECT_FALSE(session.classify("mobilenet", png_that_claims(0x7fffffff, 0x7fffffff)).ok());
  EXPECT_REFUSED(session.classify("mobilenet", png_that_claims(0, 5)), VACCEL_INVALID_ARGUMENT, "");
  EXPECT_REFUSED(session.classify("mobilenet", cat, 0), VACCEL_INVALID_ARGUMENT, "top");
  EXPECT_REFUSED(
      session.call("classify", {int_attribute("top", 5), int_attribute("bogus", 1)},
                   {{"image", VACCEL_UINT8, {static_cast<int64_t>(cat.size())}, cat}}, nullptr, "mobilenet"),
      VACCEL_INVALID_ARGUMENT, "'bogus'");
  EXPECT_REFUSED(session.call("classify", {int_attribute("top", 5)}, {}), VACCEL_INVALID_ARGUMENT, "model");
  const auto classes = session.classify("mobilenet", cat);
  ASSERT_TRUE(classes.ok()) << classes.text();
  EXPECT_STREQ(classes.value->items[0].label, "Egyptian cat");
  EXPECT_EQ(agent.worker(), worker);
}

TEST(ModelCalls, AgentAndLocalModeAgree) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  const AgentProcess agent(with_models());
  const Session remote(agent.endpoint());
  const Session local("local:" + (agent.folder() / "vaccel.toml").string());
  const auto png = file_bytes(photo("chelsea.png"));
  for (const auto& image : {png, png_as_jpeg(png), png_as_webp(png)}) {
    const auto here = local.classify("mobilenet", image);
    const auto there = remote.classify("mobilenet", image);
    ASSERT_TRUE(here.ok()) << here.text();
    ASSERT_TRUE(there.ok()) << there.text();
    ASSERT_EQ(here.value->count, 5u);
    ASSERT_EQ(there.value->count, 5u);
    EXPECT_STREQ(there.value->items[0].label, "Egyptian cat");
    for (size_t index = 0; index < 5; ++index) {
      EXPECT_EQ(there.value->items[index].index, here.value->items[index].index);
      EXPECT_NEAR(there.value->items[index].score, here.value->items[index].score, 1e-5);
      EXPECT_STREQ(there.value->items[index].label, here.value->items[index].label);
    }
  }
  // The same sentences for the same mistakes.
  const auto here = local.classify("mobilenet", some_bytes(50, 1));
  const auto there = remote.classify("mobilenet", some_bytes(50, 1));
  EXPECT_EQ(here.text(), there.text());
}

TEST(ModelCalls, TimingsLieWithinOneAnother) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  const AgentProcess agent(with_models());
  const Session session(agent.endpoint());
  const auto classes = session.classify("mobilenet", file_bytes(photo("chelsea.png")));
  ASSERT_TRUE(classes.ok()) << classes.text();
  const vaccel_timings& times = classes.value->timings;
  EXPECT_GT(times.infer_ns, 0u);
  EXPECT_GT(times.decode_ns, 0u);
  EXPECT_LE(times.decode_ns + times.prepare_ns + times.infer_ns + times.postprocess_ns, times.worker_ns);
  EXPECT_LE(times.queue_ns + times.worker_ns, times.agent_ns);
  EXPECT_LE(times.agent_ns, times.total_ns);
}

}  // namespace
}  // namespace vaccel::integration
