// SPDX-License-Identifier: Apache-2.0
//
// A whole file in private memory. What is checked afterwards (a SHA-256, a size) holds for what is used
// afterwards, since nobody can change it in between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "core/status.h"
#include "core/unique_fd.h"

namespace vaccel::runtime {

class FileBytes {
 public:
  /// Reads a regular file of at most `most` bytes. NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED (too
  /// large, or no memory) or INVALID_ARGUMENT (no regular file).
  static Result<FileBytes> read(const std::filesystem::path& file, uint64_t most);

  [[nodiscard]] std::span<const std::byte> bytes() const { return mapping_.bytes().first(size_); }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(mapping_.bytes().data()), size_};
  }

 private:
  Mapping mapping_;  // anonymous: returned to the system at once when a model lets go of it
  size_t size_ = 0;
};

/// The SHA-256 of `bytes`, as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace vaccel::runtime
