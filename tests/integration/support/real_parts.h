// SPDX-License-Identifier: Apache-2.0
//
// Where the set-up put real models and photos, and how a test says that they are missing.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace vaccel::integration {

inline std::filesystem::path environment_path(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] != '\0' ? value : otherwise;
}

/// Holds "mobilenet".
inline std::filesystem::path real_catalogue() {
  return environment_path("VACCEL_TEST_CATALOGUE", "build/catalogue");
}

inline std::filesystem::path photo(const char* file) {
  return environment_path("VACCEL_TEST_PARTS", "build/parts") / "photos" / file;
}

}  // namespace vaccel::integration

#define VACCEL_NEEDS(file)                                                                         \
  if (const std::filesystem::path vaccel_needed = (file); !std::filesystem::exists(vaccel_needed)) \
  GTEST_SKIP() << "skipped: " << vaccel_needed                                                     \
               << " is missing; scripts/setup and scripts/make-catalogue bring it"

#define VACCEL_NEEDS_MOBILENET() \
  VACCEL_NEEDS(::vaccel::integration::real_catalogue() / "mobilenet" / "model.toml")
