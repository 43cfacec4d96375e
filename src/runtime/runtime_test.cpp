// SPDX-License-Identifier: Apache-2.0
//
// The runtime as a whole: backends, their operators, models that come and go.
#include "runtime/runtime.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <span>
#include <thread>

#include "core/clock.h"
#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using testing::make_runtime;
using testing::TemporaryFolder;
using testing::TestCall;
using testing::write_text;

class ReferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime = make_runtime("", {{"reference", {{"faults", "true", "vaccel.toml:1:1"}}}});
    ASSERT_NE(runtime, nullptr);
    ASSERT_EQ(testing::why_not(*runtime, "reference"), "");
  }
  std::unique_ptr<Runtime> runtime;
};

TEST_F(ReferenceTest, EchoesEveryTensor) {
  for (const char* name : {"reference.echo", "vaccel.echo"}) {
    TestCall call(name);
    call.input("floats", VACCEL_FLOAT32, {2, 1}, std::vector<float>{1, 2});
    call.input(nullptr, VACCEL_UINT8, {0}, std::vector<uint8_t>{});
    call.input("scalar", VACCEL_INT64, {}, std::vector<int64_t>{-5});
    ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
    ASSERT_EQ(call.outputs.size(), 3u);
    EXPECT_EQ(call.outputs[0].name, "floats");
    EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{2, 1}));
    EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{1, 2}));
    EXPECT_EQ(call.outputs[1].shape, std::vector<int64_t>{0});
    EXPECT_EQ(call.outputs[2].as<int64_t>(), std::vector<int64_t>{-5});
  }
}

TEST_F(ReferenceTest, AddsUpAndFills) {
  TestCall sum("reference.checksum");
  sum.input("a", VACCEL_UINT8, {3}, std::vector<uint8_t>{1, 2, 255})
      .input("b", VACCEL_UINT8, {1}, std::vector<uint8_t>{9});
  ASSERT_EQ(sum.run(*runtime), VACCEL_OK) << sum.sentence;
  EXPECT_EQ(sum.outputs[0].as<uint64_t>(), std::vector<uint64_t>{267});

  TestCall fill("reference.fill");
  ASSERT_EQ(fill.integer("value", 7).integer("bytes", 5).run(*runtime), VACCEL_OK) << fill.sentence;
  EXPECT_EQ(fill.outputs[0].as<uint8_t>(), std::vector<uint8_t>(5, 7));

  TestCall missing("reference.fill");
  EXPECT_EQ(missing.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(missing.sentence, "attribute 'bytes', an integer, is missing");
}

TEST_F(ReferenceTest, DelaysAreEndedEarly) {
  const Stopwatch watch;
  TestCall full("reference.delay");
  EXPECT_EQ(full.integer("microseconds", 5000).run(*runtime), VACCEL_OK) << full.sentence;
  EXPECT_GE(watch.elapsed_ns(), 5'000'000u);

  TestCall late("reference.delay");
  late.call.deadline_ns = now_ns() + 20'000'000;
  EXPECT_EQ(late.integer("microseconds", 60'000'000).run(*runtime), VACCEL_DEADLINE_EXCEEDED);

  std::atomic<int> cancelled = 0;
  TestCall given_up("reference.delay");
  given_up.call.cancelled = &cancelled;
  std::thread canceller([&] { cancelled = 1; });
  EXPECT_EQ(given_up.integer("microseconds", 60'000'000).run(*runtime), VACCEL_CANCELLED);
  canceller.join();
  EXPECT_LT(watch.elapsed_ns(), 10'000'000'000u);
}

TEST_F(ReferenceTest, ManyDelaysAreCancelledApart) {
  constexpr size_t kCalls = 16;
  std::atomic<int> flags[kCalls] = {};
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (size_t index = 0; index < kCalls; ++index) {
    threads.emplace_back([&, index] {
      TestCall call("reference.delay");
      call.call.cancelled = &flags[index];
      const bool ends_itself = index % 2 == 0;
      EXPECT_EQ(call.integer("microseconds", ends_itself ? 20'000 : 60'000'000).run(*runtime),
                ends_itself ? VACCEL_OK : VACCEL_CANCELLED);
      ++done;
    });
  }
  while (done < static_cast<int>(kCalls / 2))
    std::this_thread::yield();
  for (std::atomic<int>& flag : flags)
    flag = 1;
  for (std::thread& thread : threads)
    thread.join();
}

TEST_F(ReferenceTest, FaultsAreToldOrRefused) {
  TestCall fault("reference.fault");
  EXPECT_EQ(fault.text("kind", "error").text("message", "as asked").run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(fault.sentence, "as asked");
  TestCall unknown("reference.fault");
  EXPECT_EQ(unknown.text("kind", "boredom").run(*runtime), VACCEL_INVALID_ARGUMENT);

  const auto careful = make_runtime("");
  TestCall off("reference.fault");
  EXPECT_EQ(off.text("kind", "abort").run(*careful), VACCEL_PERMISSION_DENIED);
  EXPECT_EQ(off.sentence, "faults are off; [backend.reference] faults = true turns them on");
}

TEST_F(ReferenceTest, FaultsKillTheProcessThatAskedForThem) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto fault = [&](const char* kind) {
    TestCall call("reference.fault");
    (void)call.text("kind", kind).run(*runtime);
  };
  EXPECT_EXIT(fault("abort"), ::testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT(fault("exit"), ::testing::ExitedWithCode(3), "");
}

TEST_F(ReferenceTest, ANoopTakesAnythingAndReturnsNothing) {
  TestCall call("reference.noop");
  ASSERT_EQ(call.integer("whatever", 1).input("x", VACCEL_INT8, {1}, std::vector<int8_t>{1}).run(*runtime),
            VACCEL_OK);
  EXPECT_TRUE(call.outputs.empty());
}

TEST_F(ReferenceTest, WhatIsNotThereIsNamed) {
  TestCall unknown("reference.nope");
  EXPECT_EQ(unknown.run(*runtime), VACCEL_NOT_FOUND);
  EXPECT_TRUE(unknown.sentence.starts_with(
      "no operator 'reference.nope' here; there are: classify, detect, segment, pose, depth, infer, "
      "vaccel.echo, transfer, gemm, gemv, axpy, scal, dot, nrm2, add, copy, min, max, reference.echo, "
      "reference.noop"))
      << unknown.sentence;

  TestCall elsewhere("reference.echo");
  elsewhere.call.backend = "onnxruntime";
  EXPECT_EQ(elsewhere.run(*runtime), VACCEL_NOT_FOUND);
  EXPECT_EQ(elsewhere.sentence,
            "backend 'onnxruntime' has no operator 'reference.echo'; backend 'reference' has");

  const auto model = runtime->open_model("nope");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().message(), "no model 'nope' in the catalogue; it has: none");
}

TEST_F(ReferenceTest, NoRoomForAResultIsSaid) {
  TestCall call("reference.fill");
  call.output_limit = 100;
  EXPECT_EQ(call.integer("bytes", 101).run(*runtime), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence, "no memory for result 0, 'data', of 101 bytes: the limit for results is reached");
}

TEST_F(ReferenceTest, PostedWorkRunsAndIsFinishedBeforeTheEnd) {
  std::atomic<int> ran = 0;
  for (int index = 0; index < 100; ++index) {
    ASSERT_TRUE(
        runtime->post([](void* argument) { ++*static_cast<std::atomic<int>*>(argument); }, &ran).ok());
  }
  runtime.reset();
  EXPECT_EQ(ran, 100);
}

TEST_F(ReferenceTest, OperatorsOfManyThreadsKeepTheirResults) {
  std::vector<std::thread> threads;
  for (uint8_t thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 500; ++round) {
        TestCall call("reference.fill");
        ASSERT_EQ(call.integer("bytes", 64).integer("value", thread).run(*runtime), VACCEL_OK);
        ASSERT_EQ(call.outputs[0].as<uint8_t>(), std::vector<uint8_t>(64, thread));
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

TEST(RuntimeTest, WrongOptionsOfABackendAreItsProblem) {
  const auto runtime = make_runtime("", {{"reference", {{"folts", "true", "vaccel.toml:7:1"}}}});
  EXPECT_EQ(testing::why_not(*runtime, "reference"),
            "vaccel.toml:7:1: unknown option 'folts'; there is: faults");
}

TEST(RuntimeTest, BackendsThatCannotLoadAreReported) {
  TemporaryFolder folder;
  write_text(folder.path() / "libvaccel-backend-text.so", "not a library");
  write_text(folder.path() / "libvaccel-backend-UPPER.so", "not a library");
  write_text(folder.path() / "unrelated.so", "not looked at");
  std::filesystem::copy(testing::backend_folder() / "libvaccel-backend-reference.so",
                        folder.path() / "libvaccel-backend-renamed.so");
  RuntimeConfig config;
  config.backend_directory = folder.path();
  std::vector<std::string> log;
  config.log = [&](int, const std::string& line) { log.push_back(line); };
  auto runtime = Runtime::create(std::move(config));
  ASSERT_TRUE(runtime);
  std::map<std::string, std::string> problems;
  for (const BackendReport& report : (*runtime)->backends())
    problems[report.name] = report.problem;
  ASSERT_EQ(problems.size(), 3u);
  EXPECT_TRUE(problems["text"].starts_with("cannot load it: ")) << problems["text"];
  EXPECT_EQ(problems["UPPER"], "its name may have at most 32 of a-z, 0-9 and '-'");
  EXPECT_EQ(problems["renamed"], "its table says that it is 'reference'; by its file's name it is 'renamed'");
  EXPECT_EQ(log.size(), 3u);
  // What needs no backend goes on.
  TestCall call("vaccel.echo");
  EXPECT_EQ(call.run(**runtime), VACCEL_OK);
}

TEST(RuntimeTest, ABackendThatIsAskedForAndMissingIsReported) {
  RuntimeConfig config;
  config.backend_directory = testing::backend_folder();
  config.backends = {"reference", "imaginary"};
  auto runtime = Runtime::create(std::move(config));
  ASSERT_TRUE(runtime);
  ASSERT_EQ((*runtime)->backends().size(), 2u);
  EXPECT_TRUE((*runtime)->backends()[0].problem.starts_with("cannot load it: "));
  EXPECT_EQ((*runtime)->backends()[1].problem, "");
}

TEST(RuntimeTest, ACatalogueThatIsNotThereIsFatal) {
  RuntimeConfig config;
  config.catalogue = "/nonexistent/catalogue";
  const auto runtime = Runtime::create(std::move(config));
  ASSERT_FALSE(runtime);
  EXPECT_EQ(runtime.error().message(),
            "cannot read the catalogue folder /nonexistent/catalogue: No such file or directory");
}

std::string model_toml(const std::string& name, const std::string& format) {
  return "name = \"" + name + "\"\ntask = \"infer\"\n[model]\nfile = \"model.bin\"\nformat = \"" + format +
         "\"\nsha256 = \"" + std::string(64, '0') + "\"\n";
}

TEST(RuntimeTest, WrongModelsAreRefusedByNameAndListed) {
  TemporaryFolder folder;
  write_text(folder.path() / "hash" / "model.toml", model_toml("hash", "onnx"));
  write_text(folder.path() / "hash" / "model.bin", "x");
  write_text(folder.path() / "format" / "model.toml", model_toml("format", "papyrus"));
  write_text(folder.path() / "format" / "model.bin", "x");
  write_text(folder.path() / "toml" / "model.toml", "name = ");
  const auto runtime = make_runtime(folder.path());
  const auto sentence = [&](const char* name) {
    const auto model = runtime->open_model(name);
    EXPECT_FALSE(model);
    return model ? "" : model.error().message();
  };
  if (testing::why_not(*runtime, "onnxruntime").empty()) {
    EXPECT_TRUE(sentence("hash").starts_with("model 'hash' cannot be used: model.bin has SHA-256 "))
        << sentence("hash");
  }
  EXPECT_TRUE(sentence("format").starts_with(
      "model 'format' cannot be used: no backend here runs its format \"papyrus\""))
      << sentence("format");
  EXPECT_TRUE(sentence("toml").starts_with("model 'toml' cannot be used: model.toml:1:")) << sentence("toml");
  EXPECT_EQ(sentence("nope"), "no model 'nope' in the catalogue; it has: format, hash, toml");

  const vaccel_model_list& list = runtime->list_models();
  ASSERT_EQ(list.count, 3u);
  for (size_t index = 0; index < list.count; ++index)
    EXPECT_STRNE(list.models[index]->problem, "") << list.models[index]->name;
  EXPECT_STREQ(list.models[0]->name, "format");
  const auto described = runtime->describe_model("toml");
  ASSERT_TRUE(described);
  EXPECT_STRNE((*described)->problem, "");
  EXPECT_EQ((*described)->input_count, 0u);
}

TEST(RuntimeTest, ModelsAreSharedAndComeBack) {
  if (!std::filesystem::exists(testing::real_catalogue() / "mobilenet" / "model.toml")) {
    GTEST_SKIP() << "skipped: no MobileNet in " << testing::real_catalogue();
  }
  const auto runtime = make_runtime(testing::real_catalogue());
  if (const std::string reason = testing::why_not(*runtime, "onnxruntime"); !reason.empty()) {
    GTEST_SKIP() << "skipped: " << reason;
  }
  std::vector<std::thread> threads;
  std::atomic<Model*> first = nullptr;
  std::atomic<int> different = 0;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      const auto model = runtime->open_model("mobilenet");
      ASSERT_TRUE(model) << model.error().message();
      Model* expected = nullptr;
      if (!first.compare_exchange_strong(expected, *model) && expected != *model) ++different;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(different, 0);
  for (int thread = 0; thread < 8; ++thread)
    runtime->close_model(first);
  const auto again = runtime->open_model("mobilenet");
  ASSERT_TRUE(again);
  runtime->close_model(*again);

  const auto described = runtime->describe_model("mobilenet");
  ASSERT_TRUE(described);
  EXPECT_STREQ((*described)->task, "classify");
  EXPECT_STREQ((*described)->backend, "onnxruntime");
  ASSERT_EQ((*described)->input_count, 1u);
  EXPECT_STREQ((*described)->inputs[0].name, "input");
}

TEST(RuntimeTest, DescribesItself) {
  const auto runtime = make_runtime("");
  const vaccel_agent& agent = runtime->describe();
  EXPECT_EQ(agent.size, sizeof(vaccel_agent));
  EXPECT_STREQ(agent.version, "local 0.1.0");
  EXPECT_EQ(agent.model_count, 0u);
  EXPECT_EQ(agent.protocol_version, 0u);
  const auto* const end = agent.backends + agent.backend_count;
  const auto* const reference = std::find_if(
      agent.backends, end, [](const auto& one) { return std::string_view(one.name) == "reference"; });
  ASSERT_NE(reference, end);
  EXPECT_STREQ(reference->problem, "");
}

}  // namespace
}  // namespace vaccel::runtime
