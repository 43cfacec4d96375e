// SPDX-License-Identifier: Apache-2.0
//
// Joins calls of one model, whoever made them, into runs of several rows. It belongs to the model and lives where that runs,
// in the worker or in the process of a local session: what it joins are tensors, which an agent never looks at, and each
// call's pictures are decoded and prepared by its own thread while the last run is still computing.
//
// Calls are joined as a database joins commits. A call that finds a run free begins at once, alone: nothing is waited for,
// nothing is allocated, and no clock is read. One that comes while all runs are taken waits; when a run ends, the first that
// waits leads: it takes those that fit (the same shapes but for the first dimension, up to a size), lays their inputs one
// behind the other, runs the backend once, and gives each its rows, through the call's own sink.
//
//   size    batch_tuner.h learns it.
//   delay   A leader waits for calls of this model that are in the process and being prepared, for no others; and no longer
//           than what one of them saves by joining, since the device idles meanwhile.
//   runs    A few at a time, not one: while one lays inputs together or hands results out another one computes, and where
//           joining gains nothing (on a CPU, as a rule) calls go on side by side as they did.
//
// Who suffers from whom: a call is checked before it comes here. When a joint run fails, its members are run one by one, and
// each has its own outcome. A member that is cancelled or late while it waits leaves; one whose run is under way gets its
// answer when that ends, and the run is interrupted when nobody is left who wants it. A model whose outputs do not have a
// row for each row of its inputs is not joined again; neither is one whose joint runs fail where its single ones do not.
// Whether a row's result depends on other rows no file says: it is assumed of pictures, and of all else only where model.toml
// says so (batching_settings.h).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "runtime/backend_run.h"
#include "runtime/batch_tuner.h"
#include "runtime/batching_settings.h"
#include "runtime/cancel_watcher.h"
#include "runtime/tensor_facts.h"
#include "vaccel/backend.h"

namespace vaccel::runtime {

class Batcher {
 public:
  /// A model that is open in a backend. What is pointed to outlives the batcher.
  struct Target {
    std::string name;  ///< For the log.
    const vaccel_backend* backend = nullptr;
    vaccel_backend_model* model = nullptr;
    std::span<const TensorFacts> inputs;
    std::span<const TensorFacts> outputs;
    std::function<void(int level, const std::string& line)> log;
  };

  /// Whether rows can be joined at all; else INVALID_ARGUMENT, with the input or output that does not allow it.
  static Status check(std::span<const TensorFacts> inputs, std::span<const TensorFacts> outputs);

  /// @param joins  False: every call runs alone.
  Batcher(Target target, const BatchingSettings& settings, bool joins);
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// Says, while it lives, that its thread prepares a call of this model, which is about to come to run().
  class Coming {
   public:
    explicit Coming(Batcher& batcher);
    ~Coming();
    Coming(const Coming&) = delete;
    Coming& operator=(const Coming&) = delete;

   private:
    friend class Batcher;
    Batcher& batcher_;
    bool counted_ = false;  // guarded by the batcher's mutex
  };

  /// Runs the model on checked inputs, in the order of its description: alone or with others. Sets call.batch and
  /// call.calls_wanted. `outputs` may be asked by another thread, while this one waits.
  /// @param coming  Of this call; nullptr: nobody was told of it.
  Status run(RuntimeCall& call, std::span<const vaccel_tensor> inputs, OutputSink outputs,
             CancelWatcher& watcher, Coming* coming = nullptr);

  /// How many calls this model would like to have at a time: those of its runs, and those of the next one. 0: it does not
  /// join.
  [[nodiscard]] uint32_t calls_wanted() const;

  /// Whether a call of these inputs can be joined: they have the same number of rows, at least one and not too many.
  [[nodiscard]] bool joinable(std::span<const vaccel_tensor> inputs) const;
  /// How many calls wait for a run now.
  [[nodiscard]] size_t waiting_calls() const;

 private:
  struct Member;
  struct Joint;
  class Place;
  class Watched;
  using Lock = std::unique_lock<std::mutex>;

  [[nodiscard]] bool joins() const { return joins_.load(std::memory_order_relaxed); }
  Status run_alone(RuntimeCall& call, std::span<const vaccel_tensor> inputs, OutputSink outputs,
                   CancelWatcher& watcher);
  Status run_at_once(RuntimeCall& call, std::span<const vaccel_tensor> inputs, OutputSink outputs,
                     CancelWatcher& watcher, uint32_t rows, Lock lock);
  Status wait_and_run(Member& member, Lock lock);
  Status lead(Member& leader, Lock& lock);
  void await_coming(const Member& leader, Lock& lock);
  std::vector<Member*> take_group(Member& leader);
  void run_group(std::span<Member* const> group, uint32_t rows, Lock& lock);
  Status run_joint(std::span<Member* const> group, uint32_t rows, Joint& joint, CancelWatcher& watcher);
  [[nodiscard]] bool has_rows(const Joint& joint, uint32_t rows) const;
  void run_one_by_one(std::span<Member* const> group, const Status& why, uint32_t rows);
  Status deliver(Member& member, const Joint& joint, uint64_t first_row, uint32_t rows) const;
  void finish(Member& member, Status status, size_t joined);
  void leave(Member& member);
  void arrived(Coming* coming);
  void start_next();
  void stop_joining(const std::string& why);
  [[nodiscard]] uint32_t waiting_rows() const;
  [[nodiscard]] uint32_t wanted() const;

  const Target target_;
  const BatchingSettings settings_;
  std::atomic<bool> joins_;

  mutable std::mutex mutex_;  // guards what follows; never held when the watcher is asked for something
  BatchTuner tuner_;
  uint32_t running_ = 0;
  std::vector<Member*> waiting_;  // in the order of their coming; empty while a run is free
  uint32_t coming_ = 0;
  std::condition_variable arrivals_;
  uint32_t timed_runs_left_ = 0;  // runs at once are timed while others have lately waited
  uint32_t vain_joints_ = 0;      // in a row: that failed where their members did not
  std::vector<std::unique_ptr<Joint>> spare_;
};

}  // namespace vaccel::runtime
