// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/framework_library.h"

namespace vaccel::tflite {
namespace {

// The oldest version that this backend was run with. What matters most is that TfLiteModelCreate() verifies the file.
constexpr int kOldestMinor = 9;

// What to try, in order, when the configuration names no library.
std::vector<std::string> candidates() {
  std::vector<std::string> paths;
  std::error_code error;
  const std::string beside = backends::file_beside_backend("libtensorflowlite_c.so");
  if (std::filesystem::exists(beside, error)) paths.push_back(beside);
  paths.emplace_back("libtensorflowlite_c.so");
  return paths;
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  static const std::string kOtherwise =
      "not TensorFlow Lite's C library, 2." + std::to_string(kOldestMinor) + " or newer";
  backends::find_function(library, name, kOtherwise.c_str(), function);
}

bool is_new_enough(const std::string& version) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major > 2 || (major == 2 && minor >= kOldestMinor);
}

}  // namespace

Api Api::load(const std::string& path) {
  void* library = backends::open_library({"TensorFlow Lite", "tflite"}, path, candidates());
  Api api;
  find(library, "TfLiteVersion", api.version);
  api.version_text = api.version();
  if (!is_new_enough(api.version_text)) {
    refuse(VACCEL_UNAVAILABLE, "TensorFlow Lite %s is too old or unknown: 2.%d or newer is needed",
           printable(api.version_text).c_str(), kOldestMinor);
  }
  find(library, "TfLiteModelCreate", api.model_create);
  find(library, "TfLiteModelDelete", api.model_delete);
  find(library, "TfLiteInterpreterOptionsCreate", api.options_create);
  find(library, "TfLiteInterpreterOptionsDelete", api.options_delete);
  find(library, "TfLiteInterpreterOptionsSetNumThreads", api.options_set_threads);
  find(library, "TfLiteInterpreterOptionsAddDelegate", api.options_add_delegate);
  find(library, "TfLiteInterpreterOptionsSetErrorReporter", api.options_set_reporter);
  find(library, "TfLiteInterpreterCreate", api.interpreter_create);
  find(library, "TfLiteInterpreterDelete", api.interpreter_delete);
  find(library, "TfLiteInterpreterGetInputTensor", api.input_tensor);
  find(library, "TfLiteInterpreterGetOutputTensor", api.output_tensor);
  find(library, "TfLiteInterpreterResizeInputTensor", api.resize_input);
  find(library, "TfLiteInterpreterAllocateTensors", api.allocate_tensors);
  find(library, "TfLiteInterpreterInvoke", api.invoke);
  find(library, "TfLiteTensorType", api.tensor_type);
  find(library, "TfLiteTensorNumDims", api.tensor_rank);
  find(library, "TfLiteTensorDim", api.tensor_dimension);
  find(library, "TfLiteTensorByteSize", api.tensor_bytes);
  find(library, "TfLiteTensorData", api.tensor_data);
  find(library, "TfLiteTensorCopyFromBuffer", api.tensor_copy_from);
  find(library, "TfLiteTensorRealloc", api.tensor_reallocate);
  find(library, "TfLiteInterpreterResetVariableTensors", api.reset_variables);
  backends::find_if_there(library, "TfLiteXNNPackDelegateCreate", api.xnnpack_create);
  backends::find_if_there(library, "TfLiteXNNPackDelegateDelete", api.xnnpack_delete);
  return api;
}

}  // namespace vaccel::tflite
