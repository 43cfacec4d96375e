// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <string_view>

#include "common/option_values.h"
#include "failure.h"

namespace vaccel::torch_backend {
namespace {

constexpr int kMostDevices = 64;

bool is_device(std::string_view text) {
  if (text == "auto" || text == "cpu" || text == "cuda") return true;
  constexpr std::string_view kNumbered = "cuda:";
  if (text.substr(0, kNumbered.size()) != kNumbered) return false;
  int number = -1;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + kNumbered.size(), end, number);
  return error == std::errc() && stopped == end && number >= 0 && number < kMostDevices;
}

}  // namespace

Options parse_options(const vaccel_backend_option* options, size_t count) {
  Options parsed;
  for (size_t index = 0; index < count; ++index) {
    const vaccel_backend_option& option = options[index];
    const std::string_view key = option.key;
    if (key == "device") {
      if (!is_device(option.value)) {
        refuse(VACCEL_INVALID_ARGUMENT, "%s: 'device' is \"%s\"; it must be auto, cpu, cuda or cuda:N",
               option.where, option.value);
      }
      parsed.device = option.value;
    } else if (key == "threads") {
      parsed.threads = backends::parse_integer(option, 0, backends::kMostThreads);
    } else {
      backends::refuse_unknown(option, "device, threads");
    }
  }
  return parsed;
}

}  // namespace vaccel::torch_backend
