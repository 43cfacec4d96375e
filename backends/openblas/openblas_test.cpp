// SPDX-License-Identifier: Apache-2.0
//
// What the backend says of itself, its options, and libraries that are missing or not what it needs. What it computes is
// tested with all other backends (runtime/linalg).
#include <gtest/gtest.h>

#include "runtime/backend_library.h"
#include "runtime/runtime_testing.h"

namespace vaccel::openblas {
namespace {

using runtime::BackendLibrary;
using runtime::BackendOption;

// Loads the backend; "" or "STATUS: sentence".
std::string problem_with(const std::vector<BackendOption>& options) {
  const runtime::LogFunction log = [](int, const std::string&) {};
  const auto loaded = BackendLibrary::load(
      runtime::testing::backend_folder() / "libvaccel-backend-openblas.so", "openblas", options, log);
  return loaded ? "" : std::string(status_name(loaded.error().code())) + ": " + loaded.error().message();
}
std::string problem_with(const char* key, const std::string& value) {
  return problem_with({{key, value, "vaccel.toml:3:1"}});
}

class OpenblasTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string problem = problem_with({});
    if (!problem.empty()) GTEST_SKIP() << "skipped: " << problem;
  }
};

TEST_F(OpenblasTest, DescribesItself) {
  const runtime::LogFunction log = [](int, const std::string&) {};
  const auto loaded =
      BackendLibrary::load(runtime::testing::backend_folder() / "libvaccel-backend-openblas.so", "openblas",
                           {{"threads", "1", "vaccel.toml:3:1"}}, log);
  ASSERT_TRUE(loaded) << loaded.error().message();
  const std::string version = (*loaded)->version();
  const std::string devices = (*loaded)->devices();
  EXPECT_TRUE(version.starts_with("0.")) << version;
  EXPECT_TRUE(devices.starts_with("CPU (") && devices.ends_with(", 1 threads)")) << devices;
}

TEST_F(OpenblasTest, KnowsItsOptions) {
  EXPECT_EQ(problem_with({{"library", "libopenblas.so.0", "f:1:1"}, {"threads", "2", "f:2:1"}}), "");
  EXPECT_EQ(problem_with("treads", "2"),
            "INVALID_ARGUMENT: vaccel.toml:3:1: unknown option 'treads'; there are: library, threads");
  for (const char* value : {"two", "-1", "1025", ""}) {
    EXPECT_EQ(problem_with("threads", value),
              std::string("INVALID_ARGUMENT: vaccel.toml:3:1: 'threads' is ") + value +
                  "; it must be an integer, 0 to 1024");
  }
}

TEST(OpenblasLibraries, ThatAreMissingAreTheReason) {
  EXPECT_EQ(
      problem_with("library", "/nonexistent/libopenblas.so"),
      "UNAVAILABLE: cannot load OpenBLAS (/nonexistent/libopenblas.so: cannot open shared object file: No "
      "such file or directory); [backend.openblas] library = \"PATH\" says where it is");
}

TEST(OpenblasLibraries, ThatAreOthersAreTheReason) {
  EXPECT_EQ(problem_with("library", "libm.so.6"),
            "UNAVAILABLE: the library exports no openblas_get_config: it is not OpenBLAS");
  // Its integers would be read where 32-bit ones were written.
  EXPECT_EQ(
      problem_with("library", VACCEL_OPENBLAS_TEST_LIBRARIES "/libopenblas_64_for_tests.so"),
      "UNAVAILABLE: this OpenBLAS has 64-bit integers (OpenBLAS 0.3.21 USE64BITINT ODD); one with 32-bit "
      "integers is needed");
  EXPECT_EQ(problem_with("library", VACCEL_OPENBLAS_TEST_LIBRARIES "/libopenblas_empty_for_tests.so"),
            "UNAVAILABLE: the library exports no cblas_sgemm: it is not OpenBLAS");
}

}  // namespace
}  // namespace vaccel::openblas
