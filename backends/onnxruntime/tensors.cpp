// SPDX-License-Identifier: Apache-2.0
#include "tensors.h"

#include <cstring>
#include <limits>

namespace vaccel::onnxruntime {
namespace {

struct Pair {
  int32_t dtype;
  ONNXTensorElementDataType type;
  size_t size;
};

constexpr Pair kTypes[] = {
    {VACCEL_FLOAT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 4},
    {VACCEL_FLOAT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, 8},
    {VACCEL_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, 2},
    {VACCEL_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, 2},
    {VACCEL_INT8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, 1},
    {VACCEL_INT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, 2},
    {VACCEL_INT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, 4},
    {VACCEL_INT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, 8},
    {VACCEL_UINT8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, 1},
    {VACCEL_UINT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, 2},
    {VACCEL_UINT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, 4},
    {VACCEL_UINT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, 8},
    {VACCEL_BOOL, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, 1},
    {VACCEL_STRING, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, 0},
};

size_t count_of(const int64_t* shape, size_t rank) {
  size_t count = 1;
  for (size_t axis = 0; axis < rank; ++axis)
    count *= static_cast<size_t>(shape[axis]);
  return count;
}

uint32_t offset_at(const char* data, size_t index) {
  uint32_t offset = 0;
  std::memcpy(&offset, data + index * sizeof offset, sizeof offset);
  return offset;
}

// See VACCEL_STRING in types.h; the runtime has checked the offsets.
Handle<OrtValue> make_strings(const Api& api, const vaccel_tensor& tensor) {
  OrtAllocator* allocator = nullptr;
  api.check(api->GetAllocatorWithDefaultOptions(&allocator), VACCEL_INTERNAL);
  const auto rank = static_cast<size_t>(tensor.rank);
  auto value = api.make<OrtValue>(api->ReleaseValue, VACCEL_INTERNAL, api->CreateTensorAsOrtValue, allocator,
                                  tensor.shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
  const size_t count = count_of(tensor.shape, rank);
  const auto* data = static_cast<const char*>(tensor.data);
  std::vector<const char*> strings(count);
  for (size_t index = 0; index < count; ++index) {
    strings[index] = data + offset_at(data, index);
    const size_t length = offset_at(data, index + 1) - offset_at(data, index) - 1;
    if (std::memchr(strings[index], 0, length) != nullptr) {
      refuse(VACCEL_INVALID_ARGUMENT,
             "string %zu of input '%s' has a NUL inside; ONNX Runtime's strings end there", index,
             tensor.name != nullptr ? tensor.name : "");
    }
  }
  api.check(api->FillStringTensor(value.get(), strings.data(), count), VACCEL_INTERNAL);
  return value;
}

bool copy_out_strings(const Api& api, const OrtValue* value, const TensorType& type, vaccel_backend_run& run,
                      size_t index, const char* name) {
  const size_t count = count_of(type.shape.data(), type.shape.size());
  size_t length = 0;
  api.check(api->GetStringTensorDataLength(value, &length), VACCEL_INTERNAL);
  const size_t head = (count + 1) * sizeof(uint32_t);
  const size_t bytes = head + length + count;  // a NUL each
  if (bytes > std::numeric_limits<uint32_t>::max()) {
    refuse(VACCEL_RESOURCE_EXHAUSTED, "output '%s' has %zu bytes of strings; offsets reach 4 GiB", name,
           bytes);
  }
  std::string characters(length, '\0');
  std::vector<size_t> offsets(count + 1, length);
  if (count > 0) {
    api.check(api->GetStringTensorContent(value, characters.data(), length, offsets.data(), count),
              VACCEL_INTERNAL);
  }
  auto* memory =
      static_cast<char*>(run.output(run.context, index, name, VACCEL_STRING,
                                    static_cast<int32_t>(type.shape.size()), type.shape.data(), bytes));
  if (memory == nullptr) return false;
  auto at = static_cast<uint32_t>(head);
  std::memcpy(memory, &at, sizeof at);
  for (size_t item = 0; item < count; ++item) {
    const size_t size = offsets[item + 1] - offsets[item];
    std::memcpy(memory + at, characters.data() + offsets[item], size);
    memory[at + size] = '\0';
    at += static_cast<uint32_t>(size + 1);
    std::memcpy(memory + (item + 1) * sizeof at, &at, sizeof at);
  }
  return true;
}

}  // namespace

ONNXTensorElementDataType element_type(int32_t dtype) {
  for (const Pair& pair : kTypes) {
    if (pair.dtype == dtype) return pair.type;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

int32_t dtype_of(ONNXTensorElementDataType type) {
  for (const Pair& pair : kTypes) {
    if (pair.type == type) return pair.dtype;
  }
  return 0;
}

size_t element_size(int32_t dtype) {
  for (const Pair& pair : kTypes) {
    if (pair.dtype == dtype) return pair.size;
  }
  return 0;
}

TensorType type_of(const Api& api, const OrtTensorTypeAndShapeInfo* info) {
  TensorType result;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  api.check(api->GetTensorElementType(info, &type), VACCEL_INTERNAL);
  size_t rank = 0;
  api.check(api->GetDimensionsCount(info, &rank), VACCEL_INTERNAL);
  result.shape.resize(rank);
  api.check(api->GetDimensions(info, result.shape.data(), rank), VACCEL_INTERNAL);
  result.dtype = dtype_of(type);
  return result;
}

Handle<OrtValue> make_value(const Api& api, const OrtMemoryInfo* memory, const vaccel_tensor& tensor) {
  if (tensor.dtype == VACCEL_STRING) return make_strings(api, tensor);
  static char nothing;  // ONNX Runtime wants an address for empty tensors too
  const auto rank = static_cast<size_t>(tensor.rank);
  const size_t bytes = count_of(tensor.shape, rank) * element_size(tensor.dtype);
  return api.make<OrtValue>(api->ReleaseValue, VACCEL_INVALID_ARGUMENT, api->CreateTensorWithDataAsOrtValue,
                            memory, bytes == 0 ? &nothing : tensor.data, bytes, tensor.shape, rank,
                            element_type(tensor.dtype));
}

bool copy_out(const Api& api, OrtValue* value, vaccel_backend_run& run, size_t index, const char* name) {
  const auto info = api.make<OrtTensorTypeAndShapeInfo>(api->ReleaseTensorTypeAndShapeInfo, VACCEL_INTERNAL,
                                                        api->GetTensorTypeAndShape, value);
  const TensorType type = type_of(api, info.get());
  if (type.dtype == VACCEL_STRING) return copy_out_strings(api, value, type, run, index, name);
  if (type.dtype == 0 || type.shape.size() > VACCEL_MAX_RANK) {
    refuse(VACCEL_UNIMPLEMENTED, "output '%s' came with rank %zu or a type that vAccel has no name for", name,
           type.shape.size());
  }
  const size_t bytes = count_of(type.shape.data(), type.shape.size()) * element_size(type.dtype);
  void* memory = run.output(run.context, index, name, static_cast<vaccel_dtype>(type.dtype),
                            static_cast<int32_t>(type.shape.size()), type.shape.data(), bytes);
  if (memory == nullptr) return false;
  void* data = nullptr;
  api.check(api->GetTensorMutableData(value, &data), VACCEL_INTERNAL);
  if (bytes > 0) std::memcpy(memory, data, bytes);
  return true;
}

}  // namespace vaccel::onnxruntime
