// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <cstring>
#include <string_view>

#include "failure.h"

namespace vaccel::torch_backend {
namespace {

constexpr int kMostThreads = 1024;
constexpr int kMostDevices = 64;

// All of `text` as a number, 0 to `most`.
bool parse_number(std::string_view text, int most, int& value) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stopped == end && value >= 0 && value <= most;
}

bool is_device(std::string_view text) {
  constexpr std::string_view kNumbered = "cuda:";
  int number = 0;
  return text == "auto" || text == "cpu" || text == "cuda" ||
         (text.substr(0, kNumbered.size()) == kNumbered &&
          parse_number(text.substr(kNumbered.size()), kMostDevices - 1, number));
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
      if (!parse_number(option.value, kMostThreads, parsed.threads)) {
        refuse(VACCEL_INVALID_ARGUMENT, "%s: 'threads' is %s; it must be an integer, 0 to %d", option.where,
               option.value, kMostThreads);
      }
    } else {
      refuse(VACCEL_INVALID_ARGUMENT, "%s: unknown option '%s'; there are: device, threads", option.where,
             option.key);
    }
  }
  return parsed;
}

}  // namespace vaccel::torch_backend
