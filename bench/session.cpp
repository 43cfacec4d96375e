// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include <algorithm>
#include <utility>

#include "failure.h"

namespace vaccel::bench {
namespace {

constexpr uint32_t kTop = 5;

}  // namespace

DeviceBuffer::DeviceBuffer(const Session& session, std::span<const std::byte> content, const char* backend) {
  auto options = VACCEL_INIT(vaccel_buffer_options);
  options.flags = VACCEL_BUFFER_DEVICE;
  options.backend = backend;
  vaccel_buffer* buffer = nullptr;
  check(vaccel_buffer_alloc(session.get(), content.size(), &options, &buffer),
        "cannot allocate a device buffer");
  buffer_.reset(buffer);
  check(vaccel_buffer_upload(session.get(), buffer, 0, content.data(), content.size(), nullptr),
        "cannot upload");
  check(vaccel_buffer_device_address(buffer, &address_), "a device buffer has no address");
}

Buffer::Buffer(const Session& session, size_t size) {
  auto options = VACCEL_INIT(vaccel_buffer_options);
  options.flags = VACCEL_BUFFER_SHARED;
  vaccel_buffer* buffer = nullptr;
  check(vaccel_buffer_alloc(session.get(), size, &options, &buffer), "cannot allocate a buffer");
  buffer_.reset(buffer);
  void* data = nullptr;
  check(vaccel_buffer_map(buffer, &data), "cannot map a buffer");
  bytes_ = {static_cast<std::byte*>(data), size};
}

Tensor::Tensor(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape, std::vector<std::byte> data)
    : shape_(std::move(shape)), data_(std::move(data)) {
  describe(name, dtype, data_);
}

Tensor::Tensor(const Session& session, const char* name, vaccel_dtype dtype, std::vector<int64_t> shape,
               std::span<const std::byte> data)
    : shape_(std::move(shape)), buffer_(std::in_place, session, data.size()) {
  std::ranges::copy(data, buffer_->bytes().begin());
  describe(name, dtype, buffer_->bytes());
}

void Tensor::describe(const char* name, vaccel_dtype dtype, std::span<std::byte> bytes) {
  view_.name = name;
  view_.data = bytes.data();
  view_.bytes = bytes.size();
  view_.shape = shape_.data();
  view_.rank = static_cast<int32_t>(shape_.size());
  view_.dtype = dtype;
}

std::vector<std::byte> some_bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t index = 0; index < size; ++index)
    bytes[index] = static_cast<std::byte>(index * 7);
  return bytes;
}

Session::Session(const std::string& endpoint, uint32_t flags) {
  auto options = VACCEL_INIT(vaccel_open_options);
  options.flags = flags;
  check(vaccel_open(endpoint.c_str(), &options, &session_), "cannot open a session");
}

void Session::call(const char* name, const vaccel_tensor* input, const vaccel_attribute* attribute) const {
  vaccel_outputs* outputs = nullptr;
  check(vaccel_call(session_, name, nullptr, attribute, attribute != nullptr ? 1 : 0, input,
                    input != nullptr ? 1 : 0, nullptr, &outputs),
        name);
  vaccel_outputs_free(outputs);
}

void Session::call_for_nothing(const char* name, const vaccel_tensor* input) const {
  check(vaccel_call(session_, name, nullptr, nullptr, 0, input, input != nullptr ? 1 : 0, nullptr, nullptr),
        name);
}

uint64_t Session::copied_by_call(const char* name, const vaccel_tensor* input) const {
  vaccel_outputs* outputs = nullptr;
  check(vaccel_call(session_, name, nullptr, nullptr, 0, input, 1, nullptr, &outputs), name);
  const uint64_t copied = outputs->copied_bytes;
  vaccel_outputs_free(outputs);
  return copied;
}

int32_t Session::classify(std::span<const std::byte> image) const {
  vaccel_classes* classes = nullptr;
  check(vaccel_classify(session_, kModel, image.data(), image.size(), kTop, nullptr, &classes),
        "cannot classify");
  const int32_t best = classes->count > 0 ? classes->items[0].index : -1;
  vaccel_classes_free(classes);
  return best;
}

float Session::infer(const vaccel_tensor* input, const vaccel_tensor* place, const char* model,
                     const char* backend) const {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.backend = backend;
  options.outputs = place;
  options.output_count = place != nullptr ? 1 : 0;
  vaccel_outputs* outputs = nullptr;
  check(vaccel_infer(session_, model, input, 1, &options, &outputs), "cannot infer");
  const float first = *static_cast<const float*>(outputs->tensors[0].data);
  vaccel_outputs_free(outputs);
  return first;
}

void Session::apply(int64_t rows, int64_t columns, const void* a, const float* x, float* y,
                    const char* backend) const {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.backend = backend;
  check(vaccel_gemv(session_, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, rows, columns, 1, a,
                    columns, x, 1, 0, y, 1, &options),
        "cannot multiply");
}

void Session::multiply(int64_t n, const float* a, const float* b, float* c, const char* backend) const {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.backend = backend;
  check(vaccel_gemm(session_, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, VACCEL_NO_TRANSPOSE, n,
                    n, n, 1, a, n, b, n, 0, c, n, &options),
        "cannot multiply");
}

std::string Session::window() const {
  vaccel_agent* agent = nullptr;
  check(vaccel_agent_describe(session_, &agent), "cannot describe the agent");
  std::string window = agent->window;
  vaccel_agent_free(agent);
  return window;
}

}  // namespace vaccel::bench
