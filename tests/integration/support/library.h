// SPDX-License-Identifier: Apache-2.0
//
// libvaccel as a program uses it, with its handles freed by their owners, and the pictures that programs send.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vaccel/vaccel.h"

namespace vaccel::integration {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* handle) const {
    Free(handle);
  }
};
using OutputsPtr = std::unique_ptr<vaccel_outputs, FreeWith<vaccel_outputs_free>>;
using ClassesPtr = std::unique_ptr<vaccel_classes, FreeWith<vaccel_classes_free>>;
using RequestPtr = std::unique_ptr<vaccel_request, FreeWith<vaccel_request_free>>;
using ModelPtr = std::unique_ptr<vaccel_model, FreeWith<vaccel_model_free>>;
using ModelListPtr = std::unique_ptr<vaccel_model_list, FreeWith<vaccel_model_list_free>>;
using AgentPtr = std::unique_ptr<vaccel_agent, FreeWith<vaccel_agent_free>>;
using OperatorListPtr = std::unique_ptr<vaccel_operator_list, FreeWith<vaccel_operator_list_free>>;
using BufferPtr = std::unique_ptr<vaccel_buffer, FreeWith<vaccel_buffer_free>>;

/// A function's status with the sentence that went with it, and what it gave.
template <typename Value>
struct Given {
  vaccel_status status = VACCEL_OK;
  std::string sentence;
  Value value{};

  [[nodiscard]] bool ok() const { return status == VACCEL_OK; }
  /// For messages of failed expectations.
  [[nodiscard]] std::string text() const { return std::string(vaccel_status_name(status)) + ": " + sentence; }
  [[nodiscard]] bool says(const std::string& words) const {
    return sentence.find(words) != std::string::npos;
  }
};

/// Calls a function whose last parameter is the place for what it gives.
template <typename Value, typename Function>
Given<Value> given(Function function) {
  typename Value::pointer place = nullptr;
  Given<Value> result;
  result.status = function(&place);
  if (result.status != VACCEL_OK) result.sentence = vaccel_error_message();
  result.value.reset(place);
  return result;
}

/// A tensor and its memory.
struct Tensor {
  std::string name;
  vaccel_dtype dtype = VACCEL_UINT8;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  [[nodiscard]] vaccel_tensor view() const;
};
Tensor bytes_tensor(std::vector<std::byte> bytes);
template <typename T>
Tensor tensor_of(std::string name, vaccel_dtype dtype, std::vector<int64_t> shape,
                 const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values.data(), values.size()));
  return {std::move(name), dtype, std::move(shape), {bytes.begin(), bytes.end()}};
}

vaccel_attribute int_attribute(const char* name, int64_t value);
vaccel_attribute text_attribute(const char* name, const char* value);

/// With a deadline so many microseconds from now.
vaccel_call_options within_us(uint64_t microseconds);

class Session {
 public:
  /// A failure to open fails the test. @param flags  VACCEL_OPEN_*
  explicit Session(const std::string& endpoint, uint32_t flags = 0);
  ~Session() { vaccel_close(session_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] vaccel_session* get() const { return session_; }

  Given<OutputsPtr> call(const char* name, std::vector<vaccel_attribute> attributes = {},
                         const std::vector<Tensor>& inputs = {}, const vaccel_call_options* options = nullptr,
                         const char* model = nullptr) const;
  Given<RequestPtr> submit(const char* name, std::vector<vaccel_attribute> attributes = {},
                           const std::vector<Tensor>& inputs = {},
                           const vaccel_call_options* options = nullptr) const;
  Given<OutputsPtr> infer(const char* model, const std::vector<Tensor>& inputs) const;
  Given<ClassesPtr> classify(const char* model, std::span<const std::byte> image, uint32_t top = 5,
                             const vaccel_call_options* options = nullptr) const;
  Given<RequestPtr> submit_classify(const char* model, std::span<const std::byte> image) const;

  // With tensors that lie anywhere.
  Given<OutputsPtr> call_views(const char* name, std::span<const vaccel_tensor> inputs,
                               const vaccel_call_options* options = nullptr,
                               const char* model = nullptr) const;
  Given<RequestPtr> submit_views(const char* name, std::span<const vaccel_tensor> inputs,
                                 const vaccel_call_options* options = nullptr) const;
  Given<BufferPtr> allocate(size_t bytes, const vaccel_buffer_options* options = nullptr) const;
  /// Ends it before its time.
  void close() { vaccel_close(std::exchange(session_, nullptr)); }

 private:
  vaccel_session* session_ = nullptr;
};

/// A buffer's memory; one that cannot be mapped fails the test.
std::span<std::byte> memory_of(const BufferPtr& buffer);

/// Opening alone, for endpoints that may not answer.
Given<std::unique_ptr<vaccel_session, FreeWith<vaccel_close>>> open_session(const std::string& endpoint,
                                                                            uint32_t timeout_ms = 3000,
                                                                            uint32_t flags = 0);

std::span<const std::byte> data_of(const vaccel_tensor& tensor);
/// What reference.checksum gave.
uint64_t sum_in(const vaccel_outputs& outputs);

// ---- Pictures

/// A file's bytes.
std::vector<std::byte> file_bytes(const std::string& file);
/// The picture of a file as JPEG (quality 95) and as lossless WebP.
std::vector<std::byte> png_as_jpeg(const std::vector<std::byte>& png);
std::vector<std::byte> png_as_webp(const std::vector<std::byte>& png);
/// A PNG whose header claims this size, with a few bytes of pixels behind it.
std::vector<std::byte> png_that_claims(uint32_t width, uint32_t height);

}  // namespace vaccel::integration
