// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <vector>

namespace vaccel::openblas {
namespace {

void* open_library(const std::string& path) {
  std::string reasons;
  const std::vector<std::string> names =
      path.empty() ? std::vector<std::string>{"libopenblas.so.0", "libopenblas.so"} : std::vector{path};
  for (const std::string& name : names) {
    // Never unloaded: its threads outlive the backend.
    if (void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return library;
    const char* reason = ::dlerror();
    reasons += (reasons.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : name);
  }
  refuse(VACCEL_UNAVAILABLE,
         "cannot load OpenBLAS (%s); [backend.openblas] library = \"PATH\" says where it is",
         reasons.c_str());
}

template <typename Function>
void find(void* library, const std::string& name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name.c_str()));
  if (function == nullptr)
    refuse(VACCEL_UNAVAILABLE, "the library exports no %s: it is not OpenBLAS", name.c_str());
}

template <typename Real>
Functions<Real> find_functions(void* library, const std::string& prefix) {
  Functions<Real> found;
  find(library, prefix + "gemm", found.gemm);
  find(library, prefix + "gemv", found.gemv);
  find(library, prefix + "axpy", found.axpy);
  find(library, prefix + "scal", found.scal);
  find(library, prefix + "dot", found.dot);
  find(library, prefix + "nrm2", found.nrm2);
  return found;
}

// "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ..." -> "0.3.21"
std::string version_in(const std::string& config) {
  const size_t begin = config.find(' ') + 1;  // 0 where there is none
  return config.substr(begin, config.find(' ', begin) - begin);
}

}  // namespace

void refuse(vaccel_status status, const char* format, ...) {
  char sentence[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  throw Failure{status, sentence};
}

Api Api::load(const std::string& path, int threads) {
  void* library = open_library(path);
  char* (*get_config)() = nullptr;
  char* (*get_corename)() = nullptr;
  void (*set_num_threads)(int) = nullptr;
  int (*get_num_threads)() = nullptr;
  find(library, "openblas_get_config", get_config);
  find(library, "openblas_get_corename", get_corename);
  find(library, "openblas_set_num_threads", set_num_threads);
  find(library, "openblas_get_num_threads", get_num_threads);
  const std::string config = get_config();
  // Such a build takes other arguments under the same names.
  if (config.find("USE64BITINT") != std::string::npos) {
    refuse(VACCEL_UNAVAILABLE, "this OpenBLAS has 64-bit integers (%s); one with 32-bit integers is needed",
           config.c_str());
  }
  Api api;
  api.floats_ = find_functions<float>(library, "cblas_s");
  api.doubles_ = find_functions<double>(library, "cblas_d");
  if (threads > 0) set_num_threads(threads);
  api.version_ = version_in(config);
  api.devices_ =
      "CPU (" + std::string(get_corename()) + ", " + std::to_string(get_num_threads()) + " threads)";
  return api;
}

}  // namespace vaccel::openblas
