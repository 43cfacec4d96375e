// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

namespace vaccel::onnxruntime {
namespace {

// The oldest version whose functions are all that this backend calls.
constexpr unsigned kOldestApi = 14;

// What to try, in order, when the configuration names no library.
std::vector<std::string> candidates() {
  std::vector<std::string> paths;
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&candidates), &info) != 0 && info.dli_fname != nullptr) {
    // Where a link points to, and not the link: ONNX Runtime looks for its providers beside the file that was
    // opened.
    std::error_code error;
    const auto beside = std::filesystem::path(info.dli_fname).parent_path() / "libonnxruntime.so";
    const auto real = std::filesystem::canonical(beside, error);
    if (!error) paths.push_back(real.string());
  }
  paths.emplace_back("libonnxruntime.so.1");
  paths.emplace_back("libonnxruntime.so");
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
         "cannot load ONNX Runtime (%s); [backend.onnxruntime] library = \"PATH\" says where it is",
         reasons.c_str());
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

Api Api::load(const std::string& path) {
  void* library = open_library(path);
  const auto base = reinterpret_cast<decltype(&OrtGetApiBase)>(::dlsym(library, "OrtGetApiBase"));
  if (base == nullptr)
    refuse(VACCEL_UNAVAILABLE, "the library exports no OrtGetApiBase: it is not ONNX Runtime");
  Api api;
  api.version_ = base()->GetVersionString();
  // The version of the API is the second number. Asking for one that is too new prints to stderr: so never
  // do.
  const size_t dot = api.version_.find('.');
  const unsigned long newest =
      dot == std::string::npos ? 0 : std::strtoul(api.version_.c_str() + dot + 1, nullptr, 10);
  const auto wanted = static_cast<unsigned>(std::min<unsigned long>(newest, ORT_API_VERSION));
  if (wanted >= kOldestApi) api.api_ = base()->GetApi(wanted);
  if (api.api_ == nullptr) {
    refuse(VACCEL_UNAVAILABLE, "ONNX Runtime %s is too old or unknown: 1.%u or newer is needed",
           api.version_.c_str(), kOldestApi);
  }
  return api;
}

void Api::check(OrtStatus* status, vaccel_status code) const {
  if (status != nullptr) refuse(code, "%s", take_words(status).c_str());
}

std::string Api::take_words(OrtStatus* status) const {
  std::string words = api_->GetErrorMessage(status);
  api_->ReleaseStatus(status);
  return words;
}

}  // namespace vaccel::onnxruntime
