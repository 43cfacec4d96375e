// SPDX-License-Identifier: Apache-2.0
#include "jail/report.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace vaccel::jail {

bool Report::write(char kind, const char* step, const char* what) const {
  const char* error = ::strerrordesc_np(errno);
  char line[512];
  const int length =
      std::snprintf(line, sizeof line, "%c%s%s%s: %s\n", kind, step, what[0] == '\0' ? "" : " ", what,
                    error == nullptr ? "unknown error" : error);
  const size_t bytes = std::min(static_cast<size_t>(std::max(length, 0)), sizeof line - 1);
  (void)!::write(fd_, line, bytes);
  return false;
}

}  // namespace vaccel::jail
