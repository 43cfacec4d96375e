// SPDX-License-Identifier: Apache-2.0
//
// Delegates from shared libraries, with one in the place of Coral's (fake_delegate_for_tests.cpp); and since that one
// can be held in the middle of a run, how runs wait for each other.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/clock.h"
#include "tflite_testing.h"

namespace vaccel::tflite {
namespace {

using namespace testing;
using runtime::BackendOption;
using runtime::testing::TestCall;

constexpr char kFakeDelegate[] = VACCEL_TFLITE_TEST_LIBRARIES "/libfake_delegate_for_tests.so";
constexpr char kEdgeTpuOperator[] = "edgetpu-custom-op";

class DelegatesTest : public TfliteTest {
 protected:
  static std::vector<BackendOption> with(
      const std::string& library, const std::vector<std::pair<std::string, std::string>>& values = {}) {
    std::vector<BackendOption> options = {{"delegates.0.library", library, "f:1:1"}};
    for (const auto& [key, value] : values)
      options.push_back({"delegates.0." + key, value, "f:1:1"});
    return options;
  }
};

TEST_F(DelegatesTest, RunsWhatOnlyADelegateCanRun) {
  ASSERT_EQ(open(custom(kEdgeTpuOperator, {-1, 2}), with(kFakeDelegate, {{"factor", "3"}})), "");
  EXPECT_EQ(report().devices, std::string(kFakeDelegate) + ", CPU");
  for (const int64_t batch : {1, 2, 5}) {
    const std::vector<float> x(static_cast<size_t>(batch) * 2, 10);
    TestCall call("infer", model);
    ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {batch, 2}, x).run(*runtime), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{batch, 2}));
    EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>(x.size(), 31));
  }
}

TEST_F(DelegatesTest, SharesAModelWithTheProcessor) {
  Graph graph;
  const int32_t x = graph.input("x", kFloat, {2});
  const int32_t half = graph.tensor({"half", kFloat, {2}, {}});
  const int32_t y = graph.output("y", kFloat, {2});
  graph.node(kCustom, {x}, {half}, {}, kEdgeTpuOperator).node(kAdd, {half, x}, {y});
  ASSERT_EQ(open(TfliteModel(graph), with(kFakeDelegate, {{"factor", "2"}})), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {2}, std::vector<float>{1, 10}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{4, 31}));
}

TEST_F(DelegatesTest, AnEdgeTpuModelWithoutADelegateIsRefused) {
  const std::string start =
      "model 'm' cannot be used: the model is compiled for a Coral Edge TPU (operator 'edgetpu-custom-op'), "
      "and no "
      "delegate here runs it: [backend.tflite] delegates = [{ library = \"libedgetpu.so.1\" }] loads Coral's";
  EXPECT_EQ(open(custom(kEdgeTpuOperator, {2})), start);
  const std::string skipped = open(custom(kEdgeTpuOperator, {2}), with("/nonexistent/libedgetpu.so.1"));
  EXPECT_TRUE(skipped.starts_with(
      start + "; delegate '/nonexistent/libedgetpu.so.1' does not work here: /nonexistent/libedgetpu.so.1: "))
      << skipped;
}

TEST_F(DelegatesTest, OtherCustomOperatorsAreNamed) {
  for (const bool delegate : {false, true}) {
    const std::string sentence =
        open(custom("Acme\nOperator", {2}), delegate ? with(kFakeDelegate) : std::vector<BackendOption>{});
    EXPECT_TRUE(
        sentence.starts_with("model 'm' cannot be used: the model's operators 'Acme?Operator' are custom "
                             "ones, and neither TensorFlow Lite "
                             "nor a delegate here runs them all: Encountered unresolved custom op: "))
        << sentence;
  }
}

TEST_F(DelegatesTest, OneThatDoesNotWorkIsSkippedUnlessItIsRequired) {
  const std::string file = identity(kFloat, {1}).file();
  const auto required = [&](const std::string& library,
                            std::vector<std::pair<std::string, std::string>> values) {
    EXPECT_EQ(open(file, with(library, values)), "");
    EXPECT_EQ(report().devices, "CPU");
    values.emplace_back("required", "true");
    EXPECT_NE(open(file, with(library, values)), "");
    return runtime::testing::why_not(*runtime, "tflite");
  };
  const std::string fake = std::string("delegate '") + kFakeDelegate + "' does not work here: ";
  EXPECT_EQ(required(kFakeDelegate, {{"fail", "no device of that kind"}}), fake + "no device of that kind");
  EXPECT_EQ(required(kFakeDelegate, {{"colour", "red"}}), fake + "no such option: colour");
  EXPECT_TRUE(required("/nonexistent/libedgetpu.so.1", {})
                  .starts_with("delegate '/nonexistent/libedgetpu.so.1' does not work here: "));
  EXPECT_EQ(required("libm.so.6", {}),
            "delegate 'libm.so.6' does not work here: the library exports no tflite_plugin_create_delegate: "
            "it is no "
            "delegate");
}

TEST_F(DelegatesTest, ADeviceThatVanishesMayComeBack) {
  const std::filesystem::path gone = folder.path() / "gone";
  ASSERT_EQ(open(custom(kEdgeTpuOperator, {1}), with(kFakeDelegate, {{"gone", gone.string()}})), "");
  const auto run = [&](vaccel_status expected) {
    TestCall call("infer", model);
    EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), expected);
    return call.sentence;
  };
  EXPECT_EQ(run(VACCEL_OK), "");
  runtime::testing::write_text(gone, "");
  EXPECT_EQ(run(VACCEL_UNAVAILABLE),
            "TensorFlow Lite failed, or a delegate did: Node number 1 (FakeEdgeTpu) failed to invoke.");
  EXPECT_EQ(run(VACCEL_UNAVAILABLE),
            std::string("delegate '") + kFakeDelegate + "' failed: no device of that kind");
  std::filesystem::remove(gone);
  EXPECT_EQ(run(VACCEL_OK), "");
}

TEST_F(DelegatesTest, AModelMayHaveNoInputs) {
  const std::filesystem::path gone = folder.path() / "gone";
  Graph graph;
  const int32_t three = graph.constant<float>("three", kFloat, {1}, {3});
  graph.node(kCustom, {three}, {graph.output("y", kFloat, {1})}, {}, kEdgeTpuOperator);
  std::vector<BackendOption> options = with(kFakeDelegate, {{"gone", gone.string()}});
  options.push_back({"xnnpack", "false", "f:2:1"});  // which would have made everything ready
  ASSERT_EQ(open(TfliteModel(graph), std::move(options)), "");
  for (const bool first : {true, false}) {
    TestCall call("infer", model);
    ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{4});
    if (!first) break;
    // Has the interpreter thrown away that opening the model has made ready.
    runtime::testing::write_text(gone, "");
    EXPECT_EQ(TestCall("infer", model).run(*runtime), VACCEL_UNAVAILABLE);
    std::filesystem::remove(gone);
  }
}

// A model with one interpreter, on which a run can be held until it is let go.
class HeldTest : public DelegatesTest {
 protected:
  void SetUp() override {
    DelegatesTest::SetUp();
    if (IsSkipped()) return;
    gate = folder.path() / "gate";
    ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
    std::vector<BackendOption> options = with(kFakeDelegate, {{"gate", gate.string()}});
    options.push_back({"interpreters", "1", "f:2:1"});
    ASSERT_EQ(open(custom(kEdgeTpuOperator, {1}), std::move(options)), "");
  }

  // Returns when the held run is in the delegate: only then does its FIFO have two ends.
  void hold() {
    held = std::thread([this] {
      TestCall call("infer", model);
      EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{-5}).run(*runtime), VACCEL_OK)
          << call.sentence;
      EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{-4});
    });
    gate_end = ::open(gate.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(gate_end, 0);
  }
  void let_go() {
    EXPECT_EQ(::write(gate_end, "!", 1), 1);
    ::close(gate_end);
    held.join();
  }

  std::filesystem::path gate;
  std::thread held;
  int gate_end = -1;
};

TEST_F(HeldTest, ARunThatWaitsForItsTurnCanBeGivenUp) {
  hold();
  TestCall late("infer", model);
  late.call.deadline_ns = now_ns() + 20'000'000;
  EXPECT_EQ(late.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime),
            VACCEL_DEADLINE_EXCEEDED);

  std::atomic<int> cancelled = 0;
  std::thread canceller([&] { cancelled = 1; });
  TestCall given_up("infer", model);
  given_up.call.cancelled = &cancelled;
  EXPECT_EQ(given_up.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), VACCEL_CANCELLED);
  canceller.join();
  let_go();
}

TEST_F(HeldTest, ARunThatWaitsGetsItsTurn) {
  hold();
  std::thread waiting([&] {
    TestCall call("infer", model);
    EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), VACCEL_OK)
        << call.sentence;
    EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{2});
  });
  let_go();
  waiting.join();
}

TEST_F(HeldTest, ACallThatWasCancelledMeanwhileGivesNoResult) {
  std::atomic<int> cancelled = 0;
  std::thread run([&] {
    TestCall call("infer", model);
    call.call.cancelled = &cancelled;
    EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{-5}).run(*runtime), VACCEL_CANCELLED);
    EXPECT_TRUE(call.outputs.empty());
  });
  gate_end = ::open(gate.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(gate_end, 0);
  cancelled = 1;
  EXPECT_EQ(::write(gate_end, "!", 1), 1);
  ::close(gate_end);
  run.join();
}

}  // namespace
}  // namespace vaccel::tflite
