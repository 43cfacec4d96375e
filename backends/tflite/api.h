// SPDX-License-Identifier: Apache-2.0
//
// TensorFlow Lite's library, loaded at run time, and its C API made safe to use: functions by name, handles that
// release themselves. Exceptions stay within this backend; guarded() in tflite.cpp ends them.
#pragma once

#include <tensorflow/lite/c/c_api.h>
#include <tensorflow/lite/c/common.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/failure.h"
#include "vaccel/backend.h"

namespace vaccel::tflite {

using backends::Failure;
using backends::printable;
using backends::refuse;

template <typename T>
struct Release {
  void (*function)(T*) = nullptr;
  void operator()(T* handle) const { function(handle); }
};
template <typename T>
using Handle = std::unique_ptr<T, Release<T>>;

/// The library's functions, without their common prefix "TfLite".
struct Api {
  /// Loads the library. `path` empty: beside this backend, else where the loader finds it. UNAVAILABLE when there is
  /// none, when it is another library, or one that is too old.
  static Api load(const std::string& path);

  std::string version_text;

  decltype(&TfLiteVersion) version = nullptr;
  decltype(&TfLiteModelCreate) model_create = nullptr;
  decltype(&TfLiteModelDelete) model_delete = nullptr;
  decltype(&TfLiteInterpreterOptionsCreate) options_create = nullptr;
  decltype(&TfLiteInterpreterOptionsDelete) options_delete = nullptr;
  decltype(&TfLiteInterpreterOptionsSetNumThreads) options_set_threads = nullptr;
  decltype(&TfLiteInterpreterOptionsAddDelegate) options_add_delegate = nullptr;
  decltype(&TfLiteInterpreterOptionsSetErrorReporter) options_set_reporter = nullptr;
  decltype(&TfLiteInterpreterCreate) interpreter_create = nullptr;
  decltype(&TfLiteInterpreterDelete) interpreter_delete = nullptr;
  decltype(&TfLiteInterpreterGetInputTensor) input_tensor = nullptr;
  decltype(&TfLiteInterpreterGetOutputTensor) output_tensor = nullptr;
  decltype(&TfLiteInterpreterResizeInputTensor) resize_input = nullptr;
  decltype(&TfLiteInterpreterAllocateTensors) allocate_tensors = nullptr;
  decltype(&TfLiteInterpreterInvoke) invoke = nullptr;
  decltype(&TfLiteTensorType) tensor_type = nullptr;
  decltype(&TfLiteTensorNumDims) tensor_rank = nullptr;
  decltype(&TfLiteTensorDim) tensor_dimension = nullptr;
  decltype(&TfLiteTensorByteSize) tensor_bytes = nullptr;
  decltype(&TfLiteTensorData) tensor_data = nullptr;
  decltype(&TfLiteTensorCopyFromBuffer) tensor_copy_from = nullptr;
  decltype(&TfLiteTensorRealloc) tensor_reallocate = nullptr;
  /// From the experimental part of the API, whose header is not always installed.
  TfLiteStatus (*reset_variables)(TfLiteInterpreter* interpreter) = nullptr;
  /// nullptr in a library that is built without XNNPACK.
  TfLiteDelegate* (*xnnpack_create)(const void* options) = nullptr;
  void (*xnnpack_delete)(TfLiteDelegate* delegate) = nullptr;
};

}  // namespace vaccel::tflite
