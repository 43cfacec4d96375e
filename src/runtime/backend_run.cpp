// SPDX-License-Identifier: Apache-2.0
#include "runtime/backend_run.h"

#include <new>

namespace vaccel::runtime {

Status no_memory_for_result(size_t index, const char* name, size_t bytes) {
  return failure(VACCEL_RESOURCE_EXHAUSTED,
                 "no memory for result %zu, '%s', of %zu bytes: the limit for results is reached", index,
                 name != nullptr ? name : "", bytes);
}

Status BackendRun::failed(vaccel_status code, const char* backend) {
  if (Status status = check_alive(call_); !status.ok()) return status;
  return failure_.outcome(code, backend);
}

void* BackendRun::output(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                         const int64_t* shape, size_t bytes) {
  auto* self = static_cast<BackendRun*>(context);
  void* memory = self->outputs_.get(self->outputs_.context, index, name, dtype, rank, shape, bytes);
  if (memory == nullptr && !self->failure_.noted()) {
    self->failure_.note(no_memory_for_result(index, name, bytes));
  }
  return memory;
}

int BackendRun::cancelled(void* context) {
  return check_alive(static_cast<BackendRun*>(context)->call_).ok() ? 0 : 1;
}

void BackendRun::on_cancel(void* context, void (*interrupt)(void*), void* argument) {
  auto* self = static_cast<BackendRun*>(context);
  if (self->watching_) self->watcher_.remove(self->watch_);
  self->watching_ = false;
  if (interrupt == nullptr || (self->call_.cancelled == nullptr && self->call_.deadline_ns == 0)) return;
  new (&self->watch_) CancelWatcher::Watch();
  self->watch_.cancelled = self->call_.cancelled;
  self->watch_.deadline_ns = self->call_.deadline_ns;
  self->watch_.interrupt = interrupt;
  self->watch_.argument = argument;
  self->watcher_.add(self->watch_);
  self->watching_ = true;
}

}  // namespace vaccel::runtime
