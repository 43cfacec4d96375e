// SPDX-License-Identifier: Apache-2.0
//
// How a failure travels within this backend: as an exception, which guarded() ends. And what is left of
// LibTorch's exceptions, whose words run over many lines.
#pragma once

#include <exception>
#include <string>

#include "common/failure.h"
#include "vaccel/backend.h"

namespace vaccel::torch_backend {

using backends::Failure;
using backends::refuse;

/// The one line of an exception's text that says what was wrong: no stack of C++ functions, no listing of a script.
std::string line_of(const std::string& text);

/// Whether an exception's text says that memory ran out, on whatever device.
bool tells_of_memory(const std::string& text);

/// Runs `body`, which returns a vaccel_status; exceptions end here. What is LibTorch's own becomes
/// `status`, after `prefix`.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, vaccel_status status, const char* prefix,
                      Body body) {
  return backends::guarded(error, [&] {
    try {
      return body();
    } catch (const Failure&) {
      throw;
    } catch (const std::exception& exception) {
      const std::string words = exception.what();
      throw Failure{tells_of_memory(words) ? VACCEL_RESOURCE_EXHAUSTED : status, prefix + line_of(words)};
    }
  });
}

}  // namespace vaccel::torch_backend
