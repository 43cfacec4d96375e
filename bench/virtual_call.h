// SPDX-License-Identifier: Apache-2.0
//
// The floor for a call in the same process: a virtual call through a pointer to something that the compiler of the
// caller cannot see.
#pragma once

#include <cstddef>
#include <memory>

#include "vaccel/vaccel.h"

namespace vaccel::bench {

class Operation {
 public:
  virtual ~Operation() = default;
  virtual vaccel_status run(const vaccel_tensor* inputs, size_t input_count) = 0;
};

std::unique_ptr<Operation> make_operation();

}  // namespace vaccel::bench
