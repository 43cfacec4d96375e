// SPDX-License-Identifier: Apache-2.0
//
// The backend as a whole: what it says of itself, its options, its cache, and machines that lack something.
#include <dlfcn.h>
#include <sys/stat.h>

#include "opencl_testing.h"

namespace vaccel::opencl {
namespace {

using namespace testing;
using runtime::BackendOption;
using runtime::testing::TemporaryFolder;

std::string problem_with(const char* key, const std::string& value) {
  return Backend({{key, value, "vaccel.toml:3:1"}}).problem();
}

class OpenclTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Backend backend;
    if (!backend.problem().empty()) GTEST_SKIP() << "skipped: " << backend.problem();
  }
};

TEST_F(OpenclTest, DescribesItself) {
  const Backend backend;
  const std::string version = backend.library().version();
  const std::string devices = backend.library().devices();
  EXPECT_TRUE(version.starts_with("OpenCL ")) << version;
  EXPECT_NE(version.find(", CLBlast 1."), std::string::npos) << version;
  EXPECT_NE(devices.find(", driver "), std::string::npos) << devices;
}

TEST_F(OpenclTest, IsWorthMoreOnAGpuThanOnACpu) {
  const Backend backend;
  const bool gpu = std::string(backend.library().devices()).find(" (GPU, ") != std::string::npos;
  const bool cpu = std::string(backend.library().devices()).find(" (CPU, ") != std::string::npos;
  for (int operation = VACCEL_LINALG_GEMM; operation <= VACCEL_LINALG_MAX; ++operation) {
    const int32_t score = backend.table().score(
        backend.library().instance(), static_cast<vaccel_linalg_operation>(operation), VACCEL_FLOAT32);
    EXPECT_EQ(score, gpu ? 80 : cpu ? 20 : 70);
  }
  EXPECT_EQ(backend.table().score(backend.library().instance(), static_cast<vaccel_linalg_operation>(11),
                                  VACCEL_FLOAT32),
            0);
}

TEST_F(OpenclTest, TakesADeviceByNumberAndName) {
  const std::string devices = Backend().library().devices();
  const std::string name = devices.substr(0, devices.find(" ("));
  EXPECT_EQ(problem_with("device", "0"), "");
  EXPECT_EQ(problem_with("device", name.substr(1)), "");
  EXPECT_EQ(problem_with("platform", "0"), "");
  for (const char* key : {"device", "platform"}) {
    const std::string problem = problem_with(key, "no such thing");
    EXPECT_TRUE(
        problem.starts_with("UNAVAILABLE: no OpenCL device is as [backend.opencl] platform, type and device "
                            "ask; there are: "))
        << problem;
    EXPECT_NE(problem.find(devices), std::string::npos) << problem;
  }
  EXPECT_TRUE(problem_with("device", "1000").starts_with("UNAVAILABLE: ")) << problem_with("device", "1000");
}

TEST(OpenclOptions, AreRefusedWithTheirPlace) {
  EXPECT_EQ(problem_with("colour", "red"),
            "INVALID_ARGUMENT: vaccel.toml:3:1: unknown option 'colour'; there are: library, clblast, "
            "platform, type, "
            "device, cache, warm_up, buffer_limit");
  EXPECT_EQ(problem_with("type", "fpga"),
            "INVALID_ARGUMENT: vaccel.toml:3:1: 'type' is \"fpga\"; it must be gpu, accelerator or cpu");
  for (const char* value : {"", "-1", "4095", "1e9", "5000 ", "99999999999999999999999"}) {
    EXPECT_EQ(problem_with("buffer_limit", value),
              std::string("INVALID_ARGUMENT: vaccel.toml:3:1: 'buffer_limit' is ") + value +
                  "; it must be a number of bytes, at least 4096");
  }
  EXPECT_EQ(
      problem_with("warm_up.0", "int8"),
      "INVALID_ARGUMENT: vaccel.toml:3:1: 'warm_up' names \"int8\"; it must be an array of float32, float64, "
      "float16, bfloat16");
}

TEST(OpenclLibraries, ThatAreMissingAreTheReason) {
  EXPECT_EQ(
      problem_with("library", "/nonexistent/libOpenCL.so"),
      "UNAVAILABLE: cannot load /nonexistent/libOpenCL.so: cannot open shared object file: No such file or "
      "directory; [backend.opencl] library = \"PATH\" says where it is");
  EXPECT_EQ(
      problem_with("clblast", "/nonexistent/libclblast.so"),
      "UNAVAILABLE: cannot load /nonexistent/libclblast.so: cannot open shared object file: No such file or "
      "directory; [backend.opencl] clblast = \"PATH\" says where it is");
  EXPECT_EQ(problem_with("library", "libm.so.6"),
            "UNAVAILABLE: the library exports no clGetPlatformIDs: it is another one, or too old");
  EXPECT_EQ(problem_with("clblast", "libm.so.6"),
            "UNAVAILABLE: the library exports no CLBlastSgemm: it is another one, or too old");
}

// The loader looks for drivers once in a process, so this needs one in which nobody has.
TEST(OpenclLibraries, WithoutADriverSaySo) {
  if (::dlopen("libOpenCL.so.1", RTLD_NOW) == nullptr) GTEST_SKIP() << "skipped: " << ::dlerror();
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        ::setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
        const std::string problem = Backend().problem();
        std::fprintf(stderr, "%s\n", problem.c_str());
        std::_Exit(problem.empty() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0),
      "UNAVAILABLE: no OpenCL platform: the loader found no driver .clGetPlatformIDs: "
      "CL_PLATFORM_NOT_FOUND_KHR, -1001");
}

// A driver that was uninstalled, and left its registration behind.
TEST(OpenclLibraries, WithADriverThatHasGoneSaySo) {
  if (::dlopen("libOpenCL.so.1", RTLD_NOW) == nullptr) GTEST_SKIP() << "skipped: " << ::dlerror();
  const TemporaryFolder vendors;
  runtime::testing::write_text(vendors.path() / "gone.icd", "/nonexistent/libdriver.so\n");
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        ::setenv("OCL_ICD_VENDORS", vendors.path().c_str(), 1);
        const std::string problem = Backend().problem();
        std::fprintf(stderr, "%s\n", problem.c_str());
        std::_Exit(problem.empty() ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "UNAVAILABLE: no OpenCL platform: the loader found no driver");
}

TEST_F(OpenclTest, CompilesAtStartWhenAsked) {
  const Backend backend(
      {{"warm_up.0", "float32", "vaccel.toml:3:1"}, {"warm_up.1", "bfloat16", "vaccel.toml:3:2"}});
  EXPECT_EQ(backend.problem(), "");
}

// ---- The cache

// The one file of a folder.
std::filesystem::path only_file(const std::filesystem::path& folder) {
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_TRUE(file.empty()) << file << " and " << entry.path();
    file = entry.path();
  }
  return file;
}

ino_t inode_of(const std::filesystem::path& file) {
  struct stat status {};
  EXPECT_EQ(::stat(file.c_str(), &status), 0) << file;
  return status.st_ino;
}

class OpenclCacheTest : public OpenclTest {
 protected:
  // What a backend that begins with the cache as it is computes: x . x of 1, 2, 3.
  double product() {
    const Backend backend({{"cache", cache.string(), "vaccel.toml:3:1"}});
    EXPECT_EQ(backend.problem(), "");
    Elements x(VACCEL_FLOAT32, 3);
    for (size_t index = 0; index < 3; ++index)
      x.set(index, static_cast<double>(index + 1));
    const Elements result(VACCEL_FLOAT32, 1);
    vaccel_backend_vectors problem{};
    problem.size = sizeof problem;
    problem.dtype = VACCEL_FLOAT32;
    problem.n = 3;
    problem.x = x.data();
    problem.y = x.data();
    problem.result = result.data();
    EXPECT_EQ(backend.vectors(VACCEL_LINALG_DOT, problem), "");
    warnings = backend.lines();
    return result.at(0);
  }

  TemporaryFolder folder;
  std::filesystem::path cache = folder.path() / "made" / "when needed";
  std::vector<std::string> warnings;
};

TEST_F(OpenclCacheTest, KeepsWhatWasCompiled) {
  EXPECT_EQ(product(), 14);
  const std::filesystem::path file = only_file(cache);
  const ino_t first = inode_of(file);
  // What is compiled is written, so a file that stays was used.
  EXPECT_EQ(product(), 14);
  EXPECT_EQ(inode_of(only_file(cache)), first);
  EXPECT_TRUE(warnings.empty());
}

TEST_F(OpenclCacheTest, CompilesAnewWhatIsBroken) {
  EXPECT_EQ(product(), 14);
  const std::filesystem::path file = only_file(cache);
  const std::string whole = runtime::testing::read_text(file);
  for (const size_t kept : {size_t{0}, size_t{10}, whole.size() / 2}) {
    runtime::testing::write_text(file, whole.substr(0, kept));
    EXPECT_EQ(product(), 14) << kept;
    EXPECT_EQ(runtime::testing::read_text(only_file(cache)).size(), whole.size()) << kept;
  }
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() + 1);
  runtime::testing::write_text(file, damaged);
  EXPECT_EQ(product(), 14);
  EXPECT_NE(runtime::testing::read_text(only_file(cache)), damaged);
}

TEST_F(OpenclCacheTest, DoesNotTrustWhatOthersMayWrite) {
  EXPECT_EQ(product(), 14);
  const std::filesystem::path file = only_file(cache);
  const ino_t first = inode_of(file);
  ASSERT_EQ(::chmod(file.c_str(), 0662), 0);
  EXPECT_EQ(product(), 14);
  EXPECT_NE(inode_of(only_file(cache)), first);
}

TEST_F(OpenclCacheTest, GoesOnWithoutOne) {
  runtime::testing::write_text(folder.path() / "made", "a file where a folder should be");
  EXPECT_EQ(product(), 14);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_TRUE(warnings[0].starts_with("2 opencl: cannot keep compiled kernels as " + cache.string()))
      << warnings[0];
}

}  // namespace
}  // namespace vaccel::opencl
