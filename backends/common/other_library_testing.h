// SPDX-License-Identifier: Apache-2.0
//
// For tests of backends that are linked to their framework: what they say where the framework's library is another one
// than they were built with.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/runtime_testing.h"

namespace vaccel::backend_testing {

/// A copy of libraries that look for what they need beside themselves, with another library in the place of what one of
/// them needs. To be loaded in a process that has not loaded the right one.
class FolderWithOtherLibrary {
 public:
  /// @param files  of the backends' folder
  /// @param needed the beginning of the name of what the first of them needs: "libopencv_dnn.so"
  FolderWithOtherLibrary(const std::vector<std::string>& files, const std::string& needed) {
    for (const std::string& file : files)
      std::filesystem::copy(runtime::testing::backend_folder() / file, folder_.path() / file);
    // As it is named in the file, with its version.
    const std::string first = runtime::testing::read_text(folder_.path() / files.front());
    const size_t at = first.find(needed);
    EXPECT_NE(at, std::string::npos) << files.front() << " does not need " << needed;
    if (at == std::string::npos) return;
    std::filesystem::copy_file(runtime::testing::backend_folder() / "libvaccel-backend-reference.so",
                               folder_.path() / (first.c_str() + at));
  }
  [[nodiscard]] const std::filesystem::path& path() const { return folder_.path(); }

 private:
  runtime::testing::TemporaryFolder folder_;
};

}  // namespace vaccel::backend_testing
