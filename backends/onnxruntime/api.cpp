// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/framework_library.h"

namespace vaccel::onnxruntime {
namespace {

// The oldest version whose functions are all that this backend calls.
constexpr unsigned kOldestApi = 14;

// What to try, in order, when the configuration names no library.
std::vector<std::string> candidates() {
  std::vector<std::string> paths;
  // Where a link points to, and not the link: ONNX Runtime looks for its providers beside the file that was
  // opened.
  std::error_code error;
  const auto real = std::filesystem::canonical(backends::file_beside_backend("libonnxruntime.so"), error);
  if (!error) paths.push_back(real.string());
  paths.emplace_back("libonnxruntime.so.1");
  paths.emplace_back("libonnxruntime.so");
  return paths;
}

}  // namespace

Api Api::load(const std::string& path) {
  void* library = backends::open_library({"ONNX Runtime", "onnxruntime"}, path, candidates());
  decltype(&OrtGetApiBase) base = nullptr;
  backends::find_function(library, "OrtGetApiBase", "not ONNX Runtime", base);
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
  while (!words.empty() && words.back() == '\n')
    words.pop_back();
  return words;
}

}  // namespace vaccel::onnxruntime
