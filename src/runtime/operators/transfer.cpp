// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/transfer.h"

#include "core/tensor.h"
#include "runtime/linalg/arguments.h"
#include "runtime/memory.h"

namespace vaccel::runtime {
namespace {

Status check_arguments(const RuntimeCall& call) {
  if (call.model != nullptr)
    return failure(VACCEL_INVALID_ARGUMENT, "operator 'transfer' works on no model, and the call names one");
  if (call.attribute_count > 0)
    return failure(VACCEL_INVALID_ARGUMENT, "operator 'transfer' has no attribute '%s'; it has none",
                   printable(call.attributes[0].name).c_str());
  if (call.input_count != 1)
    return failure(VACCEL_INVALID_ARGUMENT, "%zu inputs are given; operator 'transfer' has one, 'data'",
                   call.input_count);
  if (call.inputs[0].dtype == VACCEL_STRING)
    return failure(VACCEL_INVALID_ARGUMENT, "operator 'transfer' takes numbers, and 'data' are strings");
  return {};
}

}  // namespace

OperatorFacts TransferOperator::facts() const {
  return {.name = name(),
          .description = "Copies bytes to a device buffer, from one, or from one to another",
          .parts = {{VACCEL_OPERATOR_INPUT, "data", "any but string", ""},
                    {VACCEL_OPERATOR_OUTPUT, "data", "as the input", ""}},
          .offers = {}};
}

Status TransferOperator::run(RuntimeCall& call) const {
  if (Status status = check_arguments(call); !status.ok()) return status;
  const vaccel_tensor& data = call.inputs[0];
  const auto dense = dense_bytes(data.dtype, shape_of(data));
  if (!dense) return dense.error();
  const auto bytes = static_cast<size_t>(*dense);
  const auto place =
      request_output(call, 0, "data", static_cast<vaccel_dtype>(data.dtype), shape_of(data), bytes);
  if (!place) return place.error();
  return linalg::start_from(call, {*place, bytes}, "data", data.data, "data");
}

}  // namespace vaccel::runtime
