// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string_view>

#include "common/option_values.h"

namespace vaccel::cuda {
namespace {

// Less than this and blocks would be all overhead.
constexpr uint64_t kLeastBuffer = 4096;

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
      parsed.buffer_limit = backends::parse_bytes(option, kLeastBuffer);
    } else if (key == "pool_limit") {
      parsed.pool_limit = backends::parse_bytes(option, 0);
    } else {
      backends::refuse_unknown(option, "driver, cublas, device, buffer_limit, pool_limit");
    }
  }
  return parsed;
}

}  // namespace vaccel::cuda
