// SPDX-License-Identifier: Apache-2.0
//
// How a failure travels within this backend: as an exception, which guarded() in opencv.cpp ends.
#pragma once

#include <string>

#include "vaccel/backend.h"

namespace vaccel::opencv {

/// A failure on its way to vaccel_backend_error.
struct Failure {
  vaccel_status status;
  std::string sentence;
};

[[noreturn, gnu::format(printf, 2, 3)]] void refuse(vaccel_status status, const char* format, ...);

}  // namespace vaccel::opencv
