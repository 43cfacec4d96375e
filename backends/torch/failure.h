// SPDX-License-Identifier: Apache-2.0
//
// How a failure travels within this backend: as an exception, which guarded() in torch.cpp ends. And what is left of
// LibTorch's exceptions, whose words run over many lines.
#pragma once

#include <string>

#include "vaccel/backend.h"

namespace vaccel::torch_backend {

/// A failure on its way to vaccel_backend_error.
struct Failure {
  vaccel_status status;
  std::string sentence;
};

[[noreturn, gnu::format(printf, 2, 3)]] void refuse(vaccel_status status, const char* format, ...);

/// The one line of an exception's text that says what was wrong: no stack of C++ functions, no listing of a script.
std::string line_of(const std::string& text);

/// Whether an exception's text says that memory ran out, on whatever device.
bool tells_of_memory(const std::string& text);

}  // namespace vaccel::torch_backend
