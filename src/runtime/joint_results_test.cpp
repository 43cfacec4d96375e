// SPDX-License-Identifier: Apache-2.0
//
// What a real model gives to calls that were joined is what it gives to each alone: floats to 1e-5 of themselves (a sum in
// another order), labels exactly.
#include <atomic>
#include <cmath>
#include <latch>
#include <optional>
#include <thread>

#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using testing::make_runtime;
using testing::photo;
using testing::read_text;
using testing::real_catalogue;
using testing::TemporaryFolder;
using testing::TestCall;

constexpr int kThreads = 16;
constexpr const char* kModel = "mobilenet-batch";

class JointResults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(real_catalogue() / kModel / "model.toml"))
      GTEST_SKIP() << "skipped: no " << kModel << " in " << real_catalogue()
                   << "; scripts/make-catalogue makes it";
    open(joined, "[batching]\nmax_size = 8\ntuned = false\nruns = 1\n");
    if (IsSkipped() || HasFatalFailure()) return;
    open(single, "[batching]\nenabled = false\n");
  }
  void TearDown() override {
    for (Opened* one : {&joined, &single}) {
      if (one->model != nullptr) one->runtime->close_model(one->model);
    }
  }

  struct Opened {
    TemporaryFolder catalogue;
    std::unique_ptr<Runtime> runtime;
    Model* model = nullptr;
  };
  // The catalogue's model, with another word on batching.
  static void open(Opened& opened, const char* batching) {
    const auto folder = opened.catalogue.path() / kModel;
    std::filesystem::copy(real_catalogue() / kModel, folder);
    testing::write_text(folder / "model.toml", read_text(folder / "model.toml") + "\n" + batching);
    opened.runtime = make_runtime(opened.catalogue.path());
    ASSERT_NE(opened.runtime, nullptr);
    if (const std::string reason = testing::why_not(*opened.runtime, "onnxruntime"); !reason.empty())
      GTEST_SKIP() << "skipped: " << reason;
    const auto model = opened.runtime->open_model(kModel);
    ASSERT_TRUE(model) << model.error().message();
    opened.model = *model;
  }

  static std::vector<float> picture(int seed) {
    std::vector<float> values(size_t{3} * 224 * 224);
    for (size_t index = 0; index < values.size(); ++index)
      values[index] = std::sin(static_cast<float>(index) * 0.001F * static_cast<float>(seed + 1));
    return values;
  }
  static std::vector<float> infer(Opened& opened, const std::vector<float>& input, uint32_t* together) {
    TestCall call("infer", opened.model);
    EXPECT_EQ(call.input("input", VACCEL_FLOAT32, {1, 3, 224, 224}, input).run(*opened.runtime), VACCEL_OK)
        << call.sentence;
    if (together != nullptr) *together = call.call.batch;
    EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{1, 1001}));
    return call.outputs[0].as<float>();
  }

  Opened joined;
  Opened single;
};

TEST_F(JointResults, AreThoseOfSingleRuns) {
  EXPECT_GT(Runtime::calls_wanted(*joined.model), 1u);
  EXPECT_EQ(Runtime::calls_wanted(*single.model), 0u);
  std::atomic<uint32_t> most_together = 0;
  std::latch all_there(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      const auto input = picture(thread);
      all_there.arrive_and_wait();
      for (int round = 0; round < 3; ++round) {
        uint32_t together = 0;
        const auto ours = infer(joined, input, &together);
        for (uint32_t seen = most_together;
             seen < together && !most_together.compare_exchange_weak(seen, together);) {
        }
        const auto alone = infer(single, input, nullptr);
        ASSERT_EQ(ours.size(), alone.size());
        for (size_t index = 0; index < ours.size(); ++index)
          ASSERT_NEAR(ours[index], alone[index], 1e-5F * std::fabs(alone[index]) + 1e-7F) << index;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_GT(most_together, 1u);
  EXPECT_LE(most_together, 8u);
}

TEST_F(JointResults, OfPicturesHaveTheSameLabels) {
  const std::string cat = read_text(photo("chelsea.png"));
  const std::string person = read_text(photo("astronaut.png"));
  if (cat.empty() || person.empty()) GTEST_SKIP() << "skipped: no photos; scripts/setup fetches them";
  const auto classify = [](Opened& opened, const std::string& image) {
    TestCall call("classify", opened.model);
    EXPECT_EQ(call.integer("top", 1).image(image).run(*opened.runtime), VACCEL_OK) << call.sentence;
    return call.outputs[0].as<int32_t>();
  };
  const auto cat_alone = classify(single, cat);
  const auto person_alone = classify(single, person);
  ASSERT_EQ(cat_alone.at(0), 286);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 2; ++round) {
        const bool is_cat = (thread + round) % 2 == 0;
        EXPECT_EQ(classify(joined, is_cat ? cat : person), is_cat ? cat_alone : person_alone);
      }
      TestCall broken("classify", joined.model);
      EXPECT_EQ(broken.integer("top", 1).image(cat.substr(0, 1000)).run(*joined.runtime),
                VACCEL_INVALID_ARGUMENT);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

}  // namespace
}  // namespace vaccel::runtime
