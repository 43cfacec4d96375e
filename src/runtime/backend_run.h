// SPDX-License-Identifier: Apache-2.0
//
// One run of a backend: a RuntimeCall, as vaccel_backend_run describes it. Made on the stack for each call
// and costs next to nothing, since a no-op goes through it too: no allocation, no clock, no lock.
#pragma once

#include <span>

#include "core/clock.h"
#include "core/status.h"
#include "runtime/backend_library.h"
#include "runtime/cancel_watcher.h"
#include "runtime/runtime_abi.h"
#include "vaccel/backend.h"

namespace vaccel::runtime {

/// OK, or why `call` need not go on: CANCELLED or DEADLINE_EXCEEDED. Looks at the clock only for a deadline.
inline Status check_alive(const RuntimeCall& call) {
  if (call.cancelled != nullptr && call.cancelled->load(std::memory_order_relaxed) != 0) {
    return failure(VACCEL_CANCELLED, "the call was cancelled");
  }
  if (call.deadline_ns != 0 && has_passed(call.deadline_ns, now_ns())) {
    return failure(VACCEL_DEADLINE_EXCEEDED, "the call's deadline has passed");
  }
  return {};
}

/// Where results go: RuntimeCall::output, or an operator's own memory.
struct OutputSink {
  void* context;
  void* (*get)(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
               const int64_t* shape, size_t bytes);
};

/// What a run says whose sink has no memory for a result.
Status no_memory_for_result(size_t index, const char* name, size_t bytes);

class BackendRun {
 public:
  BackendRun(const RuntimeCall& call, std::span<const vaccel_tensor> inputs,
             std::span<const vaccel_attribute> attributes, OutputSink outputs, CancelWatcher& watcher)
      : call_(call), outputs_(outputs), watcher_(watcher) {
    run_.size = sizeof run_;
    run_.inputs = inputs.data();
    run_.input_count = inputs.size();
    run_.attributes = attributes.data();
    run_.attribute_count = attributes.size();
    run_.deadline_ns = call.deadline_ns;
    run_.error = failure_.sink();
    run_.context = this;
    run_.output = output;
    run_.cancelled = cancelled;
    run_.on_cancel = on_cancel;
  }
  ~BackendRun() {
    if (watching_) watcher_.remove(watch_);  // a backend that forgot to
  }
  BackendRun(const BackendRun&) = delete;
  BackendRun& operator=(const BackendRun&) = delete;

  [[nodiscard]] vaccel_backend_run* get() { return &run_; }

  /// What became of the run, told from what the backend returned. A run that failed because it was
  /// interrupted says so.
  [[nodiscard]] Status outcome(vaccel_status code, const char* backend) {
    return code == VACCEL_OK ? Status() : failed(code, backend);
  }

 private:
  Status failed(vaccel_status code, const char* backend);
  static void* output(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                      const int64_t* shape, size_t bytes);
  static int cancelled(void* context);
  static void on_cancel(void* context, void (*interrupt)(void*), void* argument);

  const RuntimeCall& call_;
  OutputSink outputs_;
  CancelWatcher& watcher_;
  BackendFailure failure_;
  vaccel_backend_run run_;
  bool watching_ = false;
  union {
    CancelWatcher::Watch watch_;  // made when it is needed
  };
};

}  // namespace vaccel::runtime
