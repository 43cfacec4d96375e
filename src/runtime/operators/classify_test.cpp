// SPDX-License-Identifier: Apache-2.0
//
// Classification from an image file to labels, on the real MobileNet, a real photo and ONNX Runtime.
#include "runtime/operators/classify.h"

#include <thread>

#include "core/clock.h"
#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using testing::make_runtime;
using testing::photo;
using testing::read_text;
using testing::real_catalogue;
using testing::TestCall;

#if defined(__has_feature)
constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#elif defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

class ClassifyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(real_catalogue() / "mobilenet" / "model.toml")) {
      GTEST_SKIP() << "skipped: no MobileNet in " << real_catalogue() << "; scripts/make-catalogue makes it";
    }
    if (!std::filesystem::exists(photo("chelsea.png"))) {
      GTEST_SKIP() << "skipped: no " << photo("chelsea.png") << "; scripts/setup fetches it";
    }
    // ThreadSanitizer does not see how the threads of ONNX Runtime, which it did not compile, wait for each other.
    std::map<std::string, std::vector<BackendOption>> options;
    if (kThreadSanitizer) options["onnxruntime"] = {{"threads", "1", "classify_test"}};
    runtime = make_runtime(real_catalogue(), std::move(options));
    ASSERT_NE(runtime, nullptr);
    if (const std::string reason = testing::why_not(*runtime, "onnxruntime"); !reason.empty()) {
      GTEST_SKIP() << "skipped: " << reason;
    }
    const auto opened = runtime->open_model("mobilenet");
    ASSERT_TRUE(opened) << opened.error().message();
    model = *opened;
    cat = read_text(photo("chelsea.png"));
  }
  void TearDown() override {
    if (model != nullptr) runtime->close_model(model);
  }

  std::unique_ptr<Runtime> runtime;
  Model* model = nullptr;
  std::string cat;
};

TEST_F(ClassifyTest, SeesTheEgyptianCat) {
  TestCall call("classify", model);
  vaccel_timings timings{};
  call.call.timings = &timings;
  ASSERT_EQ(call.integer("top", 5).image(cat).run(*runtime), VACCEL_OK) << call.sentence;

  ASSERT_EQ(call.outputs.size(), 3u);
  EXPECT_EQ(call.outputs[0].name, "index");
  EXPECT_EQ(call.outputs[0].dtype, VACCEL_INT32);
  EXPECT_EQ(call.outputs[1].name, "score");
  EXPECT_EQ(call.outputs[1].dtype, VACCEL_FLOAT32);
  EXPECT_EQ(call.outputs[2].name, "label");
  EXPECT_EQ(call.outputs[2].dtype, VACCEL_STRING);
  for (size_t index = 0; index < 3; ++index)
    EXPECT_EQ(call.outputs[index].shape, std::vector<int64_t>{5});

  const auto scores = call.outputs[1].as<float>();
  EXPECT_EQ(call.outputs[0].as<int32_t>()[0], 286);
  EXPECT_EQ(call.outputs[2].strings()[0], "Egyptian cat");
  EXPECT_GT(scores[0], 0.88F);
  EXPECT_LT(scores[0], 0.96F);
  for (size_t index = 1; index < scores.size(); ++index)
    EXPECT_LE(scores[index], scores[index - 1]);
  RecordProperty("score", std::to_string(scores[0]));

  EXPECT_GT(timings.decode_ns, 0u);
  EXPECT_GT(timings.prepare_ns, 0u);
  EXPECT_GT(timings.infer_ns, 0u);
  EXPECT_GT(timings.postprocess_ns, 0u);
}

TEST_F(ClassifyTest, GivesAllClassesWhenMoreAreAskedFor) {
  TestCall call("classify", model);
  ASSERT_EQ(call.integer("top", 4'000'000'000).image(cat).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(call.outputs[0].shape, std::vector<int64_t>{1001});
  EXPECT_EQ(call.outputs[2].strings().size(), 1001u);
}

TEST_F(ClassifyTest, ManyThreadsGetTheirOwnResults) {
  const std::string person = read_text(photo("astronaut.png"));
  ASSERT_FALSE(person.empty());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 5; ++round) {
        const bool is_cat = (thread + round) % 2 == 0;
        TestCall call("classify", model);
        ASSERT_EQ(call.integer("top", 1).image(is_cat ? cat : person).run(*runtime), VACCEL_OK)
            << call.sentence;
        EXPECT_EQ(call.outputs[0].as<int32_t>()[0] == 286, is_cat);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

TEST_F(ClassifyTest, RefusesBadImagesWithTheReason) {
  const auto refusal = [&](const std::string& file) {
    TestCall call("classify", model);
    EXPECT_EQ(call.integer("top", 1).image(file).run(*runtime), VACCEL_INVALID_ARGUMENT);
    EXPECT_TRUE(call.outputs.empty());
    return call.sentence;
  };
  EXPECT_EQ(refusal(""), "the image is empty: it has 0 bytes");
  EXPECT_EQ(refusal("hello, world"), "the 12 bytes are no PNG, JPEG or WebP image: it looks like text");
  EXPECT_EQ(refusal(cat.substr(0, cat.size() / 2)), "the PNG image is cut off");
}

TEST_F(ClassifyTest, RefusesWrongArguments) {
  TestCall no_model("classify");
  EXPECT_EQ(no_model.integer("top", 1).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(no_model.sentence, "operator 'classify' works on a model, and the call names none");

  TestCall no_top("classify", model);
  EXPECT_EQ(no_top.image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(no_top.sentence, "operator 'classify' needs attribute 'top', an integer");

  TestCall zero("classify", model);
  EXPECT_EQ(zero.integer("top", 0).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(zero.sentence, "attribute 'top' of operator 'classify' is 0; it must be 1 to 4294967295");

  TestCall word("classify", model);
  EXPECT_EQ(word.text("top", "five").image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(word.sentence, "attribute 'top' of operator 'classify' must be an integer, and is a string");

  TestCall unknown("classify", model);
  EXPECT_EQ(unknown.integer("top", 1).integer("bottom", 1).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(unknown.sentence, "operator 'classify' has no attribute 'bottom'; it has: 'top'");

  TestCall twice("classify", model);
  EXPECT_EQ(twice.integer("top", 1).integer("top", 2).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(twice.sentence, "attribute 'top' is given twice");

  TestCall floats("classify", model);
  EXPECT_EQ(
      floats.integer("top", 1).input("image", VACCEL_FLOAT32, {2}, std::vector<float>{1, 2}).run(*runtime),
      VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(floats.sentence,
            "input 'image' is float32 [2]; it must be uint8 [n], the bytes of a PNG, JPEG or WebP file");

  TestCall none("classify", model);
  EXPECT_EQ(none.integer("top", 1).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(none.sentence, "operator 'classify' takes 1 to 64 images; 0 inputs are given");
}

TEST_F(ClassifyTest, StopsForDeadlinesAndCancellation) {
  TestCall late("classify", model);
  late.call.deadline_ns = now_ns() - 1;
  EXPECT_EQ(late.integer("top", 1).image(cat).run(*runtime), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(late.sentence, "the call's deadline has passed");

  const std::atomic<int> cancelled = 1;
  TestCall given_up("classify", model);
  given_up.call.cancelled = &cancelled;
  EXPECT_EQ(given_up.integer("top", 1).image(cat).run(*runtime), VACCEL_CANCELLED);
}

TEST_F(ClassifyTest, SaysWhenThereIsNoRoomForResults) {
  TestCall call("classify", model);
  call.output_limit = 10;
  EXPECT_EQ(call.integer("top", 5).image(cat).run(*runtime), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence, "no memory for result 'index' of 20 bytes: the limit for results is reached");
}

}  // namespace
}  // namespace vaccel::runtime
