// SPDX-License-Identifier: Apache-2.0
//
// The backend "onnxruntime": models in ONNX format, on whatever execution providers the configuration names.
// This file has the table and the border of the C interface; model.cpp runs models, options.cpp has the
// configuration.
#include <memory>
#include <string>

#include "api.h"
#include "common/table.h"
#include "environment.h"
#include "model.h"
#include "options.h"

using vaccel::backends::guarded;
using vaccel::onnxruntime::Api;
using vaccel::onnxruntime::Environment;
using vaccel::onnxruntime::Model;
using vaccel::onnxruntime::Options;
using vaccel::onnxruntime::SessionSetup;

struct vaccel_backend_instance {
  Api api;
  Environment environment;
  SessionSetup setup;

  vaccel_backend_instance(const vaccel_backend_host* host, const Options& options)
      : api(Api::load(options.library)),
        environment(api, host),
        setup(vaccel::onnxruntime::make_session_setup(api, environment.get(), options)) {}
};

struct vaccel_backend_model {
  vaccel_backend_instance* instance;
  Model model;
};

namespace {

vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, [&] {
    const Options parsed = vaccel::onnxruntime::parse_options(options, option_count);
    auto made = std::make_unique<vaccel_backend_instance>(host, parsed);
    for (const std::string& warning : made->setup.warnings)
      host->log(host->context, 2, warning.c_str());
    *instance = made.release();
    return VACCEL_OK;
  });
}

const char* version(vaccel_backend_instance* instance) {
  return instance->api.version().c_str();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->setup.devices.c_str();
}

int32_t score(vaccel_backend_instance* /*instance*/, const char* format) {
  return std::string_view(format) == "onnx" ? 90 : 0;
}

vaccel_status model_open(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                         const vaccel_backend_error* error, vaccel_backend_model** model) {
  return guarded(*error, [&] {
    *model = new vaccel_backend_model{
        instance, Model(instance->api, instance->environment.get(), instance->setup.options.get(), *source)};
    return VACCEL_OK;
  });
}

void model_metadata(vaccel_backend_model* model, const vaccel_metadata** pairs, size_t* count) {
  *pairs = model->model.metadata().data();
  *count = model->model.metadata().size();
}

vaccel_status model_run(vaccel_backend_model* model, vaccel_backend_run* run) {
  return guarded(run->error, [&] { return model->model.run(*run); });
}

constexpr vaccel_backend table() {
  vaccel_backend backend =
      vaccel::backends::model_table_of("onnxruntime", "Models in ONNX format, by ONNX Runtime");
  backend.flags = VACCEL_BACKEND_COPIES_MODELS;
  backend.create = create;
  backend.version = version;
  backend.devices = devices;
  backend.score = score;
  backend.model_open = model_open;
  backend.model_run = model_run;
  backend.model_metadata = model_metadata;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
