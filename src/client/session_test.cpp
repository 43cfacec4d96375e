// SPDX-License-Identifier: Apache-2.0
//
// What the C API promises when the other end behaves.
#include <gtest/gtest.h>

#include <cstring>

#include "client/client_testing.h"
#include "client/outputs.h"
#include "core/clock.h"
#include "wire/limits.h"

namespace vaccel::client {
namespace {

class SessionTest : public testing::Test {
 protected:
  TestServer server_;
  SessionPtr session_ = open_session(server_.endpoint());

  // Calls an operator that returns its inputs.
  vaccel_outputs* echo(const std::vector<vaccel_tensor>& inputs,
                       const vaccel_call_options* options = nullptr) {
    vaccel_outputs* outputs = nullptr;
    EXPECT_EQ(vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, inputs.data(), inputs.size(),
                          options, &outputs),
              VACCEL_OK)
        << vaccel_error_message();
    return outputs;
  }
};

TEST_F(SessionTest, PingsTheAgent) {
  uint64_t round_trip_ns = 0;
  ASSERT_EQ(vaccel_ping(session_.get(), nullptr, &round_trip_ns), VACCEL_OK);
  EXPECT_GT(round_trip_ns, 0u);
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
  EXPECT_STREQ(vaccel_session_endpoint(session_.get()), server_.endpoint().c_str());
  EXPECT_EQ(server_.calls, 2);
  EXPECT_EQ(server_.connections, 1);
}

TEST_F(SessionTest, EchoesEveryTypeWithItsNameAndShape) {
  for (int dtype = VACCEL_FLOAT32; dtype < VACCEL_STRING; ++dtype) {
    std::vector<uint8_t> bytes = pattern(6 * 8, static_cast<uint32_t>(dtype));
    TensorView tensor("some name", dtype, bytes, {2, 3});
    const OutputsPtr outputs{echo({*tensor})};
    ASSERT_EQ(outputs->count, 1u);
    const vaccel_tensor& result = outputs->tensors[0];
    EXPECT_STREQ(result.name, "some name");
    EXPECT_EQ(result.dtype, dtype);
    ASSERT_EQ(result.rank, 2);
    EXPECT_EQ(result.shape[0], 2);
    EXPECT_EQ(result.shape[1], 3);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(result.data) % 64, 0u);
    // `bytes` of the view was more than the tensor needs: no more than that travels.
    bytes.resize(result.bytes);
    EXPECT_EQ(bytes_of(result), bytes);
  }
}

TEST_F(SessionTest, EchoesManyTensorsOfOddSizesEmptyOnesScalarsAndStrings) {
  std::vector<uint8_t> seven = pattern(7, 1), large = pattern(1'000'003, 2), none;
  std::vector<double> scalar{2.5};
  const char text[] = "\x0c\0\0\0\x0f\0\0\0\x10\0\0\0hi\0\0";  // two strings, "hi" and ""
  std::vector<char> strings(text, text + 16);
  TensorView a("a", VACCEL_UINT8, seven, {7});
  TensorView b("b", VACCEL_FLOAT32, none, {4, 0, 2});
  TensorView c("c", VACCEL_FLOAT64, scalar, {});
  TensorView d("d", VACCEL_STRING, strings, {2});
  TensorView e(nullptr, VACCEL_UINT8, large, {1'000'003});
  const OutputsPtr outputs{echo({*a, *b, *c, *d, *e})};
  ASSERT_EQ(outputs->count, 5u);
  EXPECT_EQ(bytes_of(outputs->tensors[0]), seven);
  EXPECT_EQ(outputs->tensors[1].bytes, 0u);
  EXPECT_EQ(outputs->tensors[1].shape[2], 2);
  EXPECT_EQ(outputs->tensors[2].rank, 0);
  EXPECT_EQ(*static_cast<double*>(outputs->tensors[2].data), 2.5);
  EXPECT_EQ(bytes_of(outputs->tensors[3]), std::vector<uint8_t>(strings.begin(), strings.end()));
  EXPECT_STREQ(outputs->tensors[4].name, "");
  EXPECT_EQ(bytes_of(outputs->tensors[4]), large);
}

TEST_F(SessionTest, PacksStridedInputs) {
  std::vector<int32_t> matrix{1, 2, 3, 4, 5, 6};
  TensorView tensor("transposed", VACCEL_INT32, matrix, {3, 2});
  const int64_t strides[] = {1, 3};
  (*tensor).strides = strides;
  const OutputsPtr outputs{echo({*tensor})};
  const auto* values = static_cast<const int32_t*>(outputs->tensors[0].data);
  EXPECT_EQ(std::vector<int32_t>(values, values + 6), (std::vector<int32_t>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(outputs->tensors[0].strides, nullptr);
}

TEST_F(SessionTest, ResultsCanBeUnwanted) {
  std::vector<uint8_t> bytes = pattern(300'000, 3);
  TensorView tensor("x", VACCEL_UINT8, bytes, {300'000});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, &tensor, 1, nullptr, nullptr),
              VACCEL_OK);
  }
  const OutputsPtr outputs{echo({*tensor})};  // what was not wanted is not in the way
  EXPECT_EQ(bytes_of(outputs->tensors[0]), bytes);
}

TEST_F(SessionTest, PutsResultsIntoTheCallersMemory) {
  std::vector<uint8_t> first = pattern(100, 1), second = pattern(100'000, 2), third = pattern(70, 3);
  TensorView a("a", VACCEL_UINT8, first, {100});
  TensorView b("b", VACCEL_UINT8, second, {100'000});
  TensorView c("c", VACCEL_UINT8, third, {70});
  std::vector<uint8_t> place_b(100'000), place_a(200, 0xee);
  vaccel_tensor places[2]{};
  places[0].data = place_a.data();  // no name: the first result
  places[0].bytes = place_a.size();
  places[1].name = "b";
  places[1].data = place_b.data();
  places[1].bytes = place_b.size();
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = places;
  options.output_count = 2;
  const OutputsPtr outputs{echo({*a, *b, *c}, &options)};
  ASSERT_EQ(outputs->count, 3u);
  EXPECT_EQ(outputs->tensors[0].data, place_a.data());
  EXPECT_EQ(outputs->tensors[0].bytes, 100u);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), place_a.begin()));
  EXPECT_EQ(place_a[100], 0xee);
  EXPECT_EQ(outputs->tensors[1].data, place_b.data());
  EXPECT_EQ(place_b, second);
  EXPECT_EQ(bytes_of(outputs->tensors[2]), third);
}

TEST_F(SessionTest, SaysWhenTheCallersMemoryDoesNotFit) {
  std::vector<uint8_t> bytes = pattern(100, 1), place(99);
  TensorView tensor("a", VACCEL_UINT8, bytes, {100});
  vaccel_tensor places[1]{};
  places[0].data = place.data();
  places[0].bytes = place.size();
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = places;
  options.output_count = 1;
  vaccel_outputs* outputs = nullptr;
  EXPECT_EQ(vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, &tensor, 1, &options, &outputs),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(),
               "result 'a' (number 0) takes 100 bytes; options.outputs has 99 for it");
  places[0].bytes = 0;
  places[0].name = "nobody";
  EXPECT_EQ(vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, &tensor, 1, &options, &outputs),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "options.outputs[0] names 'nobody'; the results are: 'a'");
  EXPECT_EQ(outputs, nullptr);
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
  EXPECT_EQ(server_.connections, 1);
}

TEST_F(SessionTest, InfersOnAModelThatItOpensOnce) {
  std::vector<float> values{1, 2, 3};
  TensorView tensor("input", VACCEL_FLOAT32, values, {3});
  for (int round = 0; round < 3; ++round) {
    vaccel_outputs* outputs = nullptr;
    ASSERT_EQ(vaccel_infer(session_.get(), "some model", &tensor, 1, nullptr, &outputs), VACCEL_OK);
    EXPECT_EQ(static_cast<float*>(outputs->tensors[0].data)[2], 3);
    vaccel_outputs_free(outputs);
  }
  EXPECT_EQ(vaccel_model_load(session_.get(), "some model"), VACCEL_OK);
  EXPECT_EQ(server_.models_opened, 1);
  EXPECT_EQ(vaccel_model_load(session_.get(), "another"), VACCEL_OK);
  EXPECT_EQ(server_.models_opened, 2);
}

TEST_F(SessionTest, SaysWhichModelIsMissingAndAsksAgainNextTime) {
  vaccel_outputs* outputs = nullptr;
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(vaccel_infer(session_.get(), "missing one", nullptr, 0, nullptr, &outputs), VACCEL_NOT_FOUND);
    EXPECT_STREQ(vaccel_error_message(), "no model 'missing one'");
  }
  EXPECT_EQ(outputs, nullptr);
  EXPECT_EQ(server_.calls, 0);
}

TEST_F(SessionTest, Classifies) {
  const std::vector<uint8_t> image = pattern(5000, 1);
  vaccel_classes* classes = nullptr;
  ASSERT_EQ(vaccel_classify(session_.get(), "mobilenet", image.data(), image.size(), 5, nullptr, &classes),
            VACCEL_OK)
      << vaccel_error_message();
  ASSERT_EQ(classes->count, 3u);
  EXPECT_EQ(classes->items[0].index, 5000);
  EXPECT_STREQ(classes->items[0].label, "first");
  EXPECT_FLOAT_EQ(classes->items[0].score, 0.5);
  EXPECT_STREQ(classes->items[1].label, "");
  EXPECT_STREQ(classes->items[2].label, "third");
  EXPECT_EQ(classes->timings.infer_ns, 1234u);
  EXPECT_GT(classes->timings.total_ns, 0u);
  vaccel_classes_free(classes);
  ASSERT_EQ(vaccel_classify(session_.get(), "mobilenet", image.data(), image.size(), 1, nullptr, &classes),
            VACCEL_OK);
  EXPECT_EQ(classes->count, 1u);
  vaccel_classes_free(classes);
}

TEST_F(SessionTest, DescribesAgentAndModels) {
  vaccel_agent* agent = nullptr;
  ASSERT_EQ(vaccel_agent_describe(session_.get(), &agent), VACCEL_OK);
  EXPECT_STREQ(agent->endpoint, server_.endpoint().c_str());
  EXPECT_STREQ(agent->version, "test server");
  EXPECT_EQ(agent->protocol_version, 1u);
  EXPECT_EQ(agent->worker_count, 2u);
  EXPECT_EQ(agent->max_payload_bytes, uint64_t{1} << 30);
  ASSERT_EQ(agent->backend_count, 2u);
  EXPECT_STREQ(agent->backends[1].problem, "its library is not here");
  vaccel_agent_free(agent);

  vaccel_model* model = nullptr;
  ASSERT_EQ(vaccel_model_describe(session_.get(), "m", &model), VACCEL_OK);
  EXPECT_STREQ(model->name, "m");
  ASSERT_EQ(model->input_count, 1u);
  EXPECT_EQ(model->inputs[0].shape[3], -1);
  EXPECT_EQ(model->outputs[0].rank, -1);
  EXPECT_EQ(model->outputs[0].dtype, VACCEL_STRING);
  ASSERT_EQ(model->metadata_count, 2u);
  EXPECT_STREQ(model->metadata[0].key, "producer");
  EXPECT_STREQ(model->metadata[0].value, "a test");
  EXPECT_STREQ(model->metadata[1].value, "");
  vaccel_model_free(model);
}

TEST(ModelListTest, IsReadPageByPage) {
  const TestServer server({.model_count = 301, .hook = {}});
  const auto session = open_session(server.endpoint());
  vaccel_model_list* list = nullptr;
  ASSERT_EQ(vaccel_models(session.get(), &list), VACCEL_OK);
  ASSERT_EQ(list->count, 301u);
  EXPECT_STREQ(list->models[300]->name, "model300");
  vaccel_model_list_free(list);
}

TEST(OperatorListTest, IsReadPageByPage) {
  const TestServer server({.operator_count = 100, .hook = {}});
  const auto session = open_session(server.endpoint());
  vaccel_operator_list* list = nullptr;
  ASSERT_EQ(vaccel_operators(session.get(), &list), VACCEL_OK) << vaccel_error_message();
  ASSERT_EQ(list->count, 100u);
  const vaccel_operator& last = *list->operators[99];
  EXPECT_EQ(last.size, sizeof last);
  EXPECT_STREQ(last.name, "test.operator99");
  EXPECT_STREQ(last.description, "Does nothing");
  ASSERT_EQ(last.part_count, 1u);
  EXPECT_EQ(last.parts[0].kind, VACCEL_OPERATOR_ATTRIBUTE);
  EXPECT_STREQ(last.parts[0].name, "top");
  EXPECT_STREQ(last.parts[0].type, "integer >= 1");
  EXPECT_STREQ(last.parts[0].description, "how many");
  ASSERT_EQ(last.backend_count, 2u);
  EXPECT_STREQ(last.backends[0].name, "reference");
  EXPECT_EQ(last.backends[0].dtype, VACCEL_FLOAT32);
  EXPECT_EQ(last.backends[0].score, 80);
  EXPECT_EQ(last.backends[1].dtype, 0);
  vaccel_operator_list_free(list);
  vaccel_operator_list_free(nullptr);
}

TEST_F(SessionTest, HandsOnAttributesAndFailures) {
  vaccel_attribute attributes[2]{};
  attributes[0].name = "code";
  attributes[0].type = VACCEL_ATTRIBUTE_INT;
  attributes[0].value.integer = VACCEL_PERMISSION_DENIED;
  attributes[1].name = "note";
  attributes[1].type = VACCEL_ATTRIBUTE_STRING;
  attributes[1].value.string = "why not";
  EXPECT_EQ(vaccel_call(session_.get(), "test.fail", nullptr, attributes, 2, nullptr, 0, nullptr, nullptr),
            VACCEL_PERMISSION_DENIED);
  EXPECT_STREQ(vaccel_error_message(), "as asked");
  // A failure that bears this code is the operator's word; the connection is as good as before.
  attributes[0].value.integer = VACCEL_PROTOCOL_ERROR;
  EXPECT_EQ(vaccel_call(session_.get(), "test.fail", nullptr, attributes, 2, nullptr, 0, nullptr, nullptr),
            VACCEL_PROTOCOL_ERROR);
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
  EXPECT_EQ(server_.connections, 1);
}

TEST(LimitsTest, APayloadOverTheAgentsLimitIsRefusedUnsent) {
  const TestServer server({.max_payload_bytes = 1000, .hook = {}});
  const auto session = open_session(server.endpoint());
  std::vector<uint8_t> bytes(1001);
  TensorView tensor("x", VACCEL_UINT8, bytes, {1001});
  EXPECT_EQ(vaccel_call(session.get(), "test.echo", nullptr, nullptr, 0, &tensor, 1, nullptr, nullptr),
            VACCEL_RESOURCE_EXHAUSTED);
  const std::string sentence = vaccel_error_message();
  EXPECT_NE(sentence.find("1001 bytes"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("at most 1000 bytes"), std::string::npos) << sentence;
  EXPECT_EQ(server.calls, 0);
}

TEST_F(SessionTest, RefusesABodyThatIsTooLarge) {
  const std::string text(4000, 'x');
  std::vector<vaccel_attribute> attributes(64);
  for (vaccel_attribute& attribute : attributes) {
    attribute.name = "a";
    attribute.type = VACCEL_ATTRIBUTE_STRING;
    attribute.value.string = text.c_str();
  }
  EXPECT_EQ(
      vaccel_call(session_.get(), "test.echo", nullptr, attributes.data(), 64, nullptr, 0, nullptr, nullptr),
      VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(std::string(vaccel_error_message()).find("at most 65536"), std::string::npos);
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
}

TEST_F(SessionTest, PrioritiesTravel) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.priority = -7;
  EXPECT_EQ(vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, nullptr, 0, &options, nullptr),
            VACCEL_OK);
  EXPECT_EQ(server_.last_priority, -7);
  for (const int32_t wrong : {-101, 101}) {
    options.priority = wrong;
    EXPECT_EQ(vaccel_call(session_.get(), "test.echo", nullptr, nullptr, 0, nullptr, 0, &options, nullptr),
              VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(vaccel_error_message()).find(std::to_string(wrong)), std::string::npos);
  }
}

TEST_F(SessionTest, WhenToTryAgainIsTold) {
  vaccel_attribute attributes[2] = {};
  attributes[0].name = "code";
  attributes[0].type = VACCEL_ATTRIBUTE_INT;
  attributes[0].value.integer = VACCEL_RESOURCE_EXHAUSTED;
  attributes[1].name = "retry_after_us";
  attributes[1].type = VACCEL_ATTRIBUTE_INT;
  attributes[1].value.integer = 1500;
  EXPECT_EQ(vaccel_call(session_.get(), "test.fail", nullptr, attributes, 2, nullptr, 0, nullptr, nullptr),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(vaccel_error_retry_after_us(), 1500u);
  EXPECT_EQ(vaccel_call(session_.get(), "test.fail", nullptr, attributes, 1, nullptr, 0, nullptr, nullptr),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(vaccel_error_retry_after_us(), 0u) << "of the last failure alone";
}

TEST_F(SessionTest, DeadlinesTravelAndEnd) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(60'000'000);
  EXPECT_EQ(vaccel_ping(session_.get(), &options, nullptr), VACCEL_OK);
  EXPECT_GT(server_.last_timeout_us, 50'000'000u);
  EXPECT_LE(server_.last_timeout_us, 60'000'000u);

  options.deadline_ns = vaccel_deadline_after_us(20'000);
  const int64_t before = now_ns();
  EXPECT_EQ(vaccel_call(session_.get(), "test.hold", nullptr, nullptr, 0, nullptr, 0, &options, nullptr),
            VACCEL_DEADLINE_EXCEEDED);
  EXPECT_GE(now_ns(), options.deadline_ns);
  EXPECT_LT(now_ns() - before, 5'000'000'000);
  EXPECT_STREQ(vaccel_error_message(), "the deadline passed before the result of 'test.hold' was here");
  EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr),
            VACCEL_OK);  // after the late answer to what was cancelled
  EXPECT_EQ(server_.cancels, 1);
  EXPECT_EQ(server_.connections, 1);
}

TEST_F(SessionTest, ADeadlineThatHasPassedFailsAtOnce) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = 1;
  EXPECT_EQ(vaccel_ping(session_.get(), &options, nullptr), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(server_.calls, 0);
  options.deadline_ns = -1;
  EXPECT_EQ(vaccel_ping(session_.get(), &options, nullptr), VACCEL_INVALID_ARGUMENT);
}

TEST_F(SessionTest, ChecksArguments) {
  vaccel_outputs* outputs = nullptr;
  vaccel_classes* classes = nullptr;
  vaccel_request* request = nullptr;
  vaccel_session* session = session_.get();
  const auto refused = [](vaccel_status status, const char* part) {
    EXPECT_EQ(status, VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(vaccel_error_message()).find(part), std::string::npos) << vaccel_error_message();
  };
  refused(vaccel_open("unix:/x", nullptr, nullptr), "the place for the session is NULL");
  refused(vaccel_call(nullptr, "x", nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr),
          "the session is NULL");
  refused(vaccel_call(session, nullptr, nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr),
          "operator's name is NULL");
  refused(vaccel_call(session, "", nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr),
          "operator's name is empty");
  refused(
      vaccel_call(session, std::string(256, 'x').c_str(), nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr),
      "more than the 255 bytes");
  refused(vaccel_call(session, "x", nullptr, nullptr, 3, nullptr, 0, nullptr, nullptr), "3 attributes");
  refused(vaccel_call(session, "x", nullptr, nullptr, 0, nullptr, 3, nullptr, nullptr),
          "3 inputs, and the pointer");
  refused(vaccel_call(session, "x", nullptr, nullptr, 0, nullptr, wire::kMaxTensors + 1, nullptr, nullptr),
          "321 inputs are more than the 320");
  refused(vaccel_infer(session, nullptr, nullptr, 0, nullptr, &outputs), "model's name is NULL");
  refused(vaccel_infer(session, "m", nullptr, 0, nullptr, nullptr), "the place for the outputs is NULL");
  refused(vaccel_classify(session, "m", nullptr, 3, 5, nullptr, &classes), "the image is NULL");
  refused(vaccel_classify(session, "m", "", 0, 5, nullptr, &classes), "the image has 0 bytes");
  refused(vaccel_classify(session, "m", "abc", 3, 0, nullptr, &classes), "top is 0");
  refused(vaccel_submit_call(session, "x", nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr),
          "the place for the request is NULL");
  refused(vaccel_wait(nullptr, 0), "the request is NULL");
  refused(vaccel_poll(session, nullptr), "the place for the request is NULL");
  refused(vaccel_models(session, nullptr), "the place for the list is NULL");
  refused(vaccel_model_load(session, nullptr), "model's name is NULL");
  refused(vaccel_operators(nullptr, nullptr), "the session is NULL");
  refused(vaccel_operators(session, nullptr), "the place for the list is NULL");
  EXPECT_EQ(vaccel_session_fd(nullptr), -1);
  std::vector<float> values(3);
  TensorView tensor("x", VACCEL_FLOAT32, values, {2, 2});
  refused(vaccel_call(session, "x", nullptr, nullptr, 0, &tensor, 1, nullptr, nullptr),
          "needs 16 bytes and has 12");
  vaccel_attribute attribute{};
  refused(vaccel_call(session, "x", nullptr, &attribute, 1, nullptr, 0, nullptr, nullptr),
          "attribute 0 has no name");
  attribute.name = "a";
  refused(vaccel_call(session, "x", nullptr, &attribute, 1, nullptr, 0, nullptr, nullptr),
          "type 0, which is none");
  EXPECT_EQ(request, nullptr);
  EXPECT_EQ(server_.calls, 0);
}

TEST_F(SessionTest, OptionsOfOtherVersionsAreUnderstoodOrRefused) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.size = 0;
  EXPECT_EQ(vaccel_ping(session_.get(), &options, nullptr), VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(std::string(vaccel_error_message()).find("VACCEL_INIT(vaccel_call_options)"), std::string::npos);
  // An older caller's struct ends before the deadline that this memory goes on with.
  options.size = offsetof(vaccel_call_options, deadline_ns);
  options.deadline_ns = 1;
  EXPECT_EQ(vaccel_ping(session_.get(), &options, nullptr), VACCEL_OK);
  struct {
    vaccel_call_options known;
    uint64_t newer;
  } larger{VACCEL_INIT(vaccel_call_options), 0};
  larger.known.size = sizeof larger;
  EXPECT_EQ(vaccel_ping(session_.get(), &larger.known, nullptr), VACCEL_OK);
  larger.newer = 1;
  EXPECT_EQ(vaccel_ping(session_.get(), &larger.known, nullptr), VACCEL_INVALID_ARGUMENT);
  larger.newer = 0;
  larger.known.flags = 2;
  EXPECT_EQ(vaccel_ping(session_.get(), &larger.known, nullptr), VACCEL_INVALID_ARGUMENT);
}

TEST(LibraryTest, NamesItselfAndItsStatuses) {
  EXPECT_STREQ(vaccel_version(), "0.1.0");
  EXPECT_STREQ(vaccel_status_name(VACCEL_NOT_FOUND), "NOT_FOUND");
  EXPECT_STREQ(vaccel_status_name(static_cast<vaccel_status>(15)), "UNKNOWN");
  EXPECT_GT(vaccel_deadline_after_us(0), 0);
  EXPECT_EQ(vaccel_deadline_after_us(UINT64_MAX), INT64_MAX);
  vaccel_close(nullptr);
  vaccel_outputs_free(nullptr);
  vaccel_classes_free(nullptr);
  vaccel_model_free(nullptr);
  vaccel_model_list_free(nullptr);
  vaccel_agent_free(nullptr);
  vaccel_request_free(nullptr);
  vaccel_cancel(nullptr);
}

TEST(LibraryTest, AnErrorBelongsToItsThread) {
  vaccel_session* session = nullptr;
  EXPECT_EQ(vaccel_open("nonsense", nullptr, &session), VACCEL_INVALID_ARGUMENT);
  const std::string here = vaccel_error_message();
  EXPECT_NE(here.find("nonsense"), std::string::npos);
  std::jthread([] { EXPECT_STREQ(vaccel_error_message(), ""); }).join();
  EXPECT_EQ(here, vaccel_error_message());
}

}  // namespace
}  // namespace vaccel::client
