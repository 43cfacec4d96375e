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
  const auto attributes = SortedAttributes::check(call.attributes, call.attribute_count);
  if (!attributes) return attributes.error();
  BackendRun run(call, {call.inputs, call.input_count}, attributes->all(), {call.output_context, call.output},
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
