// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <array>
#include <cstdarg>
#include <cstdio>

namespace vaccel::bench {

void give_up(const char* format, ...) {
  std::array<char, 2048> sentence;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence.data(), sentence.size(), format, arguments);
  va_end(arguments);
  throw std::runtime_error(sentence.data());
}

void check(vaccel_status status, const char* what) {
  if (status == VACCEL_OK) return;
  give_up("%s: %s: %s", what, vaccel_status_name(status), vaccel_error_message());
}

}  // namespace vaccel::bench
