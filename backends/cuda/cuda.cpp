// SPDX-License-Identifier: Apache-2.0
//
// The backend "cuda": linear algebra on one CUDA device, by cuBLAS. This file has the table and the border
// of the C interface; product.cpp and vectors.cpp have the operations, engine.cpp how data get to the device.
#include <memory>

#include "common/table.h"
#include "engine.h"

using vaccel::backends::guarded;
using vaccel::cuda::Engine;
using vaccel::cuda::Options;

struct vaccel_backend_instance {
  Engine engine;

  explicit vaccel_backend_instance(const Options& options) : engine(options) {}
};

namespace {

vaccel_status create(const vaccel_backend_host* /*host*/, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, [&] {
    const Options parsed = vaccel::cuda::parse_options(options, option_count);
    *instance = std::make_unique<vaccel_backend_instance>(parsed).release();
  });
}

const char* version(vaccel_backend_instance* instance) {
  return instance->engine.version();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->engine.devices();
}

int32_t score(vaccel_backend_instance* instance, vaccel_linalg_operation operation, vaccel_dtype dtype) {
  // cuBLAS has neither least nor greatest values.
  const bool has = operation >= VACCEL_LINALG_GEMM && operation <= VACCEL_LINALG_COPY;
  return has && instance->engine.takes(dtype) ? 90 : 0;
}

void require_type(vaccel_backend_instance* instance, int32_t dtype) {
  if (!instance->engine.takes(static_cast<vaccel_dtype>(dtype))) {
    vaccel::cuda::refuse(VACCEL_UNIMPLEMENTED, "%s does not compute with element type %d",
                         instance->engine.devices(), dtype);
  }
}

vaccel_status gemm(vaccel_backend_instance* instance, const vaccel_backend_gemm* problem,
                   vaccel_backend_run* run) {
  return guarded(run->error, [&] {
    require_type(instance, problem->dtype);
    if (problem->batch > 1 && problem->stride_c == 0) {
      vaccel::cuda::refuse(VACCEL_INVALID_ARGUMENT, "%lld products share one result: stride_c is 0",
                           static_cast<long long>(problem->batch));
    }
    vaccel::cuda::multiply(instance->engine, vaccel::product::product_of(*problem), *run);
  });
}

vaccel_status gemv(vaccel_backend_instance* instance, const vaccel_backend_gemv* problem,
                   vaccel_backend_run* run) {
  return guarded(run->error, [&] {
    require_type(instance, problem->dtype);
    vaccel::cuda::multiply(instance->engine, vaccel::product::product_of(*problem), *run);
  });
}

vaccel_status vectors(vaccel_backend_instance* instance, vaccel_linalg_operation operation,
                      const vaccel_backend_vectors* problem, vaccel_backend_run* run) {
  return guarded(run->error, [&] {
    require_type(instance, problem->dtype);
    vaccel::cuda::vectors(instance->engine, operation, *problem, *run);
  });
}

// If giving something back fails, the device is gone, and with it what was there.
constexpr vaccel_backend_error kNobody = {nullptr,
                                          [](void*, vaccel_status status, const char*) { return status; }};

vaccel_status window_import(vaccel_backend_instance* instance, void* memory, size_t bytes,
                            const vaccel_backend_error* error) {
  return guarded(*error, [&] { instance->engine.pin(memory, bytes); });
}

void window_drop(vaccel_backend_instance* instance, void* memory) {
  (void)guarded(kNobody, [&] { instance->engine.unpin(memory); });
}

vaccel_status allocate(vaccel_backend_instance* instance, size_t bytes, const vaccel_backend_error* error,
                       void** address) {
  return guarded(*error, [&] { *address = instance->engine.allocate(bytes); });
}

void release(vaccel_backend_instance* instance, void* address) {
  (void)guarded(kNobody, [&] { instance->engine.release(address); });
}

vaccel_status copy(vaccel_backend_instance* instance, void* to, const void* from, size_t bytes,
                   const vaccel_backend_error* error) {
  return guarded(*error, [&] {
    vaccel::cuda::with_lane(instance->engine, [&](const vaccel::cuda::Lane& lane) {
      lane.copy(to, from, bytes);
      lane.finish();
    });
  });
}

constexpr vaccel_backend_memory kMemory = {sizeof(vaccel_backend_memory), allocate, release, copy};
constexpr vaccel_backend_linalg kLinalg = {sizeof(vaccel_backend_linalg), score, gemm, gemv, vectors};

constexpr vaccel_backend table() {
  vaccel_backend backend = vaccel::backends::table_of("cuda", "Linear algebra on a CUDA device, by cuBLAS");
  backend.create = create;
  backend.version = version;
  backend.devices = devices;
  backend.linalg = &kLinalg;
  backend.memory = &kMemory;
  backend.window_import = window_import;
  backend.window_drop = window_drop;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
