// SPDX-License-Identifier: Apache-2.0
//
// Joining, with a backend of this test's own that stops where the test wants it to: y = 2 x, a row for each row.
#include "runtime/batcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <thread>

#include "core/clock.h"
#include "core/tensor.h"

namespace vaccel::runtime {
namespace {

constexpr float kBad = -1;  // a row that no run of which it is part gets over

// What the backend does, and did. Runs stop at the gate while it is closed.
class Doubler {
 public:
  Doubler() {
    table_.name = "doubler";
    table_.model_run = run;
  }

  void close_gate() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open_gate() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  /// The one run that stands there.
  void let_one_pass() {
    const std::lock_guard lock(mutex_);
    ++passes_;
    changed_.notify_all();
  }
  void await_runs(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return rows_.size() >= count; });
  }
  /// Of each run that began.
  std::vector<int64_t> rows() {
    const std::lock_guard lock(mutex_);
    return rows_;
  }

  [[nodiscard]] const vaccel_backend* table() const { return &table_; }
  [[nodiscard]] vaccel_backend_model* model() { return reinterpret_cast<vaccel_backend_model*>(this); }

  std::atomic<bool> fails_joint = false;  ///< Runs of several rows.
  std::atomic<bool> gives_one_row = false;
  std::atomic<vaccel_status> failure_code = VACCEL_INTERNAL;

 private:
  static vaccel_status run(vaccel_backend_model* model, vaccel_backend_run* run) {
    return reinterpret_cast<Doubler*>(model)->double_it(*run);
  }

  vaccel_status double_it(vaccel_backend_run& run) {
    const vaccel_tensor& input = run.inputs[0];
    std::unique_lock lock(mutex_);
    rows_.push_back(input.shape[0]);
    changed_.notify_all();
    bool interrupted = false;
    lock.unlock();
    std::pair<Doubler*, bool*> argument{this, &interrupted};
    run.on_cancel(
        run.context,
        [](void* pair) {
          auto& [self, flag] = *static_cast<std::pair<Doubler*, bool*>*>(pair);
          const std::lock_guard guard(self->mutex_);
          *flag = true;
          self->changed_.notify_all();
        },
        &argument);
    lock.lock();
    changed_.wait(lock, [&] { return open_ || passes_ > 0 || interrupted; });
    if (!open_ && !interrupted) --passes_;
    lock.unlock();
    run.on_cancel(run.context, nullptr, nullptr);
    if (interrupted) return run.error.fail(run.error.context, VACCEL_CANCELLED, "interrupted");

    const auto count = static_cast<size_t>(*element_count(shape_of(input)));
    const auto* x = static_cast<const float*>(input.data);
    if (std::find(x, x + count, kBad) != x + count || (fails_joint && input.shape[0] > 1))
      return run.error.fail(run.error.context, failure_code, "a bad row");
    std::vector<int64_t> shape(input.shape, input.shape + input.rank);
    if (gives_one_row) shape[0] = 1;
    const auto given = static_cast<size_t>(*element_count(shape));
    auto* y = static_cast<float*>(
        run.output(run.context, 0, "y", VACCEL_FLOAT32, input.rank, shape.data(), given * sizeof(float)));
    if (y == nullptr) return VACCEL_RESOURCE_EXHAUSTED;
    for (size_t index = 0; index < given; ++index)
      y[index] = 2 * x[index];
    return VACCEL_OK;
  }

  vaccel_backend table_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int passes_ = 0;
  std::vector<int64_t> rows_;
};

// A call and what became of it.
struct Call {
  Call(std::vector<int64_t> its_shape, float value) : shape(std::move(its_shape)) {
    x.assign(static_cast<size_t>(*element_count(shape)), value);
    input.data = x.data();
    input.bytes = x.size() * sizeof(float);
    input.shape = shape.data();
    input.rank = static_cast<int32_t>(shape.size());
    input.dtype = VACCEL_FLOAT32;
    call.size = sizeof call;
    call.cancelled = &cancelled;
  }
  static void* output(void* context, size_t /*index*/, const char* name, vaccel_dtype /*dtype*/, int32_t rank,
                      const int64_t* shape, size_t bytes) {
    auto* self = static_cast<Call*>(context);
    if (bytes > self->most_bytes) return nullptr;
    EXPECT_STREQ(name, "y");
    self->result_shape.assign(shape, shape + rank);
    self->y.assign(bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
    static float nothing;
    return bytes == 0 ? &nothing : self->y.data();
  }
  // Whether it got what it would have got alone.
  [[nodiscard]] bool is_right() const {
    std::vector<float> expected;
    for (const float value : x)
      expected.push_back(2 * value);
    return status.ok() && result_shape == shape && y == expected;
  }

  std::vector<int64_t> shape;
  std::vector<float> x;
  vaccel_tensor input{};
  std::atomic<int> cancelled = 0;
  RuntimeCall call{};
  size_t most_bytes = SIZE_MAX;
  Status status;
  std::vector<int64_t> result_shape;
  std::vector<float> y;
  std::thread thread;
};

class BatcherTest : public ::testing::Test {
 protected:
  void TearDown() override {
    doubler.open_gate();
    join_all();
  }
  void join_all() {
    for (Call& one : calls) {
      if (one.thread.joinable()) one.thread.join();
    }
  }
  Batcher& make(BatchingSettings settings) {
    batcher.emplace(Batcher::Target{"m", doubler.table(), doubler.model(), inputs, outputs,
                                    [this](int, const std::string& line) { log.push_back(line); }},
                    settings, true);
    return *batcher;
  }
  Batcher& make() { return make({.max_size = 8, .max_delay_us = 0, .tuned = false, .runs = 1}); }
  Call& start(std::vector<int64_t> shape, float value, int64_t deadline_ns = 0) {
    Call& one = calls.emplace_back(std::move(shape), value);
    one.call.deadline_ns = deadline_ns;
    launch(one);
    return one;
  }
  void launch(Call& one) {
    one.thread = std::thread([this, &one] {
      one.status = batcher->run(one.call, {&one.input, 1}, {&one, Call::output}, watcher);
    });
  }
  // One call is under way and stands at the gate; those that `more` starts wait for it, all of them when this returns.
  void gather(const std::function<void()>& more) {
    doubler.close_gate();
    const size_t before = doubler.rows().size();
    start({1, 2}, 100);
    doubler.await_runs(before + 1);
    const size_t others = calls.size();
    more();
    while (batcher->waiting_calls() < calls.size() - others)
      std::this_thread::yield();
  }
  void finish() {
    doubler.open_gate();
    join_all();
  }

  Doubler doubler;
  CancelWatcher watcher;
  std::vector<TensorFacts> inputs = {{"x", {-1, -1}, false, VACCEL_FLOAT32}};
  std::vector<TensorFacts> outputs = {{"y", {-1, -1}, false, VACCEL_FLOAT32}};
  std::vector<std::string> log;
  std::optional<Batcher> batcher;
  std::deque<Call> calls;
};

using Rows = std::vector<int64_t>;

TEST_F(BatcherTest, JoinsThoseThatWaitAndGivesEachItsRows) {
  make();
  gather([&] {
    start({1, 2}, 1);
    start({3, 2}, 2);
    start({1, 2}, 3);
  });
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 5}));
  for (const Call& one : calls)
    EXPECT_TRUE(one.is_right()) << one.status.message();
  EXPECT_EQ(calls[0].call.batch, 1u);
  for (size_t index = 1; index < calls.size(); ++index)
    EXPECT_EQ(calls[index].call.batch, 3u);
  EXPECT_TRUE(log.empty());
}

TEST_F(BatcherTest, TakesNoMoreRowsThanTheSizeAndLeavesTheRestForTheNextRun) {
  make();
  gather([&] {
    for (int index = 0; index < 9; ++index)
      start({1, 2}, static_cast<float>(index));
  });
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 8, 1}));
  for (const Call& one : calls)
    EXPECT_TRUE(one.is_right()) << one.status.message();
}

TEST_F(BatcherTest, JoinsOnlyWhatHasTheSameShape) {
  make();
  gather([&] {
    for (int index = 0; index < 3; ++index) {
      start({1, 2}, 1);
      start({1, 3}, 2);
    }
  });
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 3, 3}));
  for (const Call& one : calls)
    EXPECT_TRUE(one.is_right()) << one.status.message();
}

TEST_F(BatcherTest, LetsWhatCannotBeJoinedRunAtOnce) {
  make();
  gather([&] {});
  Call& none = calls.emplace_back(std::vector<int64_t>{0, 2}, 1.0F);
  Call& too_many = calls.emplace_back(std::vector<int64_t>{9, 2}, 2.0F);
  launch(none);
  launch(too_many);
  doubler.await_runs(3);  // though the first is still under way
  finish();
  EXPECT_TRUE(none.is_right());
  EXPECT_TRUE(too_many.is_right());
  EXPECT_EQ(too_many.call.batch, 1u);
}

TEST_F(BatcherTest, SeesNoRowsInShapesWhoseProductOverflows) {
  make();
  Call one({1, 2}, 1);
  for (const int64_t columns : {int64_t{1} << 40, int64_t{1} << 61, std::numeric_limits<int64_t>::max()}) {
    const std::vector<int64_t> huge = {4, columns};
    one.input.shape = huge.data();
    EXPECT_FALSE(batcher->joinable({&one.input, 1}));
  }
  one.input.rank = 0;
  EXPECT_FALSE(batcher->joinable({&one.input, 1}));
  one.input.rank = 2;
  one.input.shape = one.shape.data();
  EXPECT_TRUE(batcher->joinable({&one.input, 1}));
}

TEST_F(BatcherTest, ABadMemberFailsAlone) {
  make();
  gather([&] {
    start({1, 2}, 1);
    start({1, 2}, kBad);
    start({1, 2}, 3);
  });
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 3, 1, 1, 1}));
  EXPECT_EQ(calls[2].status.code(), VACCEL_INTERNAL);
  EXPECT_EQ(calls[2].status.message(), "a bad row");
  EXPECT_TRUE(calls[1].is_right());
  EXPECT_TRUE(calls[3].is_right());
  EXPECT_GT(batcher->calls_wanted(), 0u);
}

TEST_F(BatcherTest, AMemberWithoutRoomForItsResultsFailsAlone) {
  make();
  gather([&] {
    Call& small = calls.emplace_back(std::vector<int64_t>{1, 2}, 1.0F);
    small.most_bytes = 7;
    launch(small);
    start({1, 2}, 2);
  });
  finish();
  EXPECT_EQ(calls[1].status.code(), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(calls[2].is_right());
  EXPECT_EQ(doubler.rows(), (Rows{1, 2}));
}

TEST_F(BatcherTest, OneThatIsCancelledOrLateLeavesWhileItWaits) {
  make();
  gather([&] {
    start({1, 2}, 1);
    start({1, 2}, 2);
  });
  calls[1].cancelled = 1;
  calls[1].thread.join();
  EXPECT_EQ(calls[1].status.code(), VACCEL_CANCELLED);
  Call& late = start({1, 2}, 3, now_ns() + 5'000'000);
  late.thread.join();  // while the gate is closed
  EXPECT_EQ(late.status.code(), VACCEL_DEADLINE_EXCEEDED);
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 1}));
  EXPECT_TRUE(calls[2].is_right());
}

TEST_F(BatcherTest, TheOthersGoOnWhenOneIsCancelledDuringTheRun) {
  make();
  gather([&] {
    start({1, 2}, 1);
    start({1, 2}, 2);
  });
  doubler.let_one_pass();
  doubler.await_runs(2);
  calls[1].cancelled = 1;
  finish();
  EXPECT_TRUE(calls[2].is_right());
  EXPECT_EQ(calls[1].status.code(), VACCEL_CANCELLED);
  EXPECT_EQ(doubler.rows(), (Rows{1, 2}));
}

TEST_F(BatcherTest, TheRunIsInterruptedWhenNobodyWantsIt) {
  make();
  gather([&] {
    start({1, 2}, 1);
    start({1, 2}, 2);
  });
  doubler.let_one_pass();
  doubler.await_runs(2);
  calls[1].cancelled = 1;
  calls[2].cancelled = 1;
  join_all();  // though the gate is closed
  EXPECT_EQ(calls[1].status.code(), VACCEL_CANCELLED);
  EXPECT_EQ(calls[2].status.code(), VACCEL_CANCELLED);
  EXPECT_EQ(doubler.rows(), (Rows{1, 2}));
}

TEST_F(BatcherTest, DoesNotJoinAgainWhereOutputsHaveOtherRows) {
  make();
  doubler.gives_one_row = true;
  const auto two = [&] {
    start({1, 2}, 1);
    start({1, 2}, 2);
  };
  gather(two);
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 2, 1, 1}));
  for (const Call& one : calls)
    EXPECT_TRUE(one.is_right()) << one.status.message();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0],
            "calls of model 'm' are not joined any more: its outputs do not have a row for each row of its "
            "inputs");
  EXPECT_EQ(batcher->calls_wanted(), 0u);
  doubler.close_gate();
  start({1, 2}, 3);
  start({1, 2}, 4);
  doubler.await_runs(6);  // side by side
  finish();
  EXPECT_EQ(log.size(), 1u);
}

TEST_F(BatcherTest, DoesNotJoinAgainWhereJointRunsFailAndSingleOnesDoNot) {
  make();
  doubler.fails_joint = true;
  for (int round = 0; round < 2; ++round) {
    EXPECT_GT(batcher->calls_wanted(), 0u);
    gather([&] {
      start({1, 2}, 1);
      start({1, 2}, 2);
    });
    finish();
  }
  for (const Call& one : calls)
    EXPECT_TRUE(one.is_right()) << one.status.message();
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(batcher->calls_wanted(), 0u);
}

TEST_F(BatcherTest, JoinsFewerWhereThereIsNoMemoryForMany) {
  make();
  doubler.fails_joint = true;
  doubler.failure_code = VACCEL_RESOURCE_EXHAUSTED;
  const auto four = [&] {
    for (int index = 0; index < 4; ++index)
      start({1, 2}, 1);
  };
  gather(four);
  finish();
  doubler.fails_joint = false;
  gather(four);
  finish();
  EXPECT_EQ(doubler.rows(), (Rows{1, 4, 1, 1, 1, 1, 1, 2, 2}));
  EXPECT_TRUE(log.empty());
}

TEST_F(BatcherTest, WaitsForACallThatIsOnItsWayAndForNoOther) {
  make({.max_size = 2, .max_delay_us = kMostBatchDelayUs * 600, .tuned = false, .runs = 1});
  auto coming = std::make_unique<Batcher::Coming>(*batcher);
  gather([&] { start({1, 2}, 1); });
  doubler.open_gate();
  calls[0].thread.join();
  EXPECT_EQ(doubler.rows(), (Rows{1}));  // the second one leads, and waits
  Call& expected = calls.emplace_back(std::vector<int64_t>{1, 2}, 2.0F);
  expected.status =
      batcher->run(expected.call, {&expected.input, 1}, {&expected, Call::output}, watcher, coming.get());
  join_all();
  EXPECT_EQ(doubler.rows(), (Rows{1, 2}));
  EXPECT_TRUE(expected.is_right());

  coming = std::make_unique<Batcher::Coming>(*batcher);
  gather([&] { start({1, 2}, 1); });
  doubler.open_gate();
  coming.reset();  // its picture was none, say
  join_all();
  EXPECT_EQ(doubler.rows(), (Rows{1, 2, 1, 1}));
}

TEST_F(BatcherTest, ManyThreadsGetTheirOwnResults) {
  make({.max_size = 16, .runs = 2});
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 200; ++round) {
        const bool is_bad = thread == 3 && round % 10 == 0;
        Call one({1 + (thread + round) % 3, thread == 5 ? 3 : 2},
                 is_bad ? kBad : static_cast<float>(thread * 1000 + round));
        if (thread == 7) one.call.deadline_ns = now_ns() + round * 1000;
        if (thread == 9) one.cancelled = round % 2;
        one.status = batcher->run(one.call, {&one.input, 1}, {&one, Call::output}, watcher);
        if (is_bad) {
          EXPECT_EQ(one.status.code(), VACCEL_INTERNAL);
        } else if (one.status.ok() || (thread != 7 && thread != 9)) {
          EXPECT_TRUE(one.is_right()) << one.status.message();
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

TEST(BatcherCheck, SaysWhatCannotBeJoined) {
  const std::vector<TensorFacts> open = {{"x", {-1, 3}, false, VACCEL_FLOAT32}};
  const std::vector<TensorFacts> fixed = {{"y", {1, 3}, false, VACCEL_FLOAT32}};
  const std::vector<TensorFacts> words = {{"z", {-1}, false, VACCEL_STRING}};
  EXPECT_TRUE(Batcher::check(open, open).ok());
  EXPECT_EQ(
      Batcher::check(open, fixed).message(),
      "its output 'y' is float32 [1, 3]; calls can be joined where the first dimension is open, and not of "
      "strings");
  EXPECT_EQ(Batcher::check(words, open).code(), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(Batcher::check(open, {}).message(), "it has no outputs");
}

}  // namespace
}  // namespace vaccel::runtime
