// SPDX-License-Identifier: Apache-2.0
//
// An ONNX model in OpenCV's DNN: read from memory, described from the file itself, run. OpenCV copies inputs into the net
// and keeps results in it, so each is copied once.
#pragma once

#include <deque>
#include <opencv2/core.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/model_file.h"
#include "net_pool.h"
#include "onnx_file.h"
#include "options.h"
#include "vaccel/backend.h"

namespace vaccel::opencv {

/// The words of an exception of OpenCV, on one line and without where in its source it was thrown.
std::string words_of(const cv::Exception& exception);

class Model {
 public:
  /// Throws a Failure. INVALID_ARGUMENT: no ONNX model, a broken one, or one that OpenCV cannot run; UNIMPLEMENTED: its
  /// inputs or outputs are not float32 tensors.
  Model(const Options& options, const vaccel_backend_model_source& source);

  [[nodiscard]] const std::vector<vaccel_tensor_info>& inputs() const { return input_infos_; }
  [[nodiscard]] const std::vector<vaccel_tensor_info>& outputs() const { return output_infos_; }

  /// From many threads at once.
  vaccel_status run(vaccel_backend_run& run);

 private:
  bool copy_out(const cv::Mat& result, vaccel_backend_run& run, size_t index) const;

  backends::ModelBytes bytes_;
  OnnxFile file_;
  std::vector<vaccel_tensor_info> input_infos_;
  std::vector<vaccel_tensor_info> output_infos_;
  std::vector<cv::String> output_names_;
  NetPool nets_;
};

}  // namespace vaccel::opencv
