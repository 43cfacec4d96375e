// SPDX-License-Identifier: Apache-2.0
#include "interpreter_pool.h"

#include <algorithm>

namespace vaccel::tflite {

// Lets a run wait until there may be an interpreter for it, or until it is cancelled.
class InterpreterPool::Waiter {
 public:
  // Registered before the pool is locked: whoever interrupts locks it too.
  Waiter(InterpreterPool& pool, vaccel_backend_run& run) : pool_(pool), run_(run) {
    run_.on_cancel(run_.context, interrupt, this);
  }
  ~Waiter() { run_.on_cancel(run_.context, nullptr, nullptr); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void wait() {
    std::unique_lock lock(pool_.mutex_);
    pool_.changed_.wait(lock,
                        [&] { return interrupted_ || !pool_.free_.empty() || pool_.count_ < pool_.limit_; });
  }

 private:
  static void interrupt(void* argument) {
    auto* self = static_cast<Waiter*>(argument);
    const std::lock_guard lock(self->pool_.mutex_);
    self->interrupted_ = true;
    self->pool_.changed_.notify_all();
  }

  InterpreterPool& pool_;
  vaccel_backend_run& run_;
  bool interrupted_ = false;
};

void InterpreterPool::add(std::unique_ptr<Interpreter> interpreter) {
  const std::lock_guard lock(mutex_);
  ++count_;
  free_.push_back(std::move(interpreter));
}

std::unique_ptr<Interpreter> InterpreterPool::take(vaccel_backend_run& run) {
  while (run.cancelled(run.context) == 0) {
    bool room = false;
    {
      const std::lock_guard lock(mutex_);
      if (auto interpreter = take_free(run)) return interpreter;
      room = count_ < limit_;
      if (room) ++count_;
    }
    if (room) return make();
    Waiter(*this, run).wait();
  }
  return nullptr;
}

std::unique_ptr<Interpreter> InterpreterPool::take_free(const vaccel_backend_run& run) {
  if (free_.empty()) return nullptr;
  // From the end: what was used last is still in the caches, and what is never needed is never touched.
  auto found = std::find_if(free_.rbegin(), free_.rend(), [&](const auto& one) { return one->fits(run); });
  if (found == free_.rend()) found = free_.rbegin();
  std::unique_ptr<Interpreter> taken = std::move(*found);
  free_.erase(std::next(found).base());
  return taken;
}

// Counted before it is there, so that the limit holds while several are being made.
std::unique_ptr<Interpreter> InterpreterPool::make() {
  try {
    return make_();
  } catch (...) {
    give_back(nullptr);
    throw;
  }
}

void InterpreterPool::give_back(std::unique_ptr<Interpreter> interpreter) {
  const std::lock_guard lock(mutex_);
  if (interpreter != nullptr) {
    free_.push_back(std::move(interpreter));
  } else {
    --count_;
  }
  changed_.notify_one();
}

}  // namespace vaccel::tflite
