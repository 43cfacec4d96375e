// SPDX-License-Identifier: Apache-2.0
//
// How the benchmark fails: what cannot be measured is thrown, as a sentence, and ends its section; main prints it.
#pragma once

#include <stdexcept>
#include <string>

#include "vaccel/vaccel.h"

namespace vaccel::bench {

/// Throws a formatted sentence.
[[noreturn, gnu::format(printf, 1, 2)]] void give_up(const char* format, ...);

/// Throws what the library says when a call of it failed.
void check(vaccel_status status, const char* what);

}  // namespace vaccel::bench
