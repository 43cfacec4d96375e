// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/backend_operator.h"

#include <cstring>

#include "runtime/backend_run.h"
#include "runtime/operators/attributes.h"

namespace vaccel::runtime {

Status BackendOperator::run(RuntimeCall& call) const {
  if (call.backend != nullptr && std::strcmp(call.backend, backend_.name()) != 0) {
    return failure(VACCEL_NOT_FOUND, "backend '%s' has no operator '%s'; backend '%s' has",
                   printable(call.backend).c_str(), name().c_str(), backend_.name());
  }
  if (call.attribute_count == 0) return run_with(call, {});
  const auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return attributes.error();
  return run_with(call, attributes->all());
}

Status BackendOperator::run_with(RuntimeCall& call, std::span<const vaccel_attribute> attributes) const {
  BackendRun run(call, {call.inputs, call.input_count}, attributes, {call.output_context, call.output},
                 watcher_);
  if (call.timings == nullptr) {
    return run.outcome(implementation_.run(backend_.instance(), run.get()), backend_.name());
  }
  const Stopwatch watch;
  Status status = run.outcome(implementation_.run(backend_.instance(), run.get()), backend_.name());
  call.timings->infer_ns = watch.elapsed_ns();
  return status;
}

}  // namespace vaccel::runtime
