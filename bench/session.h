// SPDX-License-Identifier: Apache-2.0
//
// The few calls of the library that the benchmark makes, as its callers make them: through vaccel.h, with everything
// that can be prepared prepared before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vaccel/vaccel.h"

namespace vaccel::bench {

/// The model that everything is measured with, if nothing else is said.
inline constexpr const char* kModel = "mobilenet";

class Session;

/// Memory that a session shares with the host.
class Buffer {
 public:
  /// Throws when there is no window.
  Buffer(const Session& session, size_t size);
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(vaccel_buffer* buffer) const { vaccel_buffer_free(buffer); }
  };
  std::unique_ptr<vaccel_buffer, Free> buffer_;
  std::span<std::byte> bytes_;
};

/// Bytes where a backend computes.
class DeviceBuffer {
 public:
  DeviceBuffer(const Session& session, std::span<const std::byte> content, const char* backend);
  /// For calls' arguments.
  [[nodiscard]] const void* address() const { return address_; }

 private:
  struct Free {
    void operator()(vaccel_buffer* buffer) const { vaccel_buffer_free(buffer); }
  };
  std::unique_ptr<vaccel_buffer, Free> buffer_;
  void* address_ = nullptr;
};

/// One tensor of bytes (or, with their count, of float32): an input, or a place for an output.
class Tensor {
 public:
  /// Anywhere in this process's memory.
  Tensor(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape, std::vector<std::byte> data);
  /// In a buffer of the session's, with a copy of the data.
  Tensor(const Session& session, const char* name, vaccel_dtype dtype, std::vector<int64_t> shape,
         std::span<const std::byte> data);
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  [[nodiscard]] const vaccel_tensor* view() const { return &view_; }

 private:
  void describe(const char* name, vaccel_dtype dtype, std::span<std::byte> bytes);

  std::vector<int64_t> shape_;
  std::vector<std::byte> data_;
  std::optional<Buffer> buffer_;
  vaccel_tensor view_{};
};

/// `size` bytes as a uint8 tensor.
std::vector<std::byte> some_bytes(size_t size);

class Session {
 public:
  /// @param flags  VACCEL_OPEN_...
  explicit Session(const std::string& endpoint, uint32_t flags = 0);
  ~Session() { vaccel_close(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] vaccel_session* get() const { return session_; }

  /// Calls an operator with at most one input and at most one integer attribute, and throws its results away.
  void call(const char* name, const vaccel_tensor* input, const vaccel_attribute* attribute = nullptr) const;
  /// Calls an operator and does not ask for results at all.
  void call_for_nothing(const char* name, const vaccel_tensor* input) const;
  /// Calls an operator with one input. @return how many bytes were copied on the way.
  uint64_t copied_by_call(const char* name, const vaccel_tensor* input) const;
  /// @return the number of the best class.
  int32_t classify(std::span<const std::byte> image) const;
  /// @param place  Where the first output is wanted; null: in memory of the library's.
  /// @param backend  Who is to infer; null: as the catalogue says.
  /// @return the first value of the first output.
  float infer(const vaccel_tensor* input, const vaccel_tensor* place = nullptr, const char* model = kModel,
              const char* backend = nullptr) const;
  /// c = a b, all of them n x n and in row-major order.
  void multiply(int64_t n, const float* a, const float* b, float* c, const char* backend) const;
  /// y = a x, with a of rows x columns, row-major.
  void apply(int64_t rows, int64_t columns, const void* a, const float* x, float* y,
             const char* backend) const;
  /// How the session shares memory with the host, as a sentence.
  [[nodiscard]] std::string window() const;

 private:
  vaccel_session* session_ = nullptr;
};

}  // namespace vaccel::bench
