// SPDX-License-Identifier: Apache-2.0
//
// The backend on the real OpenCV, through the runtime's own loader and operators: small models that each test writes, and
// MobileNet on a real photo.
#include <cmath>
#include <random>
#include <thread>

#include "../common/model_source_testing.h"
#include "../common/other_library_testing.h"
#include "../onnxruntime/onnx_testing.h"
#include "runtime/runtime_testing.h"

namespace vaccel::opencv {
namespace {

using namespace onnxruntime::testing;  // the models
using runtime::BackendOption;
using runtime::Model;
using runtime::Runtime;
using runtime::testing::TestCall;

class OpencvTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime = runtime::testing::make_runtime("");
    ASSERT_NE(runtime, nullptr);
    const std::string reason = runtime::testing::why_not(*runtime, "opencv");
    if (!reason.empty()) GTEST_SKIP() << "skipped: " << reason;
    ::testing::internal::CaptureStderr();
    capturing = true;
  }

  void TearDown() override {
    close();
    if (!capturing) return;
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  }

  void close() {
    if (model != nullptr) runtime->close_model(model);
    model = nullptr;
  }

  // Makes a catalogue of one model and opens it; the failure's sentence, or "". `tables` follow in model.toml.
  std::string open(const std::string& file, std::vector<BackendOption> options = {},
                   const std::string& tables = "") {
    close();
    runtime::testing::write_text(folder.path() / "m" / "model.onnx", file);
    runtime::testing::write_text(
        folder.path() / "m" / "model.toml",
        "name = \"m\"\ntask = \"infer\"\n[model]\nfile = \"model.onnx\"\nformat = \"onnx\"\nsha256 = \"" +
            runtime::sha256_hex(runtime::testing::as_bytes(file)) + "\"\nbackends = [\"opencv\"]\n" + tables);
    return open_catalogue(folder.path(), "m", std::move(options));
  }

  std::string open_catalogue(const std::filesystem::path& catalogue, const char* name,
                             std::vector<BackendOption> options = {}) {
    runtime = runtime::testing::make_runtime(catalogue, {{"opencv", std::move(options)}});
    const auto opened = runtime->open_model(name);
    if (!opened) return opened.error().message();
    model = *opened;
    return "";
  }

  void must_open(const OnnxModel& made) { ASSERT_EQ(open(made.file()), ""); }

  runtime::testing::TemporaryFolder folder;
  std::unique_ptr<Runtime> runtime;
  Model* model = nullptr;
  bool capturing = false;  // what is printed, which must be nothing
};

TEST_F(OpencvTest, DescribesItself) {
  for (const runtime::BackendReport& one : runtime->backends()) {
    if (one.name != "opencv") continue;
    EXPECT_TRUE(one.version.starts_with("4.") || one.version.starts_with("5.")) << one.version;
    EXPECT_EQ(one.devices, "CPU");
  }
}

class OpencvMobileNet : public OpencvTest {
 protected:
  void SetUp() override {
    OpencvTest::SetUp();
    if (IsSkipped()) return;
    if (!std::filesystem::exists(catalogue / kName / "model.toml")) {
      GTEST_SKIP() << "skipped: no " << kName << " in " << catalogue << "; scripts/make-catalogue makes it";
    }
    if (!std::filesystem::exists(runtime::testing::photo("chelsea.png"))) {
      GTEST_SKIP() << "skipped: no " << runtime::testing::photo("chelsea.png")
                   << "; scripts/setup fetches it";
    }
  }

  static constexpr const char* kName = "mobilenet-opset10";
  const std::filesystem::path catalogue = runtime::testing::real_catalogue();
};

// 0.9436 is what TensorFlow Lite gives for the same weights.
TEST_F(OpencvMobileNet, SeesTheEgyptianCatAsOnnxRuntimeDoes) {
  ASSERT_EQ(open_catalogue(catalogue, kName), "");
  const std::string cat = runtime::testing::read_text(runtime::testing::photo("chelsea.png"));
  TestCall call("classify", model);
  ASSERT_EQ(call.integer("top", 5).image(cat).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(call.outputs[0].as<int32_t>()[0], 286);
  EXPECT_EQ(call.outputs[2].strings()[0], "Egyptian cat");
  const auto scores = call.outputs[1].as<float>();
  EXPECT_NEAR(scores[0], 0.9436F, 0.03F);

  if (!runtime::testing::why_not(*runtime, "onnxruntime").empty()) return;
  TestCall other("classify", model);
  other.call.backend = "onnxruntime";
  ASSERT_EQ(other.integer("top", 5).image(cat).run(*runtime), VACCEL_OK) << other.sentence;
  EXPECT_EQ(other.outputs[0].as<int32_t>(), call.outputs[0].as<int32_t>());
  const auto expected = other.outputs[1].as<float>();
  for (size_t index = 0; index < scores.size(); ++index)
    EXPECT_NEAR(scores[index], expected[index], 1e-3F) << index;
}

TEST_F(OpencvMobileNet, IsDescribedFromItsFile) {
  ASSERT_EQ(open_catalogue(catalogue, kName), "");
  const auto described = runtime->describe_model(kName);
  ASSERT_TRUE(described) << described.error().message();
  EXPECT_STREQ((*described)->backend, "opencv");
  ASSERT_EQ((*described)->input_count, 1u);
  EXPECT_STREQ((*described)->inputs[0].name, "input");
  EXPECT_EQ((*described)->inputs[0].dtype, VACCEL_FLOAT32);
  ASSERT_EQ((*described)->inputs[0].rank, 4);
  EXPECT_EQ((*described)->inputs[0].shape[3], 224);
  ASSERT_EQ((*described)->output_count, 1u);
  EXPECT_EQ((*described)->outputs[0].shape[1], 1001);
}

TEST_F(OpencvMobileNet, LabelsThatDoNotFitAreRefused) {
  std::filesystem::copy(catalogue / kName, folder.path() / kName, std::filesystem::copy_options::recursive);
  const auto labels = folder.path() / kName / "labels.txt";
  runtime::testing::write_text(labels, "one\ntwo\n");
  const auto description = folder.path() / kName / "model.toml";
  std::string text = runtime::testing::read_text(description);
  text.resize(text.find("labels_sha256"));
  runtime::testing::write_text(description, text);
  EXPECT_EQ(open_catalogue(folder.path(), kName),
            "model 'mobilenet-opset10' cannot be used: labels.txt has 2 labels, and its output "
            "'MobilenetV1/Predictions/Reshape_1' has 1001 classes");
}

TEST_F(OpencvMobileNet, AnOpsetThatOpencvDoesNotReadIsNamed) {
  std::filesystem::copy(catalogue / "mobilenet", folder.path() / "mobilenet",
                        std::filesystem::copy_options::recursive);
  const auto description = folder.path() / "mobilenet" / "model.toml";
  std::string text = runtime::testing::read_text(description);
  const std::string was = "backends = [\"onnxruntime\"]";
  ASSERT_NE(text.find(was), std::string::npos);
  runtime::testing::write_text(description,
                               text.replace(text.find(was), was.size(), "backends = [\"opencv\"]"));
  const std::string sentence = open_catalogue(folder.path(), "mobilenet");
  if (sentence.empty()) GTEST_SKIP() << "skipped: this OpenCV reads opset 13";
  EXPECT_TRUE(sentence.starts_with("model 'mobilenet' cannot be used: OpenCV ")) << sentence;
  EXPECT_NE(sentence.find(" refuses the model (ONNX opset 13): "), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("Clip"), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find(".cpp"), std::string::npos) << sentence;
}

// Half of a file, and files of noise, whatever they hit.
TEST_F(OpencvMobileNet, DamagedFilesAreRefused) {
  const std::string whole = runtime::testing::read_text(catalogue / kName / "model.onnx");
  for (const size_t length : {whole.size() / 2, whole.size() - 20, size_t{100}}) {
    const std::string sentence = open(whole.substr(0, length));
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: the file is no ONNX model")) << sentence;
  }
  std::mt19937 random(7);
  for (int file = 0; file < 20; ++file) {
    std::string noise(1000, '\0');
    for (char& byte : noise)
      byte = static_cast<char>(random());
    EXPECT_NE(open(noise), "");
  }
}

class OpencvModels : public OpencvTest {};

TEST_F(OpencvModels, OfOtherFormatsAreRefused) {
  EXPECT_EQ(open(""), "model 'm' cannot be used: model.onnx is empty");
  for (const std::string& file : {std::string("not a model at all"), std::string(1000, '\xff'),
                                  std::string("PK\x03\x04 and so on"), std::string("\x1c\0\0\0TFL3", 8)}) {
    const std::string sentence = open(file);
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: the file is no ONNX model, or damaged: "))
        << sentence;
  }
}

TEST_F(OpencvModels, WithAnUnknownOperatorAreRefused) {
  const std::string sentence = open(OnnxModel()
                                        .input("x", kFloat, {2})
                                        .output("y", kFloat, {2})
                                        .node("FluxCapacitor", {"x"}, {"y"})
                                        .file());
  EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: OpenCV ")) << sentence;
  EXPECT_NE(sentence.find("of type \"FluxCapacitor\""), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find(".hpp"), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
}

TEST_F(OpencvModels, WithWeightsInOtherFilesAreRefused) {
  runtime::testing::write_text(folder.path() / "weights.bin", "12345678");
  const std::string sentence = open(OnnxModel()
                                        .input("x", kFloat, {2})
                                        .output("y", kFloat, {2})
                                        .external_weight("w", 2, "../weights.bin")
                                        .node("Add", {"x", "w"}, {"y"})
                                        .file());
  EXPECT_NE(sentence.find("which are not loaded; save it as one file"), std::string::npos) << sentence;
}

// Wherever they are, and however the model comes.
TEST_F(OpencvModels, ReadNoOtherFile) {
  const backend_testing::FolderWithWeights weights("12345678");
  const backend_testing::ModelOpener opener("opencv", "onnx");
  for (const std::string& name : weights.names()) {
    const std::string bytes = OnnxModel()
                                  .input("x", kFloat, {2})
                                  .output("y", kFloat, {2})
                                  .external_weight("w", 2, name)
                                  .node("Add", {"x", "w"}, {"y"})
                                  .file();
    const std::filesystem::path file = weights.models() / "model.onnx";
    runtime::testing::write_text(file, bytes);
    for (const std::string& outcome : {opener.from_memory(bytes), opener.from_file(file)}) {
      EXPECT_TRUE(outcome.starts_with("INVALID_ARGUMENT: the model keeps weights ('w') in other files "))
          << name << ": " << outcome;
    }
  }
}

TEST_F(OpencvModels, ThatWantAHundredGigabytesAreRefused) {
  // By a weight that the file does not have.
  const Message weight = Message().number(1, 250'000).number(1, 100'000).number(2, kFloat).bytes(8, "w");
  const std::string claims = open(Message().message(7, Message().message(5, weight)).text());
  EXPECT_EQ(
      claims,
      "model 'm' cannot be used: the file is damaged or too large: tensor 'w' has a dimension or a size over "
      "2147483647");
  // By a constant that is computed, as large as a matrix can be.
  const std::string computes = open(OnnxModel()
                                        .input("x", kFloat, {1})
                                        .output("y", kFloat, {1})
                                        .weight("shape", {250'000, 100'000})
                                        .node("ConstantOfShape", {"shape"}, {"large"})
                                        .node("Add", {"x", "large"}, {"y"})
                                        .file());
  EXPECT_NE(computes.find("Failed to allocate 100000000000 bytes"), std::string::npos) << computes;
}

TEST_F(OpencvModels, OfOtherTypesThanFloat32AreRefused) {
  EXPECT_EQ(
      open(identity(kInt64, {2}).file()),
      "model 'm' cannot be used: input 'x' is int64; OpenCV's DNN takes and gives tensors of float32 alone");
  EXPECT_EQ(open(identity(kFloat, {}).file()),
            "model 'm' cannot be used: input 'x' is a scalar; OpenCV's DNN has tensors of rank 1 and more");
}

TEST_F(OpencvModels, ThatAreDeclaredOtherwiseAreRefused) {
  const std::string file =
      OnnxModel().input("x", kFloat, {-1, 3}).output("y", kFloat, {-1, 3}).node("Relu", {"x"}, {"y"}).file();
  EXPECT_EQ(open(file, {}, "[[inputs]]\nname = \"x\"\nshape = [2, -1]\n[[outputs]]\nname = \"y\"\n"), "");
  EXPECT_EQ(open(file, {}, "[[inputs]]\nname = \"z\"\n"),
            "model 'm' cannot be used: [[inputs]] has 'z', and its inputs are 'x'");
  EXPECT_EQ(
      open(file, {}, "[[outputs]]\nname = \"y\"\ndtype = \"int8\"\n"),
      "model 'm' cannot be used: [[outputs]] says that 'y' is int8 of any rank, and it is float32 [?, 3]");
  EXPECT_EQ(open(file, {}, "[[inputs]]\nname = \"x\"\nshape = [-1, 4]\n"),
            "model 'm' cannot be used: [[inputs]] says that 'x' is float32 [?, 4], and it is float32 [?, 3]");
}

TEST_F(OpencvModels, TakeTwoInputsByNameAndGiveTwoOutputs) {
  must_open(OnnxModel()
                .input("a", kFloat, {1, 4})
                .input("b", kFloat, {1, 4})
                .output("sum", kFloat, {1, 4})
                .output("product", kFloat, {1, 4})
                .node("Add", {"a", "b"}, {"sum"})
                .node("Mul", {"a", "b"}, {"product"}));
  TestCall call("infer", model);
  call.input("b", VACCEL_FLOAT32, {1, 4}, std::vector<float>{1, 2, 3, 4});
  call.input("a", VACCEL_FLOAT32, {1, 4}, std::vector<float>{10, 20, 30, 40});
  ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
  ASSERT_EQ(call.outputs.size(), 2u);
  EXPECT_EQ(call.outputs[0].name, "sum");
  EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{1, 4}));
  EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{11, 22, 33, 44}));
  EXPECT_EQ(call.outputs[1].name, "product");
  EXPECT_EQ(call.outputs[1].as<float>(), (std::vector<float>{10, 40, 90, 160}));
}

TEST_F(OpencvModels, TakeShapesThatChangeFromRunToRun) {
  must_open(OnnxModel().input("x", kFloat, {-1, 3}).output("y", kFloat, {-1, 3}).node("Relu", {"x"}, {"y"}));
  for (const int64_t rows : {1, 5, 2}) {
    std::vector<float> values(static_cast<size_t>(rows) * 3);
    for (size_t index = 0; index < values.size(); ++index)
      values[index] = static_cast<float>(index) - 2;
    TestCall call("infer", model);
    ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {rows, 3}, values).run(*runtime), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{rows, 3}));
    for (float& value : values)
      value = std::max(value, 0.0F);
    EXPECT_EQ(call.outputs[0].as<float>(), values);
  }
}

TEST_F(OpencvModels, DoNotTakeEmptyTensors) {
  must_open(OnnxModel().input("x", kFloat, {-1, 3}).output("y", kFloat, {-1, 3}).node("Relu", {"x"}, {"y"}));
  TestCall call("infer", model);
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {0, 3}, std::vector<float>{}).run(*runtime),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(call.sentence, "input 'x' has 0 in dimension 0; OpenCV's DNN takes 1 to 2147483647");
}

TEST_F(OpencvModels, SayWhatFailsAndRunOn) {
  must_open(OnnxModel()
                .input("a", kFloat, {-1, 4})
                .input("b", kFloat, {-1, 4})
                .output("y", kFloat, {-1, 4})
                .node("Add", {"a", "b"}, {"y"}));
  const auto add = [&](int64_t rows_of_b) {
    TestCall call("infer", model);
    call.input("a", VACCEL_FLOAT32, {2, 4}, std::vector<float>(8, 1));
    call.input("b", VACCEL_FLOAT32, {rows_of_b, 4},
               std::vector<float>(static_cast<size_t>(rows_of_b) * 4, 2));
    const vaccel_status status = call.run(*runtime);
    if (status != VACCEL_OK) return call.sentence;
    EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>(8, 3));
    return std::string();
  };
  EXPECT_EQ(add(2), "");
  const std::string sentence = add(3);
  EXPECT_TRUE(sentence.starts_with("OpenCV failed: ")) << sentence;
  EXPECT_EQ(add(2), "");
}

// Vectors are matrices to OpenCV; results have the rank that the file says.
TEST_F(OpencvModels, GiveVectorsTheirShape) {
  must_open(OnnxModel()
                .input("x", kFloat, {1, 4})
                .output("y", kFloat, {-1})
                .weight("shape", {-1})
                .node("Reshape", {"x", "shape"}, {"y"}));
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1, 4}, std::vector<float>{1, 2, 3, 4}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].shape, std::vector<int64_t>{4});
  EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST_F(OpencvModels, TakeVectors) {
  must_open(OnnxModel().input("x", kFloat, {4}).output("y", kFloat, {4}).node("Relu", {"x"}, {"y"}));
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {4}, std::vector<float>{1, -2, 3, 4}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].shape, std::vector<int64_t>{4});
  EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{1, 0, 3, 4}));
}

// Another runtime's backend shares OpenCV with this one, and a model that is gone leaves nothing behind.
TEST_F(OpencvModels, OfTwoRuntimesShareAProcess) {
  const OnnxModel made =
      OnnxModel().input("x", kFloat, {1, 3}).output("y", kFloat, {1, 3}).node("Relu", {"x"}, {"y"});
  must_open(made);
  auto second = runtime::testing::make_runtime(folder.path());
  const auto other = second->open_model("m");
  ASSERT_TRUE(other) << other.error().message();
  close();
  TestCall call("infer", *other);
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1, 3}, std::vector<float>(3, 1)).run(*second), VACCEL_OK)
      << call.sentence;
  second->close_model(*other);
}

TEST_F(OpencvModels, SayWhenThereIsNoRoomForResults) {
  must_open(OnnxModel().input("x", kFloat, {1, 3}).output("y", kFloat, {1, 3}).node("Relu", {"x"}, {"y"}));
  TestCall call("infer", model);
  call.output_limit = 4;
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1, 3}, std::vector<float>(3)).run(*runtime),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence, "no memory for result 0, 'y', of 12 bytes: the limit for results is reached");
}

TEST_F(OpencvModels, RunForManyThreadsAtOnce) {
  const OnnxModel made =
      OnnxModel().input("x", kFloat, {1, 64}).output("y", kFloat, {1, 64}).node("Sigmoid", {"x"}, {"y"});
  ASSERT_EQ(open(made.file(), {{"instances", "3", "f:1:1"}}), "");
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int run = 0; run < 50; ++run) {
        const auto value = static_cast<float>(thread * 50 + run) / 100 - 2;
        TestCall call("infer", model);
        call.input("x", VACCEL_FLOAT32, {1, 64}, std::vector<float>(64, value));
        if (call.run(*runtime) != VACCEL_OK) {
          ++wrong;
          continue;
        }
        for (const float result : call.outputs[0].as<float>())
          wrong += std::abs(result - 1 / (1 + std::exp(-value))) > 1e-5F;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(OpencvTest, KnowsItsOptions) {
  const std::string file = identity(kFloat, {1, 1}).file();
  const auto problem = [&](std::vector<BackendOption> options) {
    (void)open(file, std::move(options));
    return runtime::testing::why_not(*runtime, "opencv");
  };
  EXPECT_EQ(problem({{"target", "cpu", "f:1:1"}, {"threads", "2", "f:2:1"}, {"instances", "4", "f:3:1"}}),
            "");
  EXPECT_NE(model, nullptr);
  EXPECT_EQ(problem({{"treads", "2", "f:1:1"}}),
            "f:1:1: unknown option 'treads'; there are: target, threads, instances");
  EXPECT_EQ(problem({{"threads", "two", "f:1:1"}}),
            "f:1:1: 'threads' is two; it must be an integer, 0 to 1024");
  EXPECT_EQ(problem({{"instances", "0", "f:1:1"}}),
            "f:1:1: 'instances' is 0; it must be an integer, 1 to 64");
  EXPECT_EQ(problem({{"target", "gpu", "f:1:1"}}),
            "f:1:1: 'target' is \"gpu\"; it must be cpu, opencl or opencl-fp16");
}

// In a process of its own, which has not loaded OpenCV yet.
TEST(OpencvLibraries, OfAnotherVersionAreTheReason) {
  const auto backend = runtime::testing::backend_folder() / "libvaccel-backend-opencv.so";
  if (!std::filesystem::exists(backend)) GTEST_SKIP() << "skipped: no " << backend;
  const backend_testing::FolderWithOtherLibrary folder({"libvaccel-backend-opencv.so"}, "libopencv_dnn.so");
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        const auto loaded = runtime::BackendLibrary::load(folder.path() / "libvaccel-backend-opencv.so",
                                                          "opencv", {}, [](int, const std::string&) {});
        std::fprintf(stderr, "%s\n", loaded ? "it runs" : loaded.error().message().c_str());
        std::_Exit(loaded ? 1 : 0);
      },
      ::testing::ExitedWithCode(0), "cannot load it: .*undefined symbol: .*cv");
}

// On a machine with an OpenCL GPU it runs there; on any other it says why not, and the CPU is not taken in secret.
TEST_F(OpencvTest, AnOpenclTargetRunsOrSaysWhyNot) {
  const std::string opened = open(identity(kFloat, {1, 1}).file(), {{"target", "opencl", "f:1:1"}});
  const std::string problem = runtime::testing::why_not(*runtime, "opencv");
  EXPECT_EQ(problem.empty(), opened.empty());
  EXPECT_TRUE(problem.empty() || problem.starts_with("[backend.opencv] target is OpenCL, and ")) << problem;
}

}  // namespace
}  // namespace vaccel::opencv
