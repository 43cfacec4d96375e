// SPDX-License-Identifier: Apache-2.0
#include "runtime/batcher.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <new>
#include <utility>

#include "core/clock.h"
#include "core/tensor.h"
#include "runtime/operators/model_outputs.h"

namespace vaccel::runtime {
namespace {

// The inputs of a joint run take no more than this.
constexpr uint64_t kMostJointBytes = uint64_t{128} << 20;
// For so many runs after a call had to wait, those that begin at once are timed, too: what a row costs alone is what
// joining is compared with.
constexpr uint32_t kTimedRuns = 64;
// A joint run that fails where its members do not may be bad luck once.
constexpr uint32_t kVainJoints = 2;

bool is_open(const TensorFacts& tensor) {
  return tensor.any_rank || (!tensor.shape.empty() && tensor.shape.front() == -1);
}

Status check_side(std::span<const TensorFacts> tensors, const char* kind) {
  if (tensors.empty()) return failure(VACCEL_INVALID_ARGUMENT, "it has no %ss", kind);
  for (const TensorFacts& tensor : tensors) {
    if (is_open(tensor) && tensor.dtype != VACCEL_STRING) continue;
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "its %s '%s' is %s; calls can be joined where the first dimension is open, and not of strings", kind,
        printable(tensor.name).c_str(), tensor.text().c_str());
  }
  return {};
}

// The rows that all inputs have, 1 to `most`, and their bytes; 0 rows: they are not to be joined.
struct Extent {
  uint32_t rows = 0;
  uint64_t bytes = 0;
};
Extent extent_of(std::span<const vaccel_tensor> inputs, uint32_t most) {
  Extent extent;
  for (const vaccel_tensor& input : inputs) {
    if (input.rank < 1 || input.dtype == VACCEL_STRING) return {};
    const int64_t rows = input.shape[0];
    if (rows < 1 || rows > most || (extent.rows != 0 && rows != extent.rows)) return {};
    const auto bytes = dense_bytes(input.dtype, shape_of(input));
    if (!bytes || *bytes > kMostJointBytes - extent.bytes) return {};
    extent.rows = static_cast<uint32_t>(rows);
    extent.bytes += *bytes;
  }
  return extent;
}

bool is_same_but_for_rows(const vaccel_tensor& left, const vaccel_tensor& right) {
  return left.dtype == right.dtype && left.rank == right.rank &&
         std::equal(left.shape + 1, left.shape + left.rank, right.shape + 1);
}

Status out_of_memory() {
  return failure(VACCEL_RESOURCE_EXHAUSTED, "there is no memory to run the call");
}

}  // namespace

// A call that waits, on its own thread's stack. Guarded by the batcher's mutex; while it runs, its leader's.
struct Batcher::Member {
  enum class State { kWaits, kLeads, kRuns, kDone };

  Batcher& batcher;
  RuntimeCall& call;
  std::span<const vaccel_tensor> inputs;
  OutputSink outputs;
  CancelWatcher& watcher;
  Extent extent;
  State state = State::kWaits;
  bool gone = false;  // cancelled, or late
  Joint* joint = nullptr;
  Status status{};
  std::condition_variable changed{};

  [[nodiscard]] Status why_gone() const {
    Status why = check_alive(call);
    return why.ok() ? failure(VACCEL_CANCELLED, "the call was cancelled") : why;
  }
};

// Memory of a joint run, and who still wants it.
struct Batcher::Joint {
  std::deque<Scratch> inputs;
  ModelOutputs outputs;
  std::atomic<int> cancelled = 0;
  size_t present = 0;  // members that are not gone; guarded by the batcher's mutex
};

// One of the runs that may be under way, until it goes.
class Batcher::Place {
 public:
  Place(Batcher& batcher, Lock& lock) : batcher_(batcher), lock_(lock) {}
  ~Place() {
    if (!ended_) end();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  void end() {
    ended_ = true;
    if (!lock_.owns_lock()) lock_.lock();
    --batcher_.running_;
    batcher_.start_next();
  }

 private:
  Batcher& batcher_;
  Lock& lock_;
  bool ended_ = false;
};

// Has a member told when it is cancelled or late.
class Batcher::Watched {
 public:
  Watched(Member& member, Lock& lock) : member_(member), lock_(lock) {
    watch_.cancelled = member.call.cancelled;
    watch_.deadline_ns = member.call.deadline_ns;
    watch_.interrupt = [](void* argument) {
      auto* gone = static_cast<Member*>(argument);
      gone->batcher.leave(*gone);
    };
    watch_.argument = &member;
    if (watch_.cancelled != nullptr || watch_.deadline_ns != 0) member.watcher.add(watch_);
  }
  // The watcher may be in leave() now, which takes the batcher's lock.
  ~Watched() {
    if (lock_.owns_lock()) lock_.unlock();
    member_.watcher.remove(watch_);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

 private:
  Member& member_;
  Lock& lock_;
  CancelWatcher::Watch watch_;
};

Status Batcher::check(std::span<const TensorFacts> inputs, std::span<const TensorFacts> outputs) {
  if (Status status = check_side(inputs, "input"); !status.ok()) return status;
  return check_side(outputs, "output");
}

Batcher::Batcher(Target target, const BatchingSettings& settings, bool joins)
    : target_(std::move(target)),
      settings_(settings),
      joins_(joins && settings.max_size > 1),
      tuner_(settings.max_size, settings.tuned) {}

Batcher::~Batcher() = default;

// ---- Calls on their way

Batcher::Coming::Coming(Batcher& batcher) : batcher_(batcher) {
  if (!batcher_.joins()) return;
  const std::lock_guard lock(batcher_.mutex_);
  ++batcher_.coming_;
  counted_ = true;
}

Batcher::Coming::~Coming() {
  if (!counted_) return;  // this thread's own to read: nobody else changes it
  const std::lock_guard lock(batcher_.mutex_);
  batcher_.arrived(this);
}

void Batcher::arrived(Coming* coming) {
  if (coming == nullptr || !coming->counted_) return;
  coming->counted_ = false;
  --coming_;
  arrivals_.notify_all();
}

// ---- Alone

Status Batcher::run_alone(RuntimeCall& call, std::span<const vaccel_tensor> inputs, OutputSink outputs,
                          CancelWatcher& watcher) {
  BackendRun run(call, inputs, {}, outputs, watcher);
  return run.outcome(target_.backend->model_run(target_.model, run.get()), target_.backend->name);
}

Status Batcher::run(RuntimeCall& call, std::span<const vaccel_tensor> inputs, OutputSink outputs,
                    CancelWatcher& watcher, Coming* coming) {
  call.batch = 1;
  call.calls_wanted = 0;
  if (!joins()) return run_alone(call, inputs, outputs, watcher);
  const Extent extent = call.memory_count == 0 ? extent_of(inputs, settings_.max_size) : Extent{};
  Lock lock(mutex_);
  arrived(coming);
  call.calls_wanted = wanted();
  if (extent.rows == 0) {
    lock.unlock();
    return run_alone(call, inputs, outputs, watcher);
  }
  if (running_ < settings_.runs)
    return run_at_once(call, inputs, outputs, watcher, extent.rows, std::move(lock));
  Member member{.batcher = *this,
                .call = call,
                .inputs = inputs,
                .outputs = outputs,
                .watcher = watcher,
                .extent = extent};
  return wait_and_run(member, std::move(lock));
}

Status Batcher::run_at_once(RuntimeCall& call, std::span<const vaccel_tensor> inputs, OutputSink outputs,
                            CancelWatcher& watcher, uint32_t rows, Lock lock) {
  const uint32_t side_by_side = ++running_;
  const bool timed = timed_runs_left_ > 0;
  if (timed) --timed_runs_left_;
  lock.unlock();
  Place place(*this, lock);
  if (!timed) return run_alone(call, inputs, outputs, watcher);
  const Stopwatch watch;
  Status status = run_alone(call, inputs, outputs, watcher);
  const uint64_t took_ns = watch.elapsed_ns();
  lock.lock();
  if (status.ok()) tuner_.ran(rows, took_ns / side_by_side);
  return status;
}

// ---- Together

Status Batcher::wait_and_run(Member& member, Lock lock) {
  waiting_.push_back(&member);
  timed_runs_left_ = kTimedRuns;
  arrivals_.notify_all();
  lock.unlock();

  const Watched watched(member, lock);
  lock.lock();
  member.changed.wait(lock, [&] {
    return member.state == Member::State::kLeads || member.state == Member::State::kDone ||
           (member.state == Member::State::kWaits && member.gone);
  });
  Status status;
  if (member.state == Member::State::kWaits) {
    std::erase(waiting_, &member);
    status = member.why_gone();
  } else if (member.state == Member::State::kLeads) {
    status = lead(member, lock);
  } else {
    status = std::move(member.status);
  }
  member.call.calls_wanted = wanted();
  return status;
}

// Of a member that is cancelled or late; called by the watcher.
void Batcher::leave(Member& member) {
  const std::lock_guard lock(mutex_);
  member.gone = true;
  if (member.state == Member::State::kRuns) {
    if (member.joint != nullptr && --member.joint->present == 0)
      member.joint->cancelled.store(1, std::memory_order_relaxed);
  } else {
    member.changed.notify_one();
    arrivals_.notify_all();
  }
}

Status Batcher::lead(Member& leader, Lock& lock) {
  Place place(*this, lock);
  await_coming(leader, lock);
  if (leader.gone) return leader.why_gone();
  const std::vector<Member*> group = take_group(leader);
  uint32_t rows = 0;
  for (const Member* member : group)
    rows += member->extent.rows;
  if (group.size() == 1) {
    const uint32_t side_by_side = running_;
    lock.unlock();
    const Stopwatch watch;
    Status status = run_alone(leader.call, leader.inputs, leader.outputs, leader.watcher);
    const uint64_t took_ns = watch.elapsed_ns();
    lock.lock();
    if (status.ok()) tuner_.ran(rows, took_ns / side_by_side);
    return status;
  }
  run_group(group, rows, lock);
  return std::move(leader.status);
}

void Batcher::await_coming(const Member& leader, Lock& lock) {
  uint64_t delay_ns = uint64_t{settings_.max_delay_us} * 1000;
  if (settings_.tuned) delay_ns = std::min(delay_ns, tuner_.saving_ns());
  const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(delay_ns);
  while (delay_ns > 0 && coming_ > 0 && !leader.gone && leader.extent.rows + waiting_rows() < tuner_.size()) {
    if (arrivals_.wait_until(lock, until) == std::cv_status::timeout) return;
  }
}

// Those that fit the leader, in the order of their coming; the leader is the first.
std::vector<Batcher::Member*> Batcher::take_group(Member& leader) {
  std::vector<Member*> group;
  group.reserve(waiting_.size() + 1);
  group.push_back(&leader);
  uint32_t rows = leader.extent.rows;
  uint64_t bytes = leader.extent.bytes;
  const uint32_t most_rows = tuner_.next_size(rows + waiting_rows());
  const auto joins = [&](const Member* member) {
    const bool fits = !member->gone && rows + member->extent.rows <= most_rows &&
                      member->extent.bytes <= kMostJointBytes - bytes &&
                      std::equal(member->inputs.begin(), member->inputs.end(), leader.inputs.begin(),
                                 leader.inputs.end(), is_same_but_for_rows);
    if (!fits || !this->joins()) return false;
    rows += member->extent.rows;
    bytes += member->extent.bytes;
    return true;
  };
  std::vector<Member*> stay;
  stay.reserve(waiting_.size());
  for (Member* member : waiting_)
    (joins(member) ? group : stay).push_back(member);
  waiting_.swap(stay);
  return group;
}

// Whatever happens, each member but the leader is woken with its outcome; the leader finds it in its status.
void Batcher::run_group(std::span<Member* const> group, uint32_t rows, Lock& lock) {
  std::unique_ptr<Joint> joint;
  if (!spare_.empty()) {
    joint = std::move(spare_.back());
    spare_.pop_back();
  } else {
    joint.reset(new (std::nothrow) Joint);
  }
  const uint32_t side_by_side = running_;
  for (Member* member : group) {
    member->state = Member::State::kRuns;
    member->joint = joint.get();
  }
  if (joint) {
    joint->cancelled = 0;
    joint->present = group.size();
    for (const Member* member : group)
      joint->present -= member->gone ? 1 : 0;
  }
  lock.unlock();

  const Stopwatch watch;
  Status status;
  try {
    status = joint ? run_joint(group, rows, *joint, group.front()->watcher) : out_of_memory();
  } catch (const std::bad_alloc&) {
    status = out_of_memory();
  }
  const uint64_t took_ns = watch.elapsed_ns();
  if (status.ok() && !has_rows(*joint, rows)) {
    stop_joining("its outputs do not have a row for each row of its inputs");
    status = failure(VACCEL_INTERNAL, "the outputs have other rows than the inputs");
  }
  if (!status.ok()) {
    run_one_by_one(group, status, rows);
  } else {
    lock.lock();
    tuner_.ran(rows, took_ns / side_by_side);
    vain_joints_ = 0;
    lock.unlock();
    uint64_t first_row = 0;
    for (Member* member : group) {
      Status outcome = deliver(*member, *joint, first_row, rows);
      first_row += member->extent.rows;
      finish(*member, std::move(outcome), group.size());
    }
  }
  lock.lock();
  if (joint && spare_.size() < settings_.runs) spare_.push_back(std::move(joint));
}

Status Batcher::run_joint(std::span<Member* const> group, uint32_t rows, Joint& joint,
                          CancelWatcher& watcher) {
  const std::span<const vaccel_tensor> first = group.front()->inputs;
  std::vector<vaccel_tensor> inputs(first.begin(), first.end());
  std::vector<std::array<int64_t, VACCEL_MAX_RANK>> shapes(first.size());
  while (joint.inputs.size() < inputs.size())
    joint.inputs.emplace_back();
  for (size_t index = 0; index < inputs.size(); ++index) {
    vaccel_tensor& input = inputs[index];
    std::copy_n(input.shape, input.rank, shapes[index].begin());
    shapes[index][0] = rows;
    input.shape = shapes[index].data();
    const auto bytes = dense_bytes(input.dtype, shape_of(input));
    if (!bytes) return bytes.error();
    std::byte* memory = joint.inputs[index].take(static_cast<size_t>(*bytes));
    if (memory == nullptr) return out_of_memory();
    const auto row_bytes = static_cast<size_t>(*bytes) / rows;
    input.data = memory;
    input.bytes = static_cast<size_t>(*bytes);
    for (const Member* member : group) {
      const size_t share = row_bytes * member->extent.rows;
      if (share > 0) std::memcpy(memory, member->inputs[index].data, share);
      memory += share;
    }
  }
  joint.outputs.begin(target_.outputs.size());
  RuntimeCall call{};
  call.cancelled = &joint.cancelled;
  BackendRun run(call, inputs, {}, joint.outputs.sink(), watcher);
  return run.outcome(target_.backend->model_run(target_.model, run.get()), target_.backend->name);
}

bool Batcher::has_rows(const Joint& joint, uint32_t rows) const {
  for (size_t index = 0; index < target_.outputs.size(); ++index) {
    const ModelOutputs::Output& output = joint.outputs[index];
    if (output.dtype == 0) continue;  // the backend gave none
    if (output.dtype == VACCEL_STRING || output.rank == 0 || output.dimensions[0] != rows) return false;
    const auto bytes = dense_bytes(output.dtype, output.shape());
    if (!bytes || *bytes != output.bytes.size()) return false;
  }
  return true;
}

Status Batcher::deliver(Member& member, const Joint& joint, uint64_t first_row, uint32_t rows) const {
  try {
    if (Status status = check_alive(member.call); !status.ok()) return status;
    for (size_t index = 0; index < target_.outputs.size(); ++index) {
      const ModelOutputs::Output& output = joint.outputs[index];
      if (output.dtype == 0) continue;
      const char* name = target_.outputs[index].name.c_str();
      auto shape = output.dimensions;
      shape[0] = member.extent.rows;
      const size_t row_bytes = output.bytes.size() / rows;
      const size_t bytes = row_bytes * member.extent.rows;
      void* memory =
          member.outputs.get(member.outputs.context, index, name, static_cast<vaccel_dtype>(output.dtype),
                             static_cast<int32_t>(output.rank), shape.data(), bytes);
      if (memory == nullptr) return no_memory_for_result(index, name, bytes);
      if (bytes > 0) std::memcpy(memory, output.bytes.data() + first_row * row_bytes, bytes);
    }
    return {};
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

void Batcher::run_one_by_one(std::span<Member* const> group, const Status& why, uint32_t rows) {
  size_t ran = 0;
  size_t succeeded = 0;
  const auto run_one = [&](Member& member) -> Status {
    try {
      if (Status status = check_alive(member.call); !status.ok()) return status;
      ++ran;
      return run_alone(member.call, member.inputs, member.outputs, member.watcher);
    } catch (const std::bad_alloc&) {
      return out_of_memory();
    }
  };
  for (Member* member : group) {
    Status status = run_one(*member);
    succeeded += status.ok() ? 1 : 0;
    finish(*member, std::move(status), 1);
  }
  // Joining itself was at fault where nobody failed alone.
  if (ran < 2 || succeeded < ran || !joins()) return;
  Lock lock(mutex_);
  if (why.code() == VACCEL_RESOURCE_EXHAUSTED) return tuner_.never_above(rows / 2);
  if (++vain_joints_ < kVainJoints) return;
  lock.unlock();
  stop_joining("joint runs fail, and those of their members do not: " + why.message());
}

void Batcher::finish(Member& member, Status status, size_t joined) {
  const std::lock_guard lock(mutex_);
  member.status = std::move(status);
  member.call.batch = static_cast<uint32_t>(joined);
  member.state = Member::State::kDone;
  member.changed.notify_one();  // under the lock: the member goes when it is seen to be done
}

// The first that waits leads a run that has become free.
void Batcher::start_next() {
  while (running_ < settings_.runs) {
    const auto next =
        std::find_if(waiting_.begin(), waiting_.end(), [](const Member* member) { return !member->gone; });
    if (next == waiting_.end()) return;
    Member* leader = *next;
    waiting_.erase(next);
    ++running_;
    leader->state = Member::State::kLeads;
    leader->changed.notify_one();
  }
}

void Batcher::stop_joining(const std::string& why) {
  if (!joins_.exchange(false) || !target_.log) return;
  target_.log(2, "calls of model '" + target_.name + "' are not joined any more: " + why);
}

uint32_t Batcher::waiting_rows() const {
  uint32_t rows = 0;
  for (const Member* member : waiting_)
    rows += member->extent.rows;
  return rows;
}

uint32_t Batcher::wanted() const {
  if (!joins()) return 0;
  const uint32_t size = tuner_.size();
  return settings_.runs * size + std::min(2 * size, settings_.max_size);
}

bool Batcher::joinable(std::span<const vaccel_tensor> inputs) const {
  return joins() && extent_of(inputs, settings_.max_size).rows > 0;
}

size_t Batcher::waiting_calls() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

uint32_t Batcher::calls_wanted() const {
  const std::lock_guard lock(mutex_);
  return wanted();
}

}  // namespace vaccel::runtime
