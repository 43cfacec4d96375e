// SPDX-License-Identifier: Apache-2.0
//
// The backend "openblas": linear algebra on the processor, by OpenBLAS. This file has the table, the options and the
// border of the C interface; linalg.cpp computes, api.cpp loads the library.
//
//   library   path of libopenblas.so; default: where the loader finds it
//   threads   for one operation; 0, the default: one for each core
#include <string>
#include <string_view>

#include "api.h"
#include "common/option_values.h"
#include "common/table.h"
#include "linalg.h"

using vaccel::backends::guarded;
using vaccel::backends::kMostThreads;
using vaccel::backends::parse_integer;
using vaccel::backends::refuse_unknown;
using vaccel::openblas::Api;

struct vaccel_backend_instance {
  Api api;
};

namespace {

constexpr int32_t kScore = 60;  // a processor's; an accelerator's is higher

vaccel_status create(const vaccel_backend_host* /*host*/, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, [&] {
    std::string library;
    int threads = 0;
    for (size_t index = 0; index < option_count; ++index) {
      const std::string_view key = options[index].key;
      if (key == "library") {
        library = options[index].value;
      } else if (key == "threads") {
        threads = parse_integer(options[index], 0, kMostThreads);
      } else {
        refuse_unknown(options[index], "library, threads");
      }
    }
    *instance = new vaccel_backend_instance{Api::load(library, threads)};
  });
}

const char* version(vaccel_backend_instance* instance) {
  return instance->api.version().c_str();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->api.devices().c_str();
}

int32_t score(vaccel_backend_instance* /*instance*/, vaccel_linalg_operation operation, vaccel_dtype dtype) {
  return vaccel::openblas::does(operation, dtype) ? kScore : 0;
}

vaccel_status gemm(vaccel_backend_instance* instance, const vaccel_backend_gemm* problem,
                   vaccel_backend_run* run) {
  return guarded(run->error, [&] { vaccel::openblas::gemm(instance->api, *problem, *run); });
}

vaccel_status gemv(vaccel_backend_instance* instance, const vaccel_backend_gemv* problem,
                   vaccel_backend_run* run) {
  return guarded(run->error, [&] { vaccel::openblas::gemv(instance->api, *problem); });
}

vaccel_status vectors(vaccel_backend_instance* instance, vaccel_linalg_operation operation,
                      const vaccel_backend_vectors* problem, vaccel_backend_run* run) {
  return guarded(run->error, [&] { vaccel::openblas::vectors(instance->api, operation, *problem); });
}

constexpr vaccel_backend_linalg kLinalg = {sizeof(vaccel_backend_linalg), score, gemm, gemv, vectors};

constexpr vaccel_backend table() {
  vaccel_backend backend =
      vaccel::backends::table_of("openblas", "Linear algebra on the processor, by OpenBLAS");
  backend.create = create;
  backend.version = version;
  backend.devices = devices;
  backend.linalg = &kLinalg;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
