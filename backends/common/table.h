// SPDX-License-Identifier: Apache-2.0
//
// What the tables of all backends have in common: handles are objects of the backend's own, made with new; a model's handle
// has a member `model` that describes and runs it. The functions are templates of the handles' types, which each backend
// defines for itself.
#pragma once

#include "failure.h"
#include "vaccel/backend.h"

namespace vaccel::backends {

template <typename Instance>
void destroy(Instance* instance) {
  delete instance;
}

template <typename Handle>
void model_close(Handle* model) {
  delete model;
}

template <typename Handle>
void model_describe(Handle* handle, const vaccel_tensor_info** inputs, size_t* input_count,
                    const vaccel_tensor_info** outputs, size_t* output_count) {
  *inputs = handle->model.inputs().data();
  *input_count = handle->model.inputs().size();
  *outputs = handle->model.outputs().data();
  *output_count = handle->model.outputs().size();
}

/// The table of a backend, with what is the same in all; the rest is the caller's to fill in.
template <typename Instance = vaccel_backend_instance>
constexpr vaccel_backend table_of(const char* name, const char* description) {
  vaccel_backend backend{};
  backend.size = sizeof backend;
  backend.abi_version = VACCEL_BACKEND_ABI;
  backend.name = name;
  backend.description = description;
  backend.destroy = destroy<Instance>;
  return backend;
}

/// The same of a backend that runs models.
template <typename Handle = vaccel_backend_model>
constexpr vaccel_backend model_table_of(const char* name, const char* description) {
  vaccel_backend backend = table_of(name, description);
  backend.model_close = model_close<Handle>;
  backend.model_describe = model_describe<Handle>;
  return backend;
}

}  // namespace vaccel::backends
