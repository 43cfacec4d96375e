// SPDX-License-Identifier: Apache-2.0
//
// Tensors of vAccel as values of ONNX Runtime, and back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api.h"

namespace vaccel::onnxruntime {

/// ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED for a dtype that is none.
ONNXTensorElementDataType element_type(int32_t dtype);
/// 0 for a type that vAccel has no name for.
int32_t dtype_of(ONNXTensorElementDataType type);
/// Bytes of an element; 0 for strings.
size_t element_size(int32_t dtype);

/// Type and dimensions of a value or of an input or output.
struct TensorType {
  int32_t dtype = 0;
  std::vector<int64_t> shape;  ///< -1: any size.
};
TensorType type_of(const Api& api, const OrtTensorTypeAndShapeInfo* info);

/// A value that uses `tensor`'s memory in place; strings are copied. INVALID_ARGUMENT for strings with a NUL
/// inside.
Handle<OrtValue> make_value(const Api& api, const OrtMemoryInfo* memory, const vaccel_tensor& tensor);

/// Copies a value to the memory that run's output() gives for result `index`. False: there was none.
bool copy_out(const Api& api, OrtValue* value, vaccel_backend_run& run, size_t index, const char* name);

}  // namespace vaccel::onnxruntime
