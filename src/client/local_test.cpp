// SPDX-License-Identifier: Apache-2.0
//
// Sessions in this process: the real runtime with its reference backend, through the same C API.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "vaccel/vaccel.h"

namespace {

class LocalSessionTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/vaccel-local-test-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_ + "/catalogue");
    std::ofstream(folder_ + "/vaccel.toml")
        << "catalogue = \"catalogue\"\n[backends]\ndirectory = \"" << std::getenv("VACCEL_TEST_LIB")
        << "/vaccel/backends\"\nload = [\"reference\"]\n";
    const std::string endpoint = "local:" + folder_ + "/vaccel.toml";
    ASSERT_EQ(vaccel_open(endpoint.c_str(), nullptr, &session_), VACCEL_OK) << vaccel_error_message();
    EXPECT_EQ(vaccel_session_endpoint(session_), endpoint);
  }
  void TearDown() override {
    vaccel_close(session_);
    std::filesystem::remove_all(folder_);
  }

  vaccel_request* submit(const char* operator_name, const vaccel_attribute* attributes,
                         size_t attribute_count, const vaccel_call_options* options = nullptr) {
    vaccel_request* request = nullptr;
    EXPECT_EQ(vaccel_submit_call(session_, operator_name, nullptr, attributes, attribute_count, nullptr, 0,
                                 options, &request),
              VACCEL_OK)
        << vaccel_error_message();
    return request;
  }

  static vaccel_attribute number(const char* name, int64_t value) {
    vaccel_attribute attribute{};
    attribute.name = name;
    attribute.type = VACCEL_ATTRIBUTE_INT;
    attribute.value.integer = value;
    return attribute;
  }

  std::string folder_;
  vaccel_session* session_ = nullptr;
};

TEST_F(LocalSessionTest, EchoesDenseAndStridedTensors) {
  std::vector<int32_t> values{1, 2, 3, 4, 5, 6};
  const int64_t shape[] = {3, 2}, strides[] = {1, 3};
  vaccel_tensor tensor{};
  tensor.name = "x";
  tensor.data = values.data();
  tensor.bytes = 24;
  tensor.shape = shape;
  tensor.rank = 2;
  tensor.dtype = VACCEL_INT32;
  for (const bool strided : {false, true}) {
    tensor.strides = strided ? strides : nullptr;
    vaccel_outputs* outputs = nullptr;
    ASSERT_EQ(vaccel_call(session_, "reference.echo", nullptr, nullptr, 0, &tensor, 1, nullptr, &outputs),
              VACCEL_OK)
        << vaccel_error_message();
    ASSERT_EQ(outputs->count, 1u);
    EXPECT_STREQ(outputs->tensors[0].name, "x");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(outputs->tensors[0].data) % 64, 0u);
    const auto* result = static_cast<const int32_t*>(outputs->tensors[0].data);
    EXPECT_EQ(std::vector<int32_t>(result, result + 6),
              (strided ? std::vector<int32_t>{1, 4, 2, 5, 3, 6} : std::vector<int32_t>{1, 2, 3, 4, 5, 6}));
    EXPECT_GT(outputs->timings.total_ns, 0u);
    vaccel_outputs_free(outputs);
  }
}

TEST_F(LocalSessionTest, PutsResultsIntoTheCallersMemory) {
  const vaccel_attribute attributes[] = {number("bytes", 1000), number("value", 7)};
  std::vector<uint8_t> memory(1000);
  vaccel_tensor places[1]{};
  places[0].data = memory.data();
  places[0].bytes = memory.size();
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = places;
  options.output_count = 1;
  vaccel_outputs* outputs = nullptr;
  ASSERT_EQ(vaccel_call(session_, "reference.fill", nullptr, attributes, 2, nullptr, 0, &options, &outputs),
            VACCEL_OK)
      << vaccel_error_message();
  EXPECT_EQ(outputs->tensors[0].data, memory.data());
  EXPECT_EQ(memory, std::vector<uint8_t>(1000, 7));
  vaccel_outputs_free(outputs);
  places[0].bytes = 999;
  outputs = nullptr;
  EXPECT_EQ(vaccel_call(session_, "reference.fill", nullptr, attributes, 2, nullptr, 0, &options, &outputs),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(std::string(vaccel_error_message()).find("takes 1000 bytes; options.outputs has 999"),
            std::string::npos)
      << vaccel_error_message();
  EXPECT_EQ(outputs, nullptr);
}

TEST_F(LocalSessionTest, SaysWhatIsNotThere) {
  EXPECT_EQ(vaccel_call(session_, "no.such", nullptr, nullptr, 0, nullptr, 0, nullptr, nullptr),
            VACCEL_NOT_FOUND);
  EXPECT_NE(std::string(vaccel_error_message()).find("no.such"), std::string::npos);
  EXPECT_EQ(vaccel_model_load(session_, "nobody"), VACCEL_NOT_FOUND);
  vaccel_session* session = nullptr;
  EXPECT_NE(vaccel_open("local:/nonexistent/vaccel.toml", nullptr, &session), VACCEL_OK);
  EXPECT_NE(std::string(vaccel_error_message()).find("/nonexistent/vaccel.toml"), std::string::npos)
      << vaccel_error_message();
}

TEST_F(LocalSessionTest, DescribesItself) {
  vaccel_agent* agent = nullptr;
  ASSERT_EQ(vaccel_agent_describe(session_, &agent), VACCEL_OK);
  EXPECT_STREQ(agent->endpoint, vaccel_session_endpoint(session_));
  EXPECT_EQ(agent->protocol_version, 0u);
  ASSERT_EQ(agent->backend_count, 1u);
  EXPECT_STREQ(agent->backends[0].name, "reference");
  vaccel_agent_free(agent);
  vaccel_model_list* models = nullptr;
  ASSERT_EQ(vaccel_models(session_, &models), VACCEL_OK);
  EXPECT_EQ(models->count, 0u);
  vaccel_model_list_free(models);
  EXPECT_EQ(vaccel_ping(session_, nullptr, nullptr), VACCEL_OK);
}

TEST_F(LocalSessionTest, ListsOperators) {
  vaccel_operator_list* list = nullptr;
  ASSERT_EQ(vaccel_operators(session_, &list), VACCEL_OK) << vaccel_error_message();
  const vaccel_operator* fill = nullptr;
  for (size_t index = 0; index < list->count; ++index) {
    if (std::strcmp(list->operators[index]->name, "reference.fill") == 0) fill = list->operators[index];
  }
  ASSERT_NE(fill, nullptr);
  ASSERT_EQ(fill->part_count, 3u);
  EXPECT_EQ(fill->parts[0].kind, VACCEL_OPERATOR_OUTPUT);
  EXPECT_STREQ(fill->parts[0].type, "uint8 [?]");
  EXPECT_STREQ(fill->parts[1].name, "bytes");
  EXPECT_STREQ(fill->parts[1].type, "integer, required");
  ASSERT_EQ(fill->backend_count, 1u);
  EXPECT_STREQ(fill->backends[0].name, "reference");
  vaccel_operator_list_free(list);
}

TEST_F(LocalSessionTest, RunsSubmittedCallsAndTellsOfThem) {
  const int fd = vaccel_session_fd(session_);
  ASSERT_GE(fd, 0);
  vaccel_request* request = nullptr;
  while (vaccel_poll(session_, &request) == VACCEL_OK && request != nullptr) {
  }
  const vaccel_attribute attributes[] = {number("bytes", 10), number("value", 3)};
  for (int call = 0; call < 10; ++call)
    (void)submit("reference.fill", attributes, 2);
  for (int completed = 0; completed < 10;) {
    pollfd waiting{fd, POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 10'000), 1);
    while (vaccel_poll(session_, &request) == VACCEL_OK && request != nullptr) {
      vaccel_outputs* outputs = nullptr;
      ASSERT_EQ(vaccel_request_outputs(request, &outputs), VACCEL_OK) << vaccel_error_message();
      EXPECT_EQ(outputs->tensors[0].bytes, 10u);
      vaccel_outputs_free(outputs);
      vaccel_request_free(request);
      ++completed;
    }
  }
}

TEST_F(LocalSessionTest, DeadlinesAndCancelsEndCalls) {
  const vaccel_attribute long_time = number("microseconds", 60'000'000);
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(20'000);
  EXPECT_EQ(vaccel_call(session_, "reference.delay", nullptr, &long_time, 1, nullptr, 0, &options, nullptr),
            VACCEL_DEADLINE_EXCEEDED);
  vaccel_request* request = submit("reference.delay", &long_time, 1);
  EXPECT_EQ(vaccel_wait(request, vaccel_deadline_after_us(1000)), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(vaccel_request_done(request), 0);
  vaccel_cancel(request);
  EXPECT_EQ(vaccel_wait(request, 0), VACCEL_CANCELLED);
  vaccel_request_free(request);
  vaccel_request_free(
      submit("reference.delay", &long_time, 1));  // cancels; the session's end waits for it to be over
}

TEST_F(LocalSessionTest, ManyThreadsMayUseIt) {
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      const vaccel_attribute attributes[] = {number("bytes", 1000), number("value", thread)};
      for (int call = 0; call < 200; ++call) {
        vaccel_outputs* outputs = nullptr;
        ASSERT_EQ(
            vaccel_call(session_, "reference.fill", nullptr, attributes, 2, nullptr, 0, nullptr, &outputs),
            VACCEL_OK);
        EXPECT_EQ(static_cast<const uint8_t*>(outputs->tensors[0].data)[999], thread);
        vaccel_outputs_free(outputs);
      }
    });
  }
}

}  // namespace
