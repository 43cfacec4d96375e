// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/operator.h"

#include "runtime/memory.h"

namespace vaccel::runtime {

Status require_model(const RuntimeCall& call, const char* name) {
  if (call.model != nullptr) return {};
  return failure(VACCEL_INVALID_ARGUMENT, "operator '%s' works on a model, and the call names none", name);
}

Result<void*> request_output(const RuntimeCall& call, size_t index, const char* name, vaccel_dtype dtype,
                             std::span<const int64_t> shape, size_t bytes) {
  void* memory = call.output(call.output_context, index, name, dtype, static_cast<int32_t>(shape.size()),
                             shape.data(), bytes);
  if (memory != nullptr && call.memory_count > 0) {
    if (Status status = check_alignment(call, "result", name, dtype, memory); !status.ok())
      return Unexpected{std::move(status)};
  }
  if (memory != nullptr) return memory;
  return fail(VACCEL_RESOURCE_EXHAUSTED,
              "no memory for result '%s' of %zu bytes: the limit for results is reached", name, bytes);
}

}  // namespace vaccel::runtime
