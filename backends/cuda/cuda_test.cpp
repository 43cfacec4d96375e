// SPDX-License-Identifier: Apache-2.0
//
// The backend without a GPU: what it says where a part is missing, and its options. What it computes is checked by the
// tests of linear algebra in src/runtime/linalg, which run it where there is a GPU.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "runtime/backend_library.h"
#include "runtime/runtime_testing.h"

namespace vaccel::cuda {
namespace {

using runtime::BackendOption;

// "" or "STATUS: sentence".
std::string problem_with(const std::vector<BackendOption>& options) {
  const runtime::LogFunction log = [](int, const std::string&) {};
  const auto loaded = runtime::BackendLibrary::load(
      runtime::testing::backend_folder() / "libvaccel-backend-cuda.so", "cuda", options, log);
  return loaded ? "" : std::string(status_name(loaded.error().code())) + ": " + loaded.error().message();
}

std::string problem_with(const char* key, const std::string& value) {
  return problem_with({{key, value, "vaccel.toml:3:1"}});
}

TEST(Cuda, RefusesOptionsWithTheirPlace) {
  EXPECT_EQ(problem_with("colour", "red"),
            "INVALID_ARGUMENT: vaccel.toml:3:1: unknown option 'colour'; there are: driver, cublas, device, "
            "buffer_limit, pool_limit");
  for (const char* value : {"", "-1", "4095", "1e9", "5000 ", "99999999999999999999999"}) {
    EXPECT_EQ(problem_with("buffer_limit", value),
              std::string("INVALID_ARGUMENT: vaccel.toml:3:1: 'buffer_limit' is ") + value +
                  "; it must be a number of bytes, at least 4096");
  }
  EXPECT_EQ(
      problem_with("pool_limit", "much"),
      "INVALID_ARGUMENT: vaccel.toml:3:1: 'pool_limit' is much; it must be a number of bytes, at least 0");
}

TEST(Cuda, WithoutADriverIsUnavailable) {
  EXPECT_EQ(
      problem_with("driver", "/nonexistent/libcuda.so.1"),
      "UNAVAILABLE: no CUDA device: driver not loaded (/nonexistent/libcuda.so.1: cannot open shared object "
      "file: No such file or directory)");
  EXPECT_EQ(problem_with("driver", "libc.so.6"),
            "UNAVAILABLE: the library exports no cuInit: it is another one, or older than CUDA 11.2");
}

// The toolkit's stand-in for the driver, which programs are linked against where there is none: all of the driver's
// functions, and each fails. In a process of its own, where it is not taken for the driver afterwards.
TEST(Cuda, WithoutADeviceIsUnavailable) {
  const std::filesystem::path stub = VACCEL_CUDA_STUB;
  if (!std::filesystem::exists(stub)) GTEST_SKIP() << "skipped: no " << stub;
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        const std::string problem = problem_with("driver", stub);
        std::fprintf(stderr, "%s\n", problem.c_str());
        std::_Exit(problem.empty() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0),
      "UNAVAILABLE: no CUDA device: driver of unknown version says CUDA_ERROR_STUB_LIBRARY .34.");
}

TEST(Cuda, AsConfiguredRunsOrSaysWhyNot) {
  const std::string problem = problem_with({});
  if (!problem.empty()) {
    EXPECT_TRUE(problem.starts_with("UNAVAILABLE: ")) << problem;
    EXPECT_EQ(problem.find('\n'), std::string::npos) << problem;
    GTEST_SKIP() << "skipped: " << problem;
  }
  EXPECT_TRUE(problem_with("cublas", "/nonexistent/libcublas.so")
                  .starts_with("UNAVAILABLE: cannot load cuBLAS (/nonexistent/libcublas.so: "));
  EXPECT_TRUE(problem_with("device", "no such device")
                  .starts_with("UNAVAILABLE: no CUDA device is 'no such device'"));
}

}  // namespace
}  // namespace vaccel::cuda
