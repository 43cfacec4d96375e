// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <string_view>

namespace vaccel::cuda {
namespace {

// Less than this and blocks would be all overhead.
constexpr uint64_t kLeastBuffer = 4096;

uint64_t parse_bytes(const vaccel_backend_option& option, uint64_t least) {
  const std::string_view value = option.value;
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
  if (error != std::errc() || end != value.data() + value.size() || bytes < least) {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is %s; it must be a number of bytes, at least %llu",
           option.where, option.key, option.value, static_cast<unsigned long long>(least));
  }
  return bytes;
}

}  // namespace

Options parse_options(const vaccel_backend_option* options, size_t count) {
  Options parsed;
  for (size_t index = 0; index < count; ++index) {
    const vaccel_backend_option& option = options[index];
    const std::string_view key = option.key;
    if (key == "driver") {
      parsed.driver = option.value;
    } else if (key == "cublas") {
      parsed.cublas = option.value;
    } else if (key == "device") {
      parsed.device = option.value;
    } else if (key == "buffer_limit") {
      parsed.buffer_limit = parse_bytes(option, kLeastBuffer);
    } else if (key == "pool_limit") {
      parsed.pool_limit = parse_bytes(option, 0);
    } else {
      refuse(VACCEL_INVALID_ARGUMENT,
             "%s: unknown option '%s'; there are: driver, cublas, device, buffer_limit, pool_limit",
             option.where, option.key);
    }
  }
  return parsed;
}

}  // namespace vaccel::cuda
