// SPDX-License-Identifier: Apache-2.0
//
// The interpreters of one model: as many as runs were ever under way at once, and never more than a limit, beyond which
// runs wait for their turn.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "interpreter.h"

namespace vaccel::tflite {

class InterpreterPool {
 public:
  using Make = std::function<std::unique_ptr<Interpreter>()>;
  /// `make` is called by many threads at once.
  InterpreterPool(Make make, size_t limit) : make_(std::move(make)), limit_(limit) {}

  /// An interpreter for the time of a run. One that is not kept at the end is thrown away: what a failure has left of it
  /// is not known.
  class Lease {
   public:
    Lease(InterpreterPool& pool, std::unique_ptr<Interpreter> interpreter)
        : pool_(pool), interpreter_(std::move(interpreter)) {}
    ~Lease() { pool_.give_back(keep_ ? std::move(interpreter_) : nullptr); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    Interpreter* operator->() const { return interpreter_.get(); }
    void keep() { keep_ = true; }

   private:
    InterpreterPool& pool_;
    std::unique_ptr<Interpreter> interpreter_;
    bool keep_ = false;
  };

  /// Puts in the first interpreter, which was made to see that the model is right.
  void add(std::unique_ptr<Interpreter> interpreter);
  /// An interpreter, of those that are free one with these inputs' shapes if there is one. Waits for its turn; nullptr
  /// when the run is cancelled meanwhile.
  std::unique_ptr<Interpreter> take(vaccel_backend_run& run);

 private:
  class Waiter;

  std::unique_ptr<Interpreter> make();
  void give_back(std::unique_ptr<Interpreter> interpreter);
  std::unique_ptr<Interpreter> take_free(const vaccel_backend_run& run);

  const Make make_;
  const size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Interpreter>> free_;  // the one used last at the end
  size_t count_ = 0;                                // of all that there are
};

}  // namespace vaccel::tflite
