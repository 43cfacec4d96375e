// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <string_view>

namespace vaccel::opencl {
namespace {

// Less than this and blocks would be all overhead.
constexpr size_t kLeastBuffer = 4096;

constexpr vaccel_dtype kTypes[] = {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16, VACCEL_BFLOAT16};

cl_device_type parse_type(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  if (value == "gpu") return CL_DEVICE_TYPE_GPU;
  if (value == "accelerator") return CL_DEVICE_TYPE_ACCELERATOR;
  if (value == "cpu") return CL_DEVICE_TYPE_CPU;
  refuse(VACCEL_INVALID_ARGUMENT, "%s: 'type' is \"%s\"; it must be gpu, accelerator or cpu", option.where,
         option.value);
}

size_t parse_limit(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  size_t bytes = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
  if (error != std::errc() || end != value.data() + value.size() || bytes < kLeastBuffer) {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: 'buffer_limit' is %s; it must be a number of bytes, at least %zu",
           option.where, option.value, kLeastBuffer);
  }
  return bytes;
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
      parsed.buffer_limit = parse_limit(option);
    } else if (key == "warm_up" || key.starts_with("warm_up.")) {
      parsed.warm_up.push_back(parse_warm_up(option));
    } else {
      refuse(VACCEL_INVALID_ARGUMENT,
             "%s: unknown option '%s'; there are: library, clblast, platform, type, device, cache, warm_up, "
             "buffer_limit",
             option.where, option.key);
    }
  }
  return parsed;
}

}  // namespace vaccel::opencl
