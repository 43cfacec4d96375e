// SPDX-License-Identifier: Apache-2.0
//
// A model's bytes, wherever they are.
#pragma once

#include <string>
#include <string_view>

#include "vaccel/backend.h"

namespace vaccel::backends {

/// The bytes of a model: in place, or read from its file. What is in place is the source's.
class ModelBytes {
 public:
  /// NOT_FOUND: its file cannot be read.
  explicit ModelBytes(const vaccel_backend_model_source& source);
  ModelBytes(const ModelBytes&) = delete;
  ModelBytes& operator=(const ModelBytes&) = delete;
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  std::string own_;
  std::string_view bytes_;
};

}  // namespace vaccel::backends
