// SPDX-License-Identifier: Apache-2.0
//
// Exit codes of our tools; --help says them, and they are part of the tools' interface.
#pragma once

#include "vaccel/types.h"

namespace vaccel::tool {

constexpr int exit_code_of(vaccel_status code) {
  switch (code) {
    case VACCEL_OK:
      return 0;
    case VACCEL_INVALID_ARGUMENT:
      return 2;
    case VACCEL_NOT_FOUND:
      return 3;
    case VACCEL_UNAVAILABLE:
      return 4;
    case VACCEL_DEADLINE_EXCEEDED:
      return 5;
    case VACCEL_RESOURCE_EXHAUSTED:
      return 6;
    case VACCEL_PERMISSION_DENIED:
      return 7;
    case VACCEL_CANCELLED:
      return 8;
    case VACCEL_UNIMPLEMENTED:
      return 9;
    default:
      return 1;
  }
}

}  // namespace vaccel::tool
