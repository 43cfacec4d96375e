// SPDX-License-Identifier: Apache-2.0
//
// How a failure travels within this backend: as an exception, which guarded() ends. And what is left of
// LibTorch's exceptions, whose words run over many lines.
#pragma once

#include <exception>
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

/// Runs `body`, which returns a vaccel_status; exceptions end here. What is LibTorch's own becomes
/// `status`, after `prefix`.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, vaccel_status status, const char* prefix,
                      Body body) {
  try {
    return body();
  } catch (const Failure& failure) {
    return error.fail(error.context, failure.status, failure.sentence.c_str());
  } catch (const std::exception& exception) {
    const std::string words = exception.what();
    return error.fail(error.context, tells_of_memory(words) ? VACCEL_RESOURCE_EXHAUSTED : status,
                      (prefix + line_of(words)).c_str());
  }
}

}  // namespace vaccel::torch_backend
