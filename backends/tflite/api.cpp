// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <vector>

namespace vaccel::tflite {
namespace {

// The oldest version that this backend was run with. What matters most is that TfLiteModelCreate() verifies the file.
constexpr int kOldestMinor = 9;

constexpr size_t kLongestName = 80;

// What to try, in order, when the configuration names no library.
std::vector<std::string> candidates() {
  std::vector<std::string> paths;
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&candidates), &info) != 0 && info.dli_fname != nullptr) {
    std::error_code error;
    const auto beside = std::filesystem::path(info.dli_fname).parent_path() / "libtensorflowlite_c.so";
    if (std::filesystem::exists(beside, error)) paths.push_back(beside.string());
  }
  paths.emplace_back("libtensorflowlite_c.so");
  return paths;
}

void* open_library(const std::string& path) {
  std::string reasons;
  for (const std::string& file : path.empty() ? candidates() : std::vector<std::string>{path}) {
    // Never unloaded: its threads and thread-local destructors outlive the backend.
    if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return library;
    const char* reason = ::dlerror();
    reasons += (reasons.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : file);
  }
  refuse(VACCEL_UNAVAILABLE,
         "cannot load TensorFlow Lite (%s); [backend.tflite] library = \"PATH\" says where it is",
         reasons.c_str());
}

template <typename Function>
void find_if_there(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  find_if_there(library, name, function);
  if (function == nullptr) {
    refuse(VACCEL_UNAVAILABLE,
           "the library exports no %s: it is not TensorFlow Lite's C library, 2.%d or newer", name,
           kOldestMinor);
  }
}

bool is_new_enough(const std::string& version) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(version.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major > 2 || (major == 2 && minor >= kOldestMinor);
}

}  // namespace

void refuse(vaccel_status status, const char* format, ...) {
  char sentence[2048];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  throw Failure{status, sentence};
}

std::string printable(std::string_view name) {
  std::string text(name.substr(0, kLongestName));
  for (char& character : text) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) character = '?';
  }
  return name.size() > kLongestName ? text + "..." : text;
}

Api Api::load(const std::string& path) {
  void* library = open_library(path);
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
  find_if_there(library, "TfLiteXNNPackDelegateCreate", api.xnnpack_create);
  find_if_there(library, "TfLiteXNNPackDelegateDelete", api.xnnpack_delete);
  return api;
}

}  // namespace vaccel::tflite
