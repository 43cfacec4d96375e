// SPDX-License-Identifier: Apache-2.0
//
// libvaccel-runtime.so as the guest library uses it: loaded by name, through its table, knowing nothing else of it.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/runtime_abi.h"

namespace vaccel::runtime {
namespace {

class RuntimeLibraryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("VACCEL_TEST_LIB");
    const std::string path = std::string(folder != nullptr ? folder : "build/lib") + "/" + kRuntimeLibrary;
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    const auto entry = reinterpret_cast<RuntimeEntry>(::dlsym(library, kRuntimeEntry));
    ASSERT_NE(entry, nullptr);
    table = entry();
    ASSERT_EQ(table->size, sizeof(RuntimeTable));
    ASSERT_EQ(table->abi_version, kRuntimeAbi);
    config = ::testing::TempDir() + "/vaccel-runtime-library-" + std::to_string(::getpid()) + ".toml";
  }
  void TearDown() override {
    if (runtime != nullptr) table->destroy(runtime);
    std::filesystem::remove(config);
  }

  vaccel_status create(const std::string& toml) {
    std::ofstream(config) << toml;
    return table->create(config.c_str(), &sink, &runtime);
  }

  static void keep(void* context, const char* sentence) { *static_cast<std::string*>(context) = sentence; }
  static void* no_output(void*, size_t, const char*, vaccel_dtype, int32_t, const int64_t*, size_t) {
    return nullptr;
  }

  RuntimeCall noop() const {
    RuntimeCall call{};
    call.size = sizeof call;
    call.operator_name = "reference.noop";
    call.output = no_output;
    return call;
  }

  const RuntimeTable* table = nullptr;
  Runtime* runtime = nullptr;
  std::string config;
  std::string sentence;
  ErrorSink sink{&sentence, keep};
};

TEST_F(RuntimeLibraryTest, FindsItsBackendsAndRunsCalls) {
  ASSERT_EQ(create(""), VACCEL_OK) << sentence;
  const vaccel_agent* agent = nullptr;
  ASSERT_EQ(table->describe(runtime, &sink, &agent), VACCEL_OK);
  EXPECT_GE(agent->backend_count, 1u);
  RuntimeCall call = noop();
  EXPECT_EQ(table->call(runtime, &call), VACCEL_OK);
  call.operator_name = "nope";
  call.error = sink;
  EXPECT_EQ(table->call(runtime, &call), VACCEL_NOT_FOUND);
  EXPECT_TRUE(sentence.starts_with("no operator 'nope' here")) << sentence;
  call.size = 3;
  EXPECT_EQ(table->call(runtime, &call), VACCEL_INVALID_ARGUMENT);
}

TEST_F(RuntimeLibraryTest, FailuresLeaveOutputsUntouched) {
  EXPECT_EQ(create("catalog = 1"), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(runtime, nullptr);
  EXPECT_NE(sentence.find(":1:1: unknown key 'catalog'"), std::string::npos) << sentence;
  EXPECT_EQ(table->create("/nonexistent.toml", &sink, &runtime), VACCEL_NOT_FOUND);
  EXPECT_EQ(runtime, nullptr);
  ASSERT_EQ(create(""), VACCEL_OK) << sentence;
  Model* model = nullptr;
  EXPECT_EQ(table->open_model(runtime, "nope", &sink, &model), VACCEL_NOT_FOUND);
  EXPECT_EQ(model, nullptr);
  const vaccel_model* description = nullptr;
  EXPECT_EQ(table->describe_model(runtime, "nope", &sink, &description), VACCEL_NOT_FOUND);
  EXPECT_EQ(description, nullptr);
  const vaccel_model_list* list = nullptr;
  EXPECT_EQ(table->list_models(runtime, &sink, &list), VACCEL_OK);
  EXPECT_EQ(list->count, 0u);
}

TEST_F(RuntimeLibraryTest, PostsWork) {
  ASSERT_EQ(create(""), VACCEL_OK) << sentence;
  std::atomic<int> ran = 0;
  ASSERT_EQ(table->post(
                runtime, [](void* argument) { *static_cast<std::atomic<int>*>(argument) = 1; }, &ran),
            VACCEL_OK);
  table->destroy(runtime);
  runtime = nullptr;
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace vaccel::runtime
