// SPDX-License-Identifier: Apache-2.0
//
// A device whose memory is full, and one that goes away while it works: the call says so, and the backend goes on.
#include <CL/cl.h>
#include <dlfcn.h>

#include "opencl_testing.h"

namespace vaccel::opencl {
namespace {

using namespace testing;

constexpr const char* kLibrary = VACCEL_OPENCL_TEST_LIBRARY;

class OpenclFailuresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!backend.problem().empty()) GTEST_SKIP() << "skipped: " << backend.problem();
    void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    fail_next = reinterpret_cast<void (*)(const char*, int, int)>(::dlsym(library, "fail_next"));
    largest_buffer = reinterpret_cast<size_t (*)()>(::dlsym(library, "largest_buffer"));
    ASSERT_TRUE(fail_next != nullptr && largest_buffer != nullptr);
  }
  void TearDown() override {
    if (fail_next == nullptr) return;
    fail_next("clCreateBuffer", 0, 0);
    fail_next("clFinish", 0, 0);
  }

  // y = y + x, of vectors that the device cannot reach where they are; what the backend says.
  std::string add(size_t count) const { return add_on(backend, count); }
  static std::string add_on(const Backend& backend, size_t count) {
    Elements x(VACCEL_FLOAT32, count, false);
    Elements y(VACCEL_FLOAT32, count, false);
    Random random(1);
    x.randomise(random);
    y.randomise(random);
    std::vector<double> sums;
    for (size_t index = 0; index < count; ++index)
      sums.push_back(static_cast<double>(static_cast<float>(x.at(index) + y.at(index))));
    vaccel_backend_vectors problem{};
    problem.size = sizeof problem;
    problem.dtype = VACCEL_FLOAT32;
    problem.n = static_cast<int64_t>(count);
    problem.alpha = 1;
    problem.x = x.data();
    problem.y = y.data();
    const std::string outcome = backend.vectors(VACCEL_LINALG_AXPY, problem);
    for (size_t index = 0; outcome.empty() && index < count; ++index) {
      if (y.at(index) != sums[index]) return "element " + std::to_string(index) + " is wrong";
    }
    return outcome;
  }

  Backend backend{{{"library", kLibrary, "vaccel.toml:3:1"}}};
  void (*fail_next)(const char* call, int times, int error) = nullptr;
  size_t (*largest_buffer)() = nullptr;
};

TEST_F(OpenclFailuresTest, FullMemoryIsTriedAgainWithoutWhatIsKept) {
  fail_next("clCreateBuffer", 1, CL_MEM_OBJECT_ALLOCATION_FAILURE);
  EXPECT_EQ(add(1000), "");
}

TEST_F(OpenclFailuresTest, MemoryThatStaysFullIsResourceExhausted) {
  const std::string devices = backend.library().devices();
  const std::string name = devices.substr(0, devices.find(" ("));
  const struct {
    int error;
    const char* words;
  } kCases[] = {{CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)"},
                {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES (-5)"},
                {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY (-6)"},
                {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE (-61)"}};
  size_t count = 1000;
  for (const auto& one : kCases) {
    count *= 2;  // more than what is kept from the call before
    fail_next("clCreateBuffer", 2, one.error);
    EXPECT_EQ(add(count), "RESOURCE_EXHAUSTED: no memory for " + std::to_string(count * sizeof(float)) +
                              " bytes on " + name + ": clCreateBuffer failed: " + one.words);
    EXPECT_EQ(add(count), "") << "after " << one.words;
  }
}

// Memory that a session keeps: what is full, what is larger than one buffer may be, and what only shows as it is filled.
TEST_F(OpenclFailuresTest, DeviceBuffersThatCannotBeAreResourceExhausted) {
  const auto* memory = backend.library().table().memory;
  ASSERT_NE(memory, nullptr);
  const auto allocate = [&](size_t bytes) {
    runtime::BackendFailure failure;
    const vaccel_backend_error error = failure.sink();
    void* address = nullptr;
    const auto code = memory->allocate(backend.library().instance(), bytes, &error, &address);
    if (code == VACCEL_OK) memory->release(backend.library().instance(), address);
    return failure.outcome(code, "opencl");
  };
  EXPECT_TRUE(allocate(4096).ok());
  const Status larger = allocate(size_t{1} << 50);
  EXPECT_EQ(larger.code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_NE(larger.message().find("that one buffer may have"), std::string::npos) << larger.message();
  fail_next("clCreateBuffer", 2, CL_MEM_OBJECT_ALLOCATION_FAILURE);
  EXPECT_EQ(allocate(4096).code(), VACCEL_RESOURCE_EXHAUSTED);
  fail_next("clFinish", 1, CL_OUT_OF_RESOURCES);
  EXPECT_EQ(allocate(4096).code(), VACCEL_RESOURCE_EXHAUSTED);
  fail_next("clFinish", 2, CL_DEVICE_NOT_AVAILABLE);
  EXPECT_EQ(allocate(4096).code(), VACCEL_UNAVAILABLE);
  fail_next("clFinish", 0, 0);
  EXPECT_TRUE(allocate(4096).ok());
}

TEST_F(OpenclFailuresTest, MemoryThatIsFullAsTheDeviceWorksIsResourceExhausted) {
  fail_next("clFinish", 1, CL_OUT_OF_RESOURCES);
  EXPECT_EQ(add(1000), "RESOURCE_EXHAUSTED: clFinish failed: CL_OUT_OF_RESOURCES (-5)");
  EXPECT_EQ(add(1000), "");
}

TEST_F(OpenclFailuresTest, ADeviceThatVanishesIsUnavailableUntilItIsBack) {
  const struct {
    int error;
    const char* words;
  } kCases[] = {{CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE (-2)"},
                {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE (-36)"},
                {CL_INVALID_CONTEXT, "CL_INVALID_CONTEXT (-34)"}};
  for (const auto& one : kCases) {
    fail_next("clFinish", 2, one.error);  // also where what is left is waited for
    EXPECT_EQ(add(1000), std::string("UNAVAILABLE: clFinish failed: ") + one.words);
    EXPECT_EQ(add(1000), "") << "after " << one.words;
  }
}

// Whatever the configuration says, no buffer is larger than the device takes (CL_DEVICE_MAX_MEM_ALLOC_SIZE), nor larger
// than the configuration says.
TEST_F(OpenclFailuresTest, NoBufferIsLargerThanItMayBe) {
  const Backend small{
      {{"library", kLibrary, "vaccel.toml:3:1"}, {"buffer_limit", "8192", "vaccel.toml:3:2"}}};
  ASSERT_EQ(small.problem(), "");
  const size_t before = largest_buffer();
  EXPECT_EQ(add_on(small, 100'000), "");
  EXPECT_LE(largest_buffer(), std::max<size_t>(before, 8192));
  const Backend large{
      {{"library", kLibrary, "vaccel.toml:3:1"}, {"buffer_limit", "1000000000000000", "vaccel.toml:3:2"}}};
  ASSERT_EQ(large.problem(), "");
  EXPECT_EQ(add_on(large, 100'000), "");
}

}  // namespace
}  // namespace vaccel::opencl
