// SPDX-License-Identifier: Apache-2.0
//
// The backend "opencl": linear algebra on one OpenCL device, products by CLBlast. This file has the table and the border
// of the C interface; product.cpp and vectors.cpp have the operations, lane.cpp how data get to the device.
#include <memory>

#include "common/table.h"
#include "engine.h"

using vaccel::backends::guarded;
using vaccel::opencl::Engine;
using vaccel::opencl::Options;

struct vaccel_backend_instance {
  Engine engine;

  vaccel_backend_instance(const vaccel_backend_host* host, const Options& options) : engine(host, options) {}
};

namespace {

vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, [&] {
    const Options parsed = vaccel::opencl::parse_options(options, option_count);
    *instance = std::make_unique<vaccel_backend_instance>(host, parsed).release();
  });
}

const char* version(vaccel_backend_instance* instance) {
  return instance->engine.version();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->engine.devices();
}

// On a CPU a BLAS that was written for it is quicker.
int32_t score(vaccel_backend_instance* instance, vaccel_linalg_operation operation, vaccel_dtype dtype) {
  if (operation < VACCEL_LINALG_GEMM || operation > VACCEL_LINALG_MAX || !instance->engine.takes(dtype))
    return 0;
  const cl_device_type type = instance->engine.device().type;
  if ((type & CL_DEVICE_TYPE_GPU) != 0) return 80;
  return (type & CL_DEVICE_TYPE_ACCELERATOR) != 0 ? 70 : 20;
}

void require_type(vaccel_backend_instance* instance, int32_t dtype) {
  if (!instance->engine.takes(static_cast<vaccel_dtype>(dtype))) {
    vaccel::opencl::refuse(VACCEL_UNIMPLEMENTED, "%s does not compute with element type %d",
                           instance->engine.devices(), dtype);
  }
}

vaccel_status gemm(vaccel_backend_instance* instance, const vaccel_backend_gemm* problem,
                   vaccel_backend_run* run) {
  return guarded(run->error, [&] {
    require_type(instance, problem->dtype);
    vaccel::opencl::gemm(instance->engine, *problem, *run);
  });
}

vaccel_status gemv(vaccel_backend_instance* instance, const vaccel_backend_gemv* problem,
                   vaccel_backend_run* run) {
  return guarded(run->error, [&] {
    require_type(instance, problem->dtype);
    vaccel::opencl::gemv(instance->engine, *problem, *run);
  });
}

vaccel_status vectors(vaccel_backend_instance* instance, vaccel_linalg_operation operation,
                      const vaccel_backend_vectors* problem, vaccel_backend_run* run) {
  return guarded(run->error, [&] {
    require_type(instance, problem->dtype);
    vaccel::opencl::vectors(instance->engine, operation, *problem, *run);
  });
}

vaccel_status allocate(vaccel_backend_instance* instance, size_t bytes, const vaccel_backend_error* error,
                       void** address) {
  return guarded(*error, [&] {
    Engine& engine = instance->engine;
    *address = engine.memories().allocate(bytes, engine.lanes());
  });
}

void release(vaccel_backend_instance* instance, void* address) {
  instance->engine.memories().release(address);
}

vaccel_status copy(vaccel_backend_instance* instance, void* to, const void* from, size_t bytes,
                   const vaccel_backend_error* error) {
  return guarded(*error, [&] {
    vaccel::opencl::with_lane(instance->engine, [&](vaccel::opencl::Lane& lane) {
      lane.copy(to, from, bytes);
      lane.finish();
    });
  });
}

constexpr vaccel_backend_memory kMemory = {sizeof(vaccel_backend_memory), allocate, release, copy};
constexpr vaccel_backend_linalg kLinalg = {sizeof(vaccel_backend_linalg), score, gemm, gemv, vectors};

constexpr vaccel_backend table() {
  vaccel_backend backend =
      vaccel::backends::table_of("opencl", "Linear algebra on an OpenCL device, by CLBlast");
  backend.create = create;
  backend.version = version;
  backend.devices = devices;
  backend.linalg = &kLinalg;
  backend.memory = &kMemory;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
