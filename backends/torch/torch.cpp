// SPDX-License-Identifier: Apache-2.0
//
// The backend "torch": TorchScript modules on LibTorch. This file has the table and the border of the C interface; model.cpp
// runs models, trust.cpp looks at them before, signature.cpp tells what they take and return.
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "failure.h"
#include "framework.h"
#include "model.h"
#include "options.h"

using vaccel::torch_backend::Failure;
using vaccel::torch_backend::Model;
using vaccel::torch_backend::Options;

struct vaccel_backend_instance {
  const vaccel_backend_host* host;
  std::string device;
  std::string version;
  std::string devices;
};

struct vaccel_backend_model {
  Model model;
};

namespace {

// Runs `body`, which returns a vaccel_status; exceptions end here. What is LibTorch's own becomes `status`, after `prefix`.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, vaccel_status status, const char* prefix,
                      Body body) {
  try {
    return body();
  } catch (const Failure& failure) {
    return error.fail(error.context, failure.status, failure.sentence.c_str());
  } catch (const std::exception& exception) {
    const std::string words = exception.what();
    return error.fail(error.context,
                      vaccel::torch_backend::tells_of_memory(words) ? VACCEL_RESOURCE_EXHAUSTED : status,
                      (prefix + vaccel::torch_backend::line_of(words)).c_str());
  }
}

vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, VACCEL_UNAVAILABLE, "LibTorch failed: ", [&] {
    const Options parsed = vaccel::torch_backend::parse_options(options, option_count);
    const std::string device = vaccel::torch_backend::choose_device(parsed);
    vaccel::torch_backend::set_up_framework(parsed);
    *instance = new vaccel_backend_instance{host, device, vaccel::torch_backend::framework_version(),
                                            vaccel::torch_backend::device_text(device)};
    return VACCEL_OK;
  });
}

void destroy(vaccel_backend_instance* instance) {
  delete instance;
}
const char* version(vaccel_backend_instance* instance) {
  return instance->version.c_str();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->devices.c_str();
}

int32_t score(vaccel_backend_instance* /*instance*/, const char* format) {
  return std::string(format) == "torchscript" ? 80 : 0;
}

vaccel_status model_open(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                         const vaccel_backend_error* error, vaccel_backend_model** model) {
  return guarded(*error, VACCEL_INVALID_ARGUMENT, "LibTorch refuses the model: ", [&] {
    *model = new vaccel_backend_model{{instance->host, instance->device, *source}};
    return VACCEL_OK;
  });
}

void model_close(vaccel_backend_model* model) {
  delete model;
}

void model_describe(vaccel_backend_model* model, const vaccel_tensor_info** inputs, size_t* input_count,
                    const vaccel_tensor_info** outputs, size_t* output_count) {
  *inputs = model->model.inputs().data();
  *input_count = model->model.inputs().size();
  *outputs = model->model.outputs().data();
  *output_count = model->model.outputs().size();
}

vaccel_status model_run(vaccel_backend_model* model, vaccel_backend_run* run) {
  return guarded(run->error, VACCEL_INTERNAL, "LibTorch failed: ", [&] { return model->model.run(*run); });
}

vaccel_backend table() {
  vaccel_backend backend{};
  backend.size = sizeof backend;
  backend.abi_version = VACCEL_BACKEND_ABI;
  backend.flags = VACCEL_BACKEND_COPIES_MODELS;
  backend.name = "torch";
  backend.description = "Models in TorchScript, by LibTorch";
  backend.create = create;
  backend.destroy = destroy;
  backend.version = version;
  backend.devices = devices;
  backend.score = score;
  backend.model_open = model_open;
  backend.model_close = model_close;
  backend.model_describe = model_describe;
  backend.model_run = model_run;
  return backend;
}

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  static const vaccel_backend kBackend = table();
  return &kBackend;
}
