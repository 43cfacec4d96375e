// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <cstdarg>
#include <cstdio>

namespace vaccel::opencv {

void refuse(vaccel_status status, const char* format, ...) {
  char sentence[2048];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  throw Failure{status, sentence};
}

}  // namespace vaccel::opencv
