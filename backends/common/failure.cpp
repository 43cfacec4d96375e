// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <cstdarg>
#include <cstdio>

namespace vaccel::backends {

void refuse(vaccel_status status, const char* format, ...) {
  char sentence[2048];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  throw Failure{status, sentence};
}

std::string printable(std::string_view name) {
  constexpr size_t kLongestName = 80;
  std::string text(name.substr(0, kLongestName));
  for (char& character : text) {
    if (static_cast<unsigned char>(character) < 0x20 || character == 0x7f) character = '?';
  }
  return name.size() > kLongestName ? text + "..." : text;
}

}  // namespace vaccel::backends
