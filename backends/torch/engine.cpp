// SPDX-License-Identifier: Apache-2.0
//
// The engine: all of the backend "torch" that needs LibTorch, as a backend of its own that torch.cpp loads and hands on to.
// This file has the table and the border of the C interface; model.cpp runs models, trust.cpp looks at them before,
// signature.cpp tells what they take and return.
#include <string>

#include "common/table.h"
#include "failure.h"
#include "framework.h"
#include "model.h"
#include "options.h"

using vaccel::torch_backend::guarded;
using vaccel::torch_backend::Model;
using vaccel::torch_backend::Options;

struct vaccel_backend_instance {
  const vaccel_backend_host* host;
  std::string device;
  std::string devices;
};

struct vaccel_backend_model {
  Model model;
};

namespace {

vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, VACCEL_UNAVAILABLE, "LibTorch failed: ", [&] {
    const Options parsed = vaccel::torch_backend::parse_options(options, option_count);
    const std::string device = vaccel::torch_backend::choose_device(parsed);
    vaccel::torch_backend::set_up_framework(parsed);
    *instance = new vaccel_backend_instance{host, device, vaccel::torch_backend::device_text(device)};
    return VACCEL_OK;
  });
}

const char* devices(vaccel_backend_instance* instance) {
  return instance->devices.c_str();
}

vaccel_status model_open(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                         const vaccel_backend_error* error, vaccel_backend_model** model) {
  return guarded(*error, VACCEL_INVALID_ARGUMENT, "LibTorch refuses the model: ", [&] {
    *model = new vaccel_backend_model{{instance->host, instance->device, *source}};
    return VACCEL_OK;
  });
}

vaccel_status model_run(vaccel_backend_model* model, vaccel_backend_run* run) {
  return guarded(run->error, VACCEL_INTERNAL, "LibTorch failed: ", [&] { return model->model.run(*run); });
}

vaccel_backend table() {
  // Without what torch.cpp answers by itself.
  vaccel_backend backend = vaccel::backends::model_table_of("torch", "");
  backend.create = create;
  backend.devices = devices;
  backend.model_open = model_open;
  backend.model_run = model_run;
  return backend;
}

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  static const vaccel_backend kBackend = table();
  return &kBackend;
}
