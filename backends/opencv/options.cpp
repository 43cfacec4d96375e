// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <opencv2/core/ocl.hpp>
#include <opencv2/dnn.hpp>
#include <string_view>

#include "common/option_values.h"
#include "failure.h"

namespace vaccel::opencv {
namespace {

struct NamedTarget {
  const char* name;
  int target;
};
constexpr NamedTarget kTargets[] = {{"cpu", cv::dnn::DNN_TARGET_CPU},
                                    {"opencl", cv::dnn::DNN_TARGET_OPENCL},
                                    {"opencl-fp16", cv::dnn::DNN_TARGET_OPENCL_FP16}};

int parse_target(const vaccel_backend_option& option) {
  for (const NamedTarget& one : kTargets) {
    if (std::string_view(one.name) == option.value) return one.target;
  }
  refuse(VACCEL_INVALID_ARGUMENT, "%s: 'target' is \"%s\"; it must be cpu, opencl or opencl-fp16",
         option.where, option.value);
}

}  // namespace

Options parse_options(const vaccel_backend_option* options, size_t count) {
  Options parsed{cv::dnn::DNN_TARGET_CPU};
  for (size_t index = 0; index < count; ++index) {
    const vaccel_backend_option& option = options[index];
    const std::string_view key = option.key;
    if (key == "target") {
      parsed.target = parse_target(option);
    } else if (key == "threads") {
      parsed.threads = backends::parse_integer(option, 0, backends::kMostThreads);
    } else if (key == "instances") {
      parsed.instances = backends::parse_integer(option, 1, 64);
    } else {
      backends::refuse_unknown(option, "target, threads, instances");
    }
  }
  return parsed;
}

std::string find_device(const Options& options) {
  if (options.target == cv::dnn::DNN_TARGET_CPU) return "CPU";
  if (!cv::ocl::haveOpenCL() || !cv::ocl::useOpenCL()) {
    refuse(
        VACCEL_UNAVAILABLE,
        "[backend.opencv] target is OpenCL, and OpenCV finds no OpenCL device; target = \"cpu\" needs none");
  }
  // On any other device OpenCV's DNN would compute on the CPU instead, without a word.
  const cv::ocl::Device& device = cv::ocl::Device::getDefault();
  constexpr int kGpu = cv::ocl::Device::TYPE_GPU;
  if ((device.type() & kGpu) == 0) {
    refuse(VACCEL_UNAVAILABLE,
           "[backend.opencv] target is OpenCL, and the only device, \"%s\", is no GPU, which is all that "
           "OpenCV's DNN "
           "takes; use target = \"cpu\"",
           device.name().c_str());
  }
  return "OpenCL: " + device.name();
}

}  // namespace vaccel::opencv
