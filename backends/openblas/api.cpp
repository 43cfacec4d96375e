// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include "common/framework_library.h"

namespace vaccel::openblas {
namespace {

template <typename Function>
void find(void* library, const std::string& name, Function& function) {
  backends::find_function(library, name.c_str(), "not OpenBLAS", function);
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

Api Api::load(const std::string& path, int threads) {
  void* library =
      backends::open_library({"OpenBLAS", "openblas"}, path, {"libopenblas.so.0", "libopenblas.so"});
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
