// SPDX-License-Identifier: Apache-2.0
#include "framework_library.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace vaccel::backends {
namespace {

std::string refusal(const std::string& path, const std::vector<std::string>& candidates) {
  try {
    (void)open_library({"a framework", "some", "where"}, path, candidates);
    return "";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status, VACCEL_UNAVAILABLE);
    return failure.sentence;
  }
}

TEST(FrameworkLibrary, IsTheFirstThatThereIs) {
  EXPECT_EQ(refusal("", {"/nonexistent/a.so", "libm.so.6"}), "");
  EXPECT_EQ(refusal("libm.so.6", {"/nonexistent/a.so"}), "");
}

TEST(FrameworkLibrary, ThatIsMissingIsToldWithAllReasons) {
  constexpr const char* kWhy = ": cannot open shared object file: No such file or directory";
  EXPECT_EQ(refusal("", {"/nonexistent/a.so", "/nonexistent/b.so"}),
            std::string("cannot load a framework (/nonexistent/a.so") + kWhy + "; /nonexistent/b.so" + kWhy +
                "); [backend.some] where = \"PATH\" says where it is");
  // The candidates are for those who name none.
  EXPECT_EQ(refusal("/nonexistent/c.so", {"libm.so.6"}),
            std::string("cannot load a framework (/nonexistent/c.so") + kWhy +
                "); [backend.some] where = \"PATH\" says where it is");
}

TEST(FrameworkLibrary, HasFunctionsOrIsAnother) {
  std::string reasons;
  void* library = open_first({"libm.so.6"}, reasons);
  ASSERT_NE(library, nullptr) << reasons;
  double (*cosine)(double) = nullptr;
  find_function(library, "cos", "not mathematics", cosine);
  EXPECT_EQ(cosine(0), 1);
  find_if_there(library, "no_such_function", cosine);
  EXPECT_EQ(cosine, nullptr);
  try {
    find_function(library, "no_such_function", "not mathematics", cosine);
    ADD_FAILURE() << "found";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status, VACCEL_UNAVAILABLE);
    EXPECT_EQ(failure.sentence, "the library exports no no_such_function: it is not mathematics");
  }
}

TEST(FrameworkLibrary, LiesBesideWhatLooksForIt) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  EXPECT_TRUE(std::filesystem::equivalent(file_beside_backend(self.filename().c_str()), self, error))
      << file_beside_backend(self.filename().c_str());
}

}  // namespace
}  // namespace vaccel::backends
