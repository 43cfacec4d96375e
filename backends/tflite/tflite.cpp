// SPDX-License-Identifier: Apache-2.0
//
// The backend "tflite": models of TensorFlow Lite, on the CPU and on whatever delegates the configuration names.
// This file has the table and the border of the C interface; model.cpp runs models, options.cpp has the
// configuration.
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "api.h"
#include "delegates.h"
#include "model.h"
#include "options.h"

using vaccel::tflite::Api;
using vaccel::tflite::Delegates;
using vaccel::tflite::Failure;
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

// Runs `body`, which returns a vaccel_status; exceptions end here.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, Body body) {
  try {
    return body();
  } catch (const Failure& failure) {
    return error.fail(error.context, failure.status, failure.sentence.c_str());
  } catch (const std::bad_alloc&) {
    return error.fail(error.context, VACCEL_RESOURCE_EXHAUSTED, "no memory");
  } catch (const std::exception& exception) {
    return error.fail(error.context, VACCEL_INTERNAL, exception.what());
  }
}

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

void destroy(vaccel_backend_instance* instance) {
  delete instance;
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

void model_metadata(vaccel_backend_model* model, const vaccel_metadata** pairs, size_t* count) {
  *pairs = model->model.metadata().data();
  *count = model->model.metadata().size();
}

vaccel_status model_run(vaccel_backend_model* model, vaccel_backend_run* run) {
  return guarded(run->error, [&] { return model->model.run(*run); });
}

constexpr vaccel_backend table() {
  vaccel_backend backend{};
  backend.size = sizeof backend;
  backend.abi_version = VACCEL_BACKEND_ABI;
  backend.name = "tflite";
  backend.description = "Models of TensorFlow Lite, by TensorFlow Lite";
  backend.create = create;
  backend.destroy = destroy;
  backend.version = version;
  backend.devices = devices;
  backend.score = score;
  backend.model_open = model_open;
  backend.model_close = model_close;
  backend.model_describe = model_describe;
  backend.model_run = model_run;
  backend.model_metadata = model_metadata;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
