// SPDX-License-Identifier: Apache-2.0
//
// The few calls of the library that the benchmark makes, as its callers make them: through vaccel.h, with everything
// that can be prepared prepared before.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vaccel/vaccel.h"

namespace vaccel::bench {

/// One tensor of bytes (or, with their count, of float32), as an input.
class Input {
 public:
  Input(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape, std::vector<std::byte> data);
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  [[nodiscard]] const vaccel_tensor* view() const { return &view_; }

 private:
  std::vector<int64_t> shape_;
  std::vector<std::byte> data_;
  vaccel_tensor view_{};
};

/// `size` bytes as a uint8 tensor.
std::vector<std::byte> some_bytes(size_t size);

class Session {
 public:
  explicit Session(const std::string& endpoint);
  ~Session() { vaccel_close(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] vaccel_session* get() const { return session_; }

  /// Calls an operator with at most one input and at most one integer attribute, and throws its results away.
  void call(const char* name, const vaccel_tensor* input, const vaccel_attribute* attribute = nullptr) const;
  /// Calls an operator and does not ask for results at all.
  void call_for_nothing(const char* name, const vaccel_tensor* input) const;
  /// @return the number of the best class.
  int32_t classify(std::span<const std::byte> image) const;
  /// @return the first value of the first output.
  float infer(const vaccel_tensor* input) const;

 private:
  vaccel_session* session_ = nullptr;
};

/// The model that everything is measured with.
inline constexpr const char* kModel = "mobilenet";

}  // namespace vaccel::bench
