// SPDX-License-Identifier: Apache-2.0
#include "option_values.h"

#include <charconv>
#include <cstring>
#include <string_view>

#include "failure.h"

namespace vaccel::backends {
namespace {

// Whether all of `text` is a number.
template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stopped == end;
}

}  // namespace

int parse_integer(const vaccel_backend_option& option, int least, int most) {
  int number = 0;
  if (!read_number(option.value, number) || number < least || number > most) {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is %s; it must be an integer, %d to %d", option.where,
           option.key, option.value, least, most);
  }
  return number;
}

bool parse_boolean(const vaccel_backend_option& option) {
  const std::string_view value = option.value;
  if (value != "true" && value != "false") {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is %s; it must be true or false", option.where, option.key,
           option.value);
  }
  return value == "true";
}

uint64_t parse_bytes(const vaccel_backend_option& option, uint64_t least) {
  uint64_t bytes = 0;
  if (!read_number(option.value, bytes) || bytes < least) {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' is %s; it must be a number of bytes, at least %llu",
           option.where, option.key, option.value, static_cast<unsigned long long>(least));
  }
  return bytes;
}

ElementKey parse_element_key(const vaccel_backend_option& option, const char* list, size_t most,
                             const char* first_key) {
  std::string_view rest = option.key;
  rest.remove_prefix(std::strlen(list) + 1);
  size_t index = most;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (error != std::errc() || index >= most || rest.size() < 2 || rest.front() != '.') {
    refuse(VACCEL_INVALID_ARGUMENT, "%s: '%s' must be an array of at most %zu tables: [{ %s = \"...\" }]",
           option.where, list, most, first_key);
  }
  return {index, std::string(rest.substr(1))};
}

void refuse_unknown(const vaccel_backend_option& option, const char* known) {
  refuse(VACCEL_INVALID_ARGUMENT, "%s: unknown option '%s'; there are: %s", option.where, option.key, known);
}

}  // namespace vaccel::backends
