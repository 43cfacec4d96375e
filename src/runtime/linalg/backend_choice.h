// SPDX-License-Identifier: Apache-2.0
//
// Which backend does the arithmetic of a call: the one that the call names, else the one that says it does it best.
#pragma once

#include <vector>

#include "core/status.h"
#include "runtime/backend_library.h"
#include "runtime/backend_run.h"
#include "runtime/operators/operator.h"
#include "vaccel/backend.h"

namespace vaccel::runtime::linalg {

/// A backend's table together with what its functions take.
struct Chosen {
  BackendLibrary* backend;
  const vaccel_backend_linalg* table;
};

/// The backends of a runtime that have linear algebra. Fixed once made.
class BackendChoice {
 public:
  /// `backends` must outlive this.
  explicit BackendChoice(const Backends& backends);

  /// @param wanted  nullptr: the best there is. UNIMPLEMENTED: it, or no backend at all, does this operation on this
  /// type, with those that do; NOT_FOUND and UNAVAILABLE: there is no such backend, or it does not run.
  [[nodiscard]] Result<Chosen> choose(const char* wanted, vaccel_linalg_operation operation,
                                      const char* operator_name, vaccel_dtype dtype) const;

  /// Those that do an operation, for each type of elements by score.
  [[nodiscard]] std::vector<OfferFacts> offers(vaccel_linalg_operation operation) const;

 private:
  [[nodiscard]] Status cannot(const char* wanted, vaccel_linalg_operation operation,
                              const char* operator_name, vaccel_dtype dtype) const;

  const Backends& all_;
  std::vector<Chosen> able_;
};

/// Runs `compute(table, instance, run)`, and measures it if the call wants to know.
template <typename Compute>
Status compute_on(const Chosen& chosen, const RuntimeCall& call, CancelWatcher& watcher, Compute compute) {
  if (Status status = check_alive(call); !status.ok()) return status;
  BackendRun run(call, {call.inputs, call.input_count}, {}, {call.output_context, call.output}, watcher);
  const auto computed = [&] {
    return run.outcome(compute(*chosen.table, chosen.backend->instance(), run.get()), chosen.backend->name());
  };
  if (call.timings == nullptr) return computed();
  const Stopwatch watch;
  Status status = computed();
  call.timings->infer_ns = watch.elapsed_ns();
  return status;
}

}  // namespace vaccel::runtime::linalg
