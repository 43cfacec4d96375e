// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <charconv>
#include <string_view>

namespace vaccel::tflite {
namespace {

constexpr int kMostThreads = 1024;
constexpr int kMostInterpreters = 1024;
constexpr size_t kMostDelegates = 16;

bool parse_boolean(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  if (value != "true" && value != "false") {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is %s; it must be true or false", option.where, option.key,
           option.value);
  }
  return value == "true";
}

int parse_number(const vaccel_backend_option& option, int most) {
  const std::string_view value = option.value;
  int number = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number < 0 || number > most) {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is %s; it must be an integer, 0 to %d", option.where,
           option.key, option.value, most);
  }
  return number;
}

// "delegates.0.device" -> delegate 0, key "device".
void parse_delegate(const vaccel_backend_option& option, std::vector<DelegateOptions>& delegates) {
  std::string_view rest = option.key;
  rest.remove_prefix(std::string_view("delegates.").size());
  size_t index = kMostDelegates;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (error != std::errc() || index >= kMostDelegates || rest.size() < 2 || rest.front() != '.') {
    refuse(VACCEL_INVALID_ARGUMENT,
           "%s: 'delegates' must be an array of at most %zu tables: [{ library = \"...\" }]", option.where,
           kMostDelegates);
  }
  const std::string key(rest.substr(1));
  if (delegates.size() <= index) delegates.resize(index + 1);
  DelegateOptions& delegate = delegates[index];
  if (key == "library") {
    delegate.library = option.value;
  } else if (key == "required") {
    delegate.required = parse_boolean(option);
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
      parsed.threads = parse_number(option, kMostThreads);
    } else if (key == "interpreters") {
      parsed.interpreters = parse_number(option, kMostInterpreters);
    } else if (key == "xnnpack") {
      parsed.xnnpack = parse_boolean(option);
    } else if (key.starts_with("delegates.")) {
      parse_delegate(option, parsed.delegates);
    } else {
      refuse(VACCEL_INVALID_ARGUMENT,
             "%s: unknown option '%s'; there are: library, threads, interpreters, xnnpack, delegates",
             option.where, option.key);
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
