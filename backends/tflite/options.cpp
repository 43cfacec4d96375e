// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <string_view>

#include "common/option_values.h"

namespace vaccel::tflite {
namespace {

constexpr int kMostInterpreters = 1024;
constexpr size_t kMostDelegates = 16;

// "delegates.0.device" -> delegate 0, key "device".
void parse_delegate(const vaccel_backend_option& option, std::vector<DelegateOptions>& delegates) {
  const auto [index, key] = backends::parse_element_key(option, "delegates", kMostDelegates, "library");
  if (delegates.size() <= index) delegates.resize(index + 1);
  DelegateOptions& delegate = delegates[index];
  if (key == "library") {
    delegate.library = option.value;
  } else if (key == "required") {
    delegate.required = backends::parse_boolean(option);
  } else {
    delegate.values.emplace_back(key, option.value);
  }
}

}  // namespace

Options parse_options(const vaccel_backend_option* options, size_t count) {
  Options parsed;
  for (size_t index = 0; index < count; ++index) {
    const vaccel_backend_option& option = options[index];
    const std::string_view key = option.key;
    if (key == "library") {
      parsed.library = option.value;
    } else if (key == "threads") {
      parsed.threads = backends::parse_integer(option, 0, backends::kMostThreads);
    } else if (key == "interpreters") {
      parsed.interpreters = backends::parse_integer(option, 0, kMostInterpreters);
    } else if (key == "xnnpack") {
      parsed.xnnpack = backends::parse_boolean(option);
    } else if (key.starts_with("delegates.")) {
      parse_delegate(option, parsed.delegates);
    } else {
      backends::refuse_unknown(option, "library, threads, interpreters, xnnpack, delegates");
    }
  }
  for (size_t index = 0; index < parsed.delegates.size(); ++index) {
    if (parsed.delegates[index].library.empty()) {
      refuse(VACCEL_INVALID_ARGUMENT, "delegate %zu of [backend.tflite] has no library", index);
    }
  }
  return parsed;
}

}  // namespace vaccel::tflite
