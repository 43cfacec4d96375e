// SPDX-License-Identifier: Apache-2.0
//
// The backend "tflite": models of TensorFlow Lite, on the CPU and on whatever delegates the configuration names.
// This file has the table and the border of the C interface; model.cpp runs models, options.cpp has the
// configuration.
#include <memory>
#include <string>
#include <string_view>

#include "api.h"
#include "common/table.h"
#include "delegates.h"
#include "model.h"
#include "options.h"

using vaccel::backends::guarded;
using vaccel::tflite::Api;
using vaccel::tflite::Delegates;
using vaccel::tflite::Model;
using vaccel::tflite::Options;

struct vaccel_backend_instance {
  Options options;
  Api api;
  Delegates delegates;

  explicit vaccel_backend_instance(const Options& parsed)
      : options(parsed), api(Api::load(options.library)), delegates(api, options) {}
};

struct vaccel_backend_model {
  Model model;
};

namespace {

vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, [&] {
    auto made =
        std::make_unique<vaccel_backend_instance>(vaccel::tflite::parse_options(options, option_count));
    for (const std::string& warning : made->delegates.warnings())
      host->log(host->context, 2, warning.c_str());
    *instance = made.release();
    return VACCEL_OK;
  });
}

const char* version(vaccel_backend_instance* instance) {
  return instance->api.version_text.c_str();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->delegates.devices().c_str();
}

int32_t score(vaccel_backend_instance* /*instance*/, const char* format) {
  return std::string_view(format) == "tflite" ? 90 : 0;
}

vaccel_status model_open(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                         const vaccel_backend_error* error, vaccel_backend_model** model) {
  return guarded(*error, [&] {
    *model = new vaccel_backend_model{Model(instance->api, instance->delegates, instance->options, *source)};
    return VACCEL_OK;
  });
}

void model_quantisation(vaccel_backend_model* model, const vaccel_quantisation** inputs,
                        const vaccel_quantisation** outputs) {
  *inputs = model->model.input_quantisation().data();
  *outputs = model->model.output_quantisation().data();
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
      vaccel::backends::model_table_of("tflite", "Models of TensorFlow Lite, by TensorFlow Lite");
  backend.create = create;
  backend.version = version;
  backend.devices = devices;
  backend.score = score;
  backend.model_open = model_open;
  backend.model_run = model_run;
  backend.model_quantisation = model_quantisation;
  backend.model_metadata = model_metadata;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
