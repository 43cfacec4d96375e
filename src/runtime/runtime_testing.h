// SPDX-License-Identifier: Apache-2.0
//
// What the runtime's tests share: a call with its arguments and results, folders to write catalogues to, and
// where the real parts are.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "runtime/file_bytes.h"
#include "runtime/runtime.h"
#include "runtime/scratch.h"

namespace vaccel::runtime::testing {

inline std::filesystem::path environment_path(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] != '\0' ? value : otherwise;
}

inline std::filesystem::path photo(const char* file) {
  return environment_path("VACCEL_TEST_PARTS", "build/parts") / "photos" / file;
}

inline std::filesystem::path real_catalogue() {
  return environment_path("VACCEL_TEST_CATALOGUE", "build/catalogue");
}

inline std::filesystem::path backend_folder() {
  return environment_path("VACCEL_TEST_LIB", "build/lib") / "vaccel" / "backends";
}

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// A folder that goes with its test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vaccel-runtime-XXXXXX").string();
    const char* made = ::mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A result, in memory of exactly its size, so that AddressSanitizer sees a byte too many.
struct CallOutput {
  std::string name;
  vaccel_dtype dtype{};
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  template <typename T>
  [[nodiscard]] std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
  [[nodiscard]] std::vector<std::string> strings() const {
    std::vector<std::string> values;
    for (int64_t index = 0; index < shape.at(0); ++index) {
      uint32_t offset = 0;
      std::memcpy(&offset, bytes.data() + static_cast<size_t>(index) * sizeof offset, sizeof offset);
      values.emplace_back(reinterpret_cast<const char*>(bytes.data()) + offset);
    }
    return values;
  }
};

/// A call: its arguments, its results, its sentence.
class TestCall {
 public:
  explicit TestCall(const char* operator_name, Model* model = nullptr) {
    call.size = sizeof call;
    call.operator_name = operator_name;
    call.model = model;
    call.output = output;
    call.output_context = this;
    call.error = {
        this, [](void* context, const char* words) { static_cast<TestCall*>(context)->sentence = words; }};
  }
  TestCall(const TestCall&) = delete;
  TestCall& operator=(const TestCall&) = delete;

  TestCall& integer(const char* name, int64_t value) {
    vaccel_attribute attribute{};
    attribute.name = name;
    attribute.type = VACCEL_ATTRIBUTE_INT;
    attribute.value.integer = value;
    attributes_.push_back(attribute);
    return *this;
  }
  TestCall& real(const char* name, double value) {
    vaccel_attribute attribute{};
    attribute.name = name;
    attribute.type = VACCEL_ATTRIBUTE_FLOAT;
    attribute.value.real = value;
    attributes_.push_back(attribute);
    return *this;
  }
  TestCall& text(const char* name, const char* value) {
    vaccel_attribute attribute{};
    attribute.name = name;
    attribute.type = VACCEL_ATTRIBUTE_STRING;
    attribute.value.string = value;
    attributes_.push_back(attribute);
    return *this;
  }
  TestCall& backend(const char* name) {
    call.backend = name;
    return *this;
  }
  /// An input that lies where it lies.
  TestCall& view(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape, std::byte* data,
                 size_t bytes) {
    shapes_.push_back(std::move(shape));
    vaccel_tensor tensor{};
    tensor.name = name;
    tensor.data = data;
    tensor.bytes = bytes;
    tensor.shape = shapes_.back().data();
    tensor.rank = static_cast<int32_t>(shapes_.back().size());
    tensor.dtype = dtype;
    inputs_.push_back(tensor);
    return *this;
  }
  /// The only result goes there.
  TestCall& put_result_at(std::byte* place) {
    place_ = place;
    return *this;
  }
  /// Copies the bytes; `name` may be nullptr.
  TestCall& input(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape,
                  std::span<const std::byte> bytes) {
    shapes_.push_back(std::move(shape));
    data_.emplace_back(bytes.begin(), bytes.end());
    vaccel_tensor tensor{};
    tensor.name = name;
    tensor.data = data_.back().data();
    tensor.bytes = data_.back().size();
    tensor.shape = shapes_.back().data();
    tensor.rank = static_cast<int32_t>(shapes_.back().size());
    tensor.dtype = dtype;
    inputs_.push_back(tensor);
    return *this;
  }
  template <typename T>
  TestCall& input(const char* name, vaccel_dtype dtype, std::vector<int64_t> shape,
                  const std::vector<T>& values) {
    return input(name, dtype, std::move(shape), std::as_bytes(std::span(values.data(), values.size())));
  }
  TestCall& image(const std::string& file) {
    return input(nullptr, VACCEL_UINT8, {static_cast<int64_t>(file.size())}, as_bytes(file));
  }

  vaccel_status run(Runtime& runtime) {
    call.attributes = attributes_.data();
    call.attribute_count = attributes_.size();
    call.inputs = inputs_.data();
    call.input_count = inputs_.size();
    outputs.clear();
    sentence.clear();
    const Status status = runtime.call(call);
    EXPECT_EQ(status.message(), sentence);
    EXPECT_EQ(status.ok(), sentence.empty());
    return status.code();
  }

  RuntimeCall call{};
  std::map<size_t, CallOutput> outputs;
  std::string sentence;
  size_t output_limit = SIZE_MAX;  ///< Of bytes; beyond it no memory is given.

 private:
  static void* output(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                      const int64_t* shape, size_t bytes) {
    auto* self = static_cast<TestCall*>(context);
    if (bytes > self->output_limit) return nullptr;
    if (self->place_ != nullptr) return self->place_;
    EXPECT_FALSE(self->outputs.contains(index)) << "result " << index << " was asked for twice";
    CallOutput& result = self->outputs[index];
    result.name = name;
    result.dtype = dtype;
    result.shape.assign(shape, shape + rank);
    result.bytes.assign(bytes, std::byte{0xff});  // a NaN, to whoever reads what is to be written
    static std::byte nothing;
    return bytes == 0 ? &nothing : result.bytes.data();
  }

  std::byte* place_ = nullptr;
  std::vector<vaccel_attribute> attributes_;
  std::vector<vaccel_tensor> inputs_;
  std::deque<std::vector<int64_t>> shapes_;
  std::deque<std::vector<std::byte>> data_;
};

/// A runtime with the backends of this build; fails the test when there is none.
inline std::unique_ptr<Runtime> make_runtime(const std::filesystem::path& catalogue,
                                             std::map<std::string, std::vector<BackendOption>> options = {}) {
  RuntimeConfig config;
  config.catalogue = catalogue;
  config.backend_directory = backend_folder();
  config.backend_options = std::move(options);
  auto runtime = Runtime::create(std::move(config));
  EXPECT_TRUE(runtime) << (runtime ? "" : runtime.error().message());
  return runtime ? std::move(*runtime) : nullptr;
}

/// Whether the backend runs; the reason for GTEST_SKIP when it does not.
inline std::string why_not(const Runtime& runtime, const std::string& backend) {
  for (const BackendReport& report : runtime.backends()) {
    if (report.name == backend) return report.problem;
  }
  return "backend '" + backend + "' is not built";
}

}  // namespace vaccel::runtime::testing
