// SPDX-License-Identifier: Apache-2.0
#include "direct_session.h"

#include <dlfcn.h>
#include <onnxruntime_c_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace vaccel::conformance {
namespace {

constexpr uint32_t kOldestApi = 17;  // the backend's own

ONNXTensorElementDataType type_of(vaccel_dtype dtype) {
  switch (dtype) {
    case VACCEL_FLOAT32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    case VACCEL_FLOAT64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE;
    case VACCEL_FLOAT16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case VACCEL_BFLOAT16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16;
    case VACCEL_INT8:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8;
    case VACCEL_INT16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16;
    case VACCEL_INT32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32;
    case VACCEL_INT64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    case VACCEL_UINT8:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    case VACCEL_UINT16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16;
    case VACCEL_UINT32:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32;
    case VACCEL_UINT64:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64;
    case VACCEL_BOOL:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL;
    case VACCEL_STRING:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

struct ElementType {
  vaccel_dtype dtype;
  size_t bytes;  // 0: strings
};

bool element_type(ONNXTensorElementDataType type, ElementType& found) {
  constexpr size_t kBytes[] = {0, 4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8, 1, 0};  // by vaccel_dtype
  for (int dtype = VACCEL_FLOAT32; dtype <= VACCEL_STRING; ++dtype) {
    if (type_of(static_cast<vaccel_dtype>(dtype)) != type) continue;
    found = {static_cast<vaccel_dtype>(dtype), kBytes[dtype]};
    return true;
  }
  return false;
}

// What ends a run early, in ONNX Runtime's words.
struct Failed {
  std::string words;
};

// One model that is run once.
class Run {
 public:
  Run(const OrtApi& api, OrtEnv& environment) : api_(api), environment_(environment) {}
  ~Run() {
    for (OrtValue* value : values_)
      api_.ReleaseValue(value);
    if (memory_ != nullptr) api_.ReleaseMemoryInfo(memory_);
    if (session_ != nullptr) api_.ReleaseSession(session_);
    if (options_ != nullptr) api_.ReleaseSessionOptions(options_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  std::vector<Value> outputs(const std::filesystem::path& model, const std::vector<Value>& inputs) {
    must(api_.CreateSessionOptions(&options_));
    must(api_.SetSessionGraphOptimizationLevel(options_, ORT_ENABLE_ALL));
    must(api_.CreateSession(&environment_, model.c_str(), options_, &session_));
    must(api_.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory_));
    std::vector<const char*> input_names;
    std::vector<const OrtValue*> input_values;
    for (const Value& input : inputs) {
      input_names.push_back(input.name.c_str());
      input_values.push_back(make(input));
    }
    const std::vector<std::string> names = output_names();
    std::vector<const char*> wanted;
    for (const std::string& name : names)
      wanted.push_back(name.c_str());
    std::vector<OrtValue*> given(names.size(), nullptr);
    must(api_.Run(session_, nullptr, input_names.data(), input_values.data(), input_values.size(),
                  wanted.data(), wanted.size(), given.data()));
    values_.insert(values_.end(), given.begin(), given.end());
    std::vector<Value> outputs;
    for (size_t index = 0; index < names.size(); ++index)
      outputs.push_back(read(names[index], given[index]));
    return outputs;
  }

 private:
  void must(OrtStatus* status) const {
    if (status == nullptr) return;
    Failed failed{api_.GetErrorMessage(status)};
    api_.ReleaseStatus(status);
    throw failed;
  }

  OrtValue* make(const Value& input) {
    OrtValue* value = nullptr;
    if (input.dtype == VACCEL_STRING) {
      OrtAllocator* allocator = nullptr;
      must(api_.GetAllocatorWithDefaultOptions(&allocator));
      must(api_.CreateTensorAsOrtValue(allocator, input.shape.data(), input.shape.size(),
                                       type_of(input.dtype), &value));
      values_.push_back(value);
      const auto strings = input.strings();
      std::vector<const char*> pointers;
      for (const std::string& text : strings)
        pointers.push_back(text.c_str());
      must(api_.FillStringTensor(value, pointers.data(), pointers.size()));
      return value;
    }
    must(api_.CreateTensorWithDataAsOrtValue(memory_, const_cast<std::byte*>(input.data.data()),
                                             input.data.size(), input.shape.data(), input.shape.size(),
                                             type_of(input.dtype), &value));
    values_.push_back(value);
    return value;
  }

  std::vector<std::string> output_names() const {
    OrtAllocator* allocator = nullptr;
    must(api_.GetAllocatorWithDefaultOptions(&allocator));
    size_t count = 0;
    must(api_.SessionGetOutputCount(session_, &count));
    std::vector<std::string> names;
    for (size_t index = 0; index < count; ++index) {
      char* name = nullptr;
      must(api_.SessionGetOutputName(session_, index, allocator, &name));
      names.emplace_back(name);
      must(api_.AllocatorFree(allocator, name));
    }
    return names;
  }

  Value read(const std::string& name, OrtValue* value) const {
    int is_tensor = 0;
    if (value != nullptr) must(api_.IsTensor(value, &is_tensor));
    if (is_tensor == 0) throw Failed{"output '" + name + "' is no tensor"};
    OrtTensorTypeAndShapeInfo* info = nullptr;
    must(api_.GetTensorTypeAndShape(value, &info));
    const std::unique_ptr<OrtTensorTypeAndShapeInfo, void (*)(OrtTensorTypeAndShapeInfo*)> owned(
        info, api_.ReleaseTensorTypeAndShapeInfo);
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    must(api_.GetTensorElementType(info, &type));
    ElementType element{};
    if (!element_type(type, element)) throw Failed{"output '" + name + "' has a type that vAccel has not"};
    size_t rank = 0;
    must(api_.GetDimensionsCount(info, &rank));
    std::vector<int64_t> shape(rank);
    must(api_.GetDimensions(info, shape.data(), rank));
    size_t count = 0;
    must(api_.GetTensorShapeElementCount(info, &count));
    if (element.bytes == 0) return read_strings(name, value, shape, count);
    Value read{name, element.dtype, shape, std::vector<std::byte>(count * element.bytes)};
    void* data = nullptr;
    must(api_.GetTensorMutableData(value, &data));
    if (!read.data.empty()) std::memcpy(read.data.data(), data, read.data.size());
    return read;
  }

  Value read_strings(const std::string& name, OrtValue* value, const std::vector<int64_t>& shape,
                     size_t count) const {
    size_t bytes = 0;
    must(api_.GetStringTensorDataLength(value, &bytes));
    std::string characters(bytes, '\0');
    std::vector<size_t> offsets(count);
    must(api_.GetStringTensorContent(value, characters.data(), bytes, offsets.data(), count));
    std::vector<std::string> strings;
    for (size_t index = 0; index < count; ++index) {
      const size_t end = index + 1 < count ? offsets[index + 1] : bytes;
      strings.push_back(characters.substr(offsets[index], end - offsets[index]));
    }
    return Value::of_strings(name, shape, strings);
  }

  const OrtApi& api_;
  OrtEnv& environment_;
  OrtSessionOptions* options_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  std::vector<OrtValue*> values_;
};

}  // namespace

DirectRuntime::DirectRuntime(const std::filesystem::path& library) {
  void* loaded = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const auto base = loaded != nullptr
                        ? reinterpret_cast<decltype(&OrtGetApiBase)>(::dlsym(loaded, "OrtGetApiBase"))
                        : nullptr;
  api_ = base != nullptr ? base()->GetApi(kOldestApi) : nullptr;
  if (api_ == nullptr || api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "conformance", &environment_) != nullptr) {
    std::fprintf(stderr, "%s is not ONNX Runtime, or too old\n", library.c_str());
    std::exit(1);
  }
}

bool DirectRuntime::run(const std::filesystem::path& model, const std::vector<Value>& inputs,
                        std::vector<Value>& outputs, std::string& reason) const {
  try {
    outputs = Run(*api_, *environment_).outputs(model, inputs);
    return true;
  } catch (const Failed& failed) {
    reason = failed.words;
    return false;
  }
}

}  // namespace vaccel::conformance
