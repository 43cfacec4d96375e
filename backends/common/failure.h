// SPDX-License-Identifier: Apache-2.0
//
// How a failure travels within a backend: as an exception, which guarded() ends at the border of the C interface. Each
// backend compiles this for itself, with the standard that its framework's headers want: C++17 is enough.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#include "vaccel/backend.h"

namespace vaccel::backends {

/// A failure on its way to vaccel_backend_error.
struct Failure {
  vaccel_status status;
  std::string sentence;
};

/// Throws a Failure with a formatted sentence.
[[noreturn, gnu::format(printf, 2, 3)]] void refuse(vaccel_status status, const char* format, ...);

/// A name out of a model's file, as a sentence may have it: at most 80 bytes, and no control characters.
std::string printable(std::string_view name);

/// Runs `body`, which returns a vaccel_status or, if it can only succeed or throw, nothing; exceptions end here.
template <typename Body>
vaccel_status guarded(const vaccel_backend_error& error, Body body) {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return VACCEL_OK;
    } else {
      return body();
    }
  } catch (const Failure& failure) {
    return error.fail(error.context, failure.status, failure.sentence.c_str());
  } catch (const std::bad_alloc&) {
    return error.fail(error.context, VACCEL_RESOURCE_EXHAUSTED, "no memory");
  } catch (const std::exception& exception) {
    return error.fail(error.context, VACCEL_INTERNAL, exception.what());
  }
}

}  // namespace vaccel::backends
