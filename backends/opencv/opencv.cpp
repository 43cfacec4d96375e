// SPDX-License-Identifier: Apache-2.0
//
// The backend "opencv": ONNX models on OpenCV's DNN module. This file has the table and the border of the C interface;
// model.cpp runs models, onnx_file.cpp reads what OpenCV does not tell.
#include <memory>
#include <opencv2/core/utils/logger.hpp>
#include <string>
#include <string_view>

#include "common/table.h"
#include "failure.h"
#include "model.h"
#include "options.h"

using vaccel::opencv::Model;
using vaccel::opencv::Options;
using vaccel::opencv::refuse;

struct vaccel_backend_instance {
  Options options;
  std::string version;
  std::string devices;
};

struct vaccel_backend_model {
  Model model;
};

namespace {

// Runs `body`, which returns a vaccel_status; exceptions end here, OpenCV's own with what is left of their words.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, Body body) {
  return vaccel::backends::guarded(error, [&] {
    try {
      return body();
    } catch (const cv::Exception& exception) {
      refuse(exception.code == cv::Error::StsNoMem ? VACCEL_RESOURCE_EXHAUSTED : VACCEL_INTERNAL,
             "OpenCV failed: %s", vaccel::opencv::words_of(exception).c_str());
    }
  });
}

// OpenCV prints what goes wrong, besides throwing it. How much is one setting for the process.
void keep_opencv_quiet() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  cv::redirectError([](int, const char*, const char*, const char*, int, void*) { return 0; });
}

vaccel_status create(const vaccel_backend_host* /*host*/, const vaccel_backend_option* options,
                     size_t option_count, const vaccel_backend_error* error,
                     vaccel_backend_instance** instance) {
  return guarded(*error, [&] {
    const Options parsed = vaccel::opencv::parse_options(options, option_count);
    keep_opencv_quiet();
    auto made = std::make_unique<vaccel_backend_instance>(
        vaccel_backend_instance{parsed, cv::getVersionString(), vaccel::opencv::find_device(parsed)});
    if (parsed.threads > 0) cv::setNumThreads(parsed.threads);
    *instance = made.release();
    return VACCEL_OK;
  });
}

const char* version(vaccel_backend_instance* instance) {
  return instance->version.c_str();
}
const char* devices(vaccel_backend_instance* instance) {
  return instance->devices.c_str();
}

// Below ONNX Runtime, which knows all operators of all opsets.
int32_t score(vaccel_backend_instance* /*instance*/, const char* format) {
  return std::string_view(format) == "onnx" ? 40 : 0;
}

vaccel_status model_open(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                         const vaccel_backend_error* error, vaccel_backend_model** model) {
  return guarded(*error, [&] {
    *model = new vaccel_backend_model{Model(instance->options, *source)};
    return VACCEL_OK;
  });
}

vaccel_status model_run(vaccel_backend_model* model, vaccel_backend_run* run) {
  return guarded(run->error, [&] { return model->model.run(*run); });
}

// No VACCEL_BACKEND_COPIES_MODELS: further nets are read from the same bytes.
constexpr vaccel_backend table() {
  vaccel_backend backend =
      vaccel::backends::model_table_of("opencv", "Models in ONNX format, by OpenCV's DNN module");
  backend.create = create;
  backend.version = version;
  backend.devices = devices;
  backend.score = score;
  backend.model_open = model_open;
  backend.model_run = model_run;
  return backend;
}

constexpr vaccel_backend kBackend = table();

}  // namespace

const vaccel_backend* vaccel_backend_entry(void) {
  return &kBackend;
}
