// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/echo.h"

#include <cstring>

#include "core/tensor.h"

namespace vaccel::runtime {

OperatorFacts EchoOperator::facts() const {
  return {.name = name(),
          .description = "Returns its inputs; to see whether, and how fast, calls are answered",
          .parts = {{VACCEL_OPERATOR_INPUT, "...", "any", ""},
                    {VACCEL_OPERATOR_OUTPUT, "...", "as the inputs", ""}},
          .offers = {}};
}

Status EchoOperator::run(RuntimeCall& call) const {
  for (size_t index = 0; index < call.input_count; ++index) {
    const vaccel_tensor& input = call.inputs[index];
    const auto dense = input.dtype == VACCEL_STRING ? Result<uint64_t>{input.bytes}
                                                    : dense_bytes(input.dtype, shape_of(input));
    if (!dense) return dense.error();
    const auto bytes = static_cast<size_t>(*dense);
    const auto memory = request_output(call, index, input.name != nullptr ? input.name : "",
                                       static_cast<vaccel_dtype>(input.dtype), shape_of(input), bytes);
    if (!memory) return memory.error();
    if (bytes > 0) std::memcpy(*memory, input.data, bytes);
  }
  return {};
}

}  // namespace vaccel::runtime
