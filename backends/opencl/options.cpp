// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string_view>

#include "common/option_values.h"

namespace vaccel::opencl {
namespace {

// Less than this and blocks would be all overhead.
constexpr uint64_t kLeastBuffer = 4096;

constexpr vaccel_dtype kTypes[] = {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16, VACCEL_BFLOAT16};

cl_device_type parse_type(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  if (value == "gpu") return CL_DEVICE_TYPE_GPU;
  if (value == "accelerator") return CL_DEVICE_TYPE_ACCELERATOR;
  if (value == "cpu") return CL_DEVICE_TYPE_CPU;
  refuse(VACCEL_INVALID_ARGUMENT, "%s: 'type' is \"%s\"; it must be gpu, accelerator or cpu", option.where,
         option.value);
}

vaccel_dtype parse_warm_up(const vaccel_backend_option& option) {
  for (const vaccel_dtype dtype : kTypes) {
    if (std::string_view(option.value) == type_name(dtype)) return dtype;
  }
  refuse(VACCEL_INVALID_ARGUMENT,
         "%s: 'warm_up' names \"%s\"; it must be an array of float32, float64, float16, bfloat16",
         option.where, option.value);
}

}  // namespace

const char* type_name(vaccel_dtype dtype) {
  switch (dtype) {
    case VACCEL_FLOAT32:
      return "float32";
    case VACCEL_FLOAT64:
      return "float64";
    case VACCEL_FLOAT16:
      return "float16";
    case VACCEL_BFLOAT16:
      return "bfloat16";
    default:
      return "";
  }
}

Options parse_options(const vaccel_backend_option* options, size_t count) {
  Options parsed;
  for (size_t index = 0; index < count; ++index) {
    const vaccel_backend_option& option = options[index];
    const std::string_view key = option.key;
    if (key == "library") {
      parsed.library = option.value;
    } else if (key == "clblast") {
      parsed.clblast = option.value;
    } else if (key == "platform") {
      parsed.platform = option.value;
    } else if (key == "device") {
      parsed.device = option.value;
    } else if (key == "type") {
      parsed.type = parse_type(option);
    } else if (key == "cache") {
      parsed.cache = option.value;
    } else if (key == "buffer_limit") {
      parsed.buffer_limit = backends::parse_bytes(option, kLeastBuffer);
    } else if (key == "warm_up" || key.starts_with("warm_up.")) {
      parsed.warm_up.push_back(parse_warm_up(option));
    } else {
      backends::refuse_unknown(option,
                               "library, clblast, platform, type, device, cache, warm_up, buffer_limit");
    }
  }
  return parsed;
}

}  // namespace vaccel::opencl
