// SPDX-License-Identifier: Apache-2.0
#include "runtime/linalg/vectors.h"

#include <algorithm>

#include "core/tensor.h"

namespace vaccel::runtime::linalg {
namespace {

constexpr const char* kOne[] = {"x"};
constexpr const char* kTwo[] = {"x", "y"};
constexpr const char* kAlpha[] = {"alpha"};

constexpr VectorOperation kOperations[] = {
    {VACCEL_LINALG_AXPY, {"axpy", kTwo, 2, kAlpha}, "y", false, true, 1, "y = alpha x + y"},
    {VACCEL_LINALG_SCAL, {"scal", kOne, 1, kAlpha}, "x", false, true, 0, "x = alpha x"},
    {VACCEL_LINALG_DOT, {"dot", kTwo, 2, {}}, "result", true, true, -1, "result = x . y"},
    {VACCEL_LINALG_NRM2, {"nrm2", kOne, 1, {}}, "result", true, true, -1, "result = the Euclidean norm of x"},
    {VACCEL_LINALG_ADD, {"add", kTwo, 2, {}}, "result", false, true, -1, "result = x + y"},
    {VACCEL_LINALG_COPY, {"copy", kOne, 1, {}}, "result", false, true, -1, "result = x"},
    {VACCEL_LINALG_MIN,
     {"min", kOne, 1, {}},
     "result",
     true,
     false,
     -1,
     "result = the least element of x; NaN if there is one"},
    {VACCEL_LINALG_MAX,
     {"max", kOne, 1, {}},
     "result",
     true,
     false,
     -1,
     "result = the greatest element of x; NaN if there is one"},
};

Status check_shapes(const Arguments& arguments, const VectorOperation& operation, uint64_t count) {
  const char* name = operation.signature.name;
  const auto shape = shape_of(*arguments.input(0));
  if (count == 0 && !operation.is_empty_allowed) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "input 'x' of operator '%s' has shape %s: it is empty, and has no %s", name,
                   shape_text(shape).c_str(), name);
  }
  if (operation.signature.inputs.size() < 2) return {};
  const auto other = shape_of(*arguments.input(1));
  if (std::equal(shape.begin(), shape.end(), other.begin(), other.end())) return {};
  return failure(VACCEL_INVALID_ARGUMENT,
                 "input 'y' of operator '%s' has shape %s and input 'x' %s; they must have one shape", name,
                 shape_text(other).c_str(), shape_text(shape).c_str());
}

// What is read while the result is written lies elsewhere; what the result begins as is there.
Status prepare(const RuntimeCall& call, const Arguments& arguments, const VectorOperation& operation,
               const ResultMemory& result, size_t input_bytes) {
  for (size_t index = 0; index < operation.signature.inputs.size(); ++index) {
    const char* name = operation.signature.inputs[index];
    const void* data = arguments.input(index)->data;
    const bool begins_here = static_cast<int>(index) == operation.begins_as;
    Status status = begins_here ? start_from(call, result, operation.result, data, name)
                                : check_apart(result, operation.result, data, input_bytes, name);
    if (!status.ok()) return status;
  }
  return {};
}

}  // namespace

std::span<const VectorOperation> vector_operations() {
  return kOperations;
}

OperatorFacts VectorOperator::facts() const {
  OperatorFacts facts{.name = name(),
                      .description = operation_.meaning,
                      .parts = {},
                      .offers = backends_.offers(operation_.operation)};
  for (const char* input : operation_.signature.inputs) {
    const bool is_first = facts.parts.empty();
    facts.parts.push_back({VACCEL_OPERATOR_INPUT, input, is_first ? kElementsOfOneType : "the same",
                           is_first ? "any shape; a vector of its elements" : "of the same shape"});
  }
  facts.parts.push_back({VACCEL_OPERATOR_OUTPUT, operation_.result, "the same",
                         operation_.gives_number ? "[], one element" : "of the same shape"});
  for (const char* attribute : operation_.signature.attributes)
    facts.parts.push_back({VACCEL_OPERATOR_ATTRIBUTE, attribute, "number", "default: 1"});
  return facts;
}

Status VectorOperator::run(RuntimeCall& call) const {
  const auto arguments = Arguments::read(call, operation_.signature);
  if (!arguments) return arguments.error();
  const auto alpha = arguments->real("alpha", 1);
  if (!alpha) return alpha.error();
  const vaccel_tensor& x = *arguments->input(0);
  const auto count = element_count(shape_of(x));
  if (!count) return count.error();
  if (Status status = check_shapes(*arguments, operation_, *count); !status.ok()) return status;
  const vaccel_dtype dtype = arguments->dtype();
  const auto chosen = backends_.choose(call.backend, operation_.operation, name().c_str(), dtype);
  if (!chosen) return chosen.error();
  const size_t input_bytes = static_cast<size_t>(*count) * element_size(dtype);
  const size_t bytes = operation_.gives_number ? element_size(dtype) : input_bytes;
  const auto shape = operation_.gives_number ? std::span<const int64_t>{} : shape_of(x);
  const auto memory = request_output(call, 0, operation_.result, dtype, shape, bytes);
  if (!memory) return memory.error();
  if (bytes == 0) return {};

  const ResultMemory result{*memory, bytes};
  if (Status status = prepare(call, *arguments, operation_, result, input_bytes); !status.ok()) return status;
  vaccel_backend_vectors problem{};
  problem.size = sizeof problem;
  problem.dtype = dtype;
  problem.n = static_cast<int64_t>(*count);
  problem.alpha = *alpha;
  problem.x = x.data;
  problem.result = result.data;
  if (operation_.begins_as >= 0) {
    problem.y = result.data;
    problem.result = nullptr;
  } else if (operation_.signature.inputs.size() > 1) {
    problem.y = arguments->input(1)->data;
  }
  return compute_on(
      *chosen, call, watcher_,
      [&](const vaccel_backend_linalg& table, vaccel_backend_instance* instance, vaccel_backend_run* run) {
        return table.vectors(instance, operation_.operation, &problem, run);
      });
}

}  // namespace vaccel::runtime::linalg
