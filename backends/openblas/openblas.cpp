// SPDX-License-Identifier: Apache-2.0
//
// The backend "openblas": linear algebra on the processor, by OpenBLAS. This file has the table, the options and the
// border of the C interface; linalg.cpp computes, api.cpp loads the library.
//
//   library   path of libopenblas.so; default: where the loader finds it
//   threads   for one operation; 0, the default: one for each core
#include <charconv>
#include <exception>
#include <memory>
#include <new>
#include <string_view>

#include "api.h"
#include "linalg.h"

using vaccel::openblas::Api;
using vaccel::openblas::Failure;
using vaccel::openblas::refuse;

struct vaccel_backend_instance {
  Api api;
};

namespace {

constexpr int32_t kScore = 60;  // a processor's; an accelerator's is higher
constexpr int kMostThreads = 1024;

// Runs `body`; exceptions end here.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, Body body) {
  try {
    body();
    return VACCEL_OK;
  } catch (const Failure& failure) {
    return error.fail(error.context, failure.status, failure.sentence.c_str());
  } catch (const std::bad_alloc&) {
    return error.fail(error.context, VACCEL_RESOURCE_EXHAUSTED, "no memory");
  } catch (const std::exception& exception) {
    return error.fail(error.context, VACCEL_INTERNAL, exception.what());
  }
}

int parse_threads(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  int number = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < 0 || number > kMostThreads) {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: 'threads' is %s; it must be an integer, 0 to %d", option.where,
           option.value, kMostThreads);
  }
  return number;
}

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
        threads = parse_threads(options[index]);
      } else {
        refuse(VACCEL_INVALID_ARGUMENT, "%s: unknown option '%s'; there are: library, threads",
               options[index].where, options[index].key);
      }
    }
    *instance = new vaccel_backend_instance{Api::load(library, threads)};
  });
}

void destroy(vaccel_backend_instance* instance) {
  delete instance;
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
  vaccel_backend backend{};
  backend.size = sizeof backend;
  backend.abi_version = VACCEL_BACKEND_ABI;
  backend.name = "openblas";
  backend.description = "Linear algebra on the processor, by OpenBLAS";
  backend.create = create;
  backend.destroy = destroy;
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
