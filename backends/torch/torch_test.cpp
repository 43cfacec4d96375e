// SPDX-License-Identifier: Apache-2.0
//
// The backend on the real LibTorch, through the runtime's own loader and operators: small scripts that each test writes,
// and MobileNet on a real photo.
#include <cmath>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include "runtime/runtime_testing.h"
#include "torch_testing.h"

// What LibTorch itself leaves behind, of archives that it refused, is not this test's business.
extern "C" [[gnu::visibility("default")]] const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libtorch_cpu.so\n";
}

namespace vaccel::torch_backend {
namespace {

using runtime::BackendOption;
using runtime::Model;
using runtime::Runtime;
using runtime::testing::TestCall;
using testing::scripted;
using testing::with_weight;

class TorchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime = runtime::testing::make_runtime("");
    ASSERT_NE(runtime, nullptr);
    const std::string reason = runtime::testing::why_not(*runtime, "torch");
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
  std::string open(const std::string& file, const std::string& tables = "",
                   std::vector<BackendOption> options = {}) {
    close();
    runtime::testing::write_text(folder.path() / "m" / "model.pt", file);
    runtime::testing::write_text(folder.path() / "m" / "model.toml",
                                 "name = \"m\"\ntask = \"infer\"\n[model]\nfile = \"model.pt\"\nformat = "
                                 "\"torchscript\"\nsha256 = \"" +
                                     runtime::sha256_hex(runtime::testing::as_bytes(file)) + "\"\n" + tables);
    return open_catalogue(folder.path(), "m", std::move(options));
  }

  std::string open_catalogue(const std::filesystem::path& catalogue, const char* name,
                             std::vector<BackendOption> options = {}) {
    // The CPU, so that the same is tested on every machine.
    if (options.empty()) options = {{"device", "cpu", "torch_test"}};
    runtime::RuntimeConfig config;
    config.catalogue = catalogue;
    config.backend_directory = runtime::testing::backend_folder();
    config.backend_options = {{"torch", std::move(options)}};
    config.log = [this](int, const std::string& line) {
      const std::lock_guard lock(log_mutex);
      log += line + "\n";
    };
    auto made = Runtime::create(std::move(config));
    if (!made) return made.error().message();
    runtime = std::move(*made);
    const auto opened = runtime->open_model(name);
    if (!opened) return opened.error().message();
    model = *opened;
    return "";
  }

  runtime::testing::TemporaryFolder folder;
  std::mutex log_mutex;
  std::string log;
  std::unique_ptr<Runtime> runtime;
  Model* model = nullptr;
  bool capturing = false;  // what is printed, which must be nothing
};

bool engine_is_loaded() {
  return runtime::testing::read_text("/proc/self/maps").find("/libvaccel-torch.so") != std::string::npos;
}

// Nobody waits for LibTorch who only wants another backend. The first test, since what is loaded stays.
TEST_F(TorchTest, LoadsLibTorchWithTheFirstModel) {
  EXPECT_FALSE(engine_is_loaded());
  ASSERT_EQ(open(scripted("def forward(self, x):\n  return x\n")), "");
  EXPECT_TRUE(engine_is_loaded());
}

TEST_F(TorchTest, DescribesItself) {
  for (const runtime::BackendReport& one : runtime->backends()) {
    if (one.name != "torch") continue;
    EXPECT_TRUE(one.version.starts_with("1.") || one.version.starts_with("2.")) << one.version;
    EXPECT_EQ(one.devices, "CUDA or CPU, chosen with the first model");
  }
}

class TorchMobileNet : public TorchTest {
 protected:
  void SetUp() override {
    TorchTest::SetUp();
    if (IsSkipped()) return;
    if (!std::filesystem::exists(catalogue / kName / "model.toml")) {
      GTEST_SKIP() << "skipped: no " << kName << " in " << catalogue << "; scripts/make-catalogue makes it";
    }
    if (!std::filesystem::exists(runtime::testing::photo("chelsea.png"))) {
      GTEST_SKIP() << "skipped: no " << runtime::testing::photo("chelsea.png")
                   << "; scripts/setup fetches it";
    }
    cat = runtime::testing::read_text(runtime::testing::photo("chelsea.png"));
  }

  static constexpr const char* kName = "mobilenet-torchscript";
  const std::filesystem::path catalogue = runtime::testing::real_catalogue();
  std::string cat;
};

// 0.9436 is what TensorFlow Lite gives for the same weights.
TEST_F(TorchMobileNet, SeesTheEgyptianCatAsOnnxRuntimeDoes) {
  ASSERT_EQ(open_catalogue(catalogue, kName), "");
  TestCall call("classify", model);
  ASSERT_EQ(call.integer("top", 5).image(cat).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(call.outputs[0].as<int32_t>()[0], 286);
  EXPECT_EQ(call.outputs[2].strings()[0], "Egyptian cat");
  const auto scores = call.outputs[1].as<float>();
  EXPECT_NEAR(scores[0], 0.9436F, 0.03F);

  if (!runtime::testing::why_not(*runtime, "onnxruntime").empty()) return;
  const auto opened = runtime->open_model("mobilenet");
  ASSERT_TRUE(opened) << opened.error().message();
  TestCall other("classify", *opened);
  ASSERT_EQ(other.integer("top", 5).image(cat).run(*runtime), VACCEL_OK) << other.sentence;
  EXPECT_EQ(other.outputs[0].as<int32_t>(), call.outputs[0].as<int32_t>());
  const auto expected = other.outputs[1].as<float>();
  for (size_t index = 0; index < scores.size(); ++index)
    EXPECT_NEAR(scores[index], expected[index], 1e-3F) << index;
  runtime->close_model(*opened);
}

TEST_F(TorchMobileNet, GivesTheSameToManyThreadsAtOnce) {
  ASSERT_EQ(open_catalogue(catalogue, kName), "");
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int run = 0; run < 2; ++run) {
        TestCall call("classify", model);
        const bool done = call.integer("top", 1).image(cat).run(*runtime) == VACCEL_OK;
        wrong += !done || call.outputs[0].as<int32_t>()[0] != 286;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(TorchMobileNet, IsDescribedByItsCodeAndItsDescription) {
  ASSERT_EQ(open_catalogue(catalogue, kName), "");
  const auto described = runtime->describe_model(kName);
  ASSERT_TRUE(described) << described.error().message();
  EXPECT_STREQ((*described)->backend, "torch");
  ASSERT_EQ((*described)->input_count, 1u);
  EXPECT_STREQ((*described)->inputs[0].name, "input");
  ASSERT_EQ((*described)->inputs[0].rank, 4);
  EXPECT_EQ((*described)->inputs[0].shape[3], 224);
  ASSERT_EQ((*described)->output_count, 1u);
  EXPECT_STREQ((*described)->outputs[0].name, "scores");
  EXPECT_EQ((*described)->outputs[0].shape[1], 1001);
}

TEST_F(TorchMobileNet, LabelsThatDoNotFitAreRefused) {
  std::filesystem::copy(catalogue / kName, folder.path() / kName, std::filesystem::copy_options::recursive);
  runtime::testing::write_text(folder.path() / kName / "labels.txt", "one\ntwo\n");
  const auto description = folder.path() / kName / "model.toml";
  std::string text = runtime::testing::read_text(description);
  const size_t begin = text.find("labels_sha256");
  text.erase(begin, text.find('\n', begin) - begin);
  runtime::testing::write_text(description, text);
  EXPECT_EQ(open_catalogue(folder.path(), kName),
            "model 'mobilenet-torchscript' cannot be used: labels.txt has 2 labels, and its output 'scores' "
            "has 1001 "
            "classes");
}

TEST_F(TorchMobileNet, TruncatedFilesAreRefused) {
  const std::string whole = runtime::testing::read_text(catalogue / kName / "model.pt");
  for (const size_t length : {whole.size() / 2, whole.size() - 20, size_t{100}}) {
    const std::string sentence = open(whole.substr(0, length));
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: LibTorch refuses the model: ")) << sentence;
    EXPECT_EQ(sentence.find("frame #"), std::string::npos) << sentence;
  }
}

class TorchModels : public TorchTest {};

TEST_F(TorchModels, OfOtherFormatsAreRefused) {
  EXPECT_EQ(open(""), "model 'm' cannot be used: model.pt is empty");
  for (const std::string& file : {std::string("not a model at all"), std::string(1000, '\xff'),
                                  std::string("PK\x03\x04 and so on"), std::string("\x1c\0\0\0TFL3", 8)}) {
    const std::string sentence = open(file);
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: LibTorch refuses the model: ")) << sentence;
    EXPECT_EQ(sentence.find("frame #"), std::string::npos) << sentence;
  }
  std::mt19937 random(7);
  for (int file = 0; file < 20; ++file) {
    std::string noise(1000, '\0');
    for (char& byte : noise)
      byte = static_cast<char>(random());
    EXPECT_NE(open(noise), "");
  }
}

TEST_F(TorchModels, ThatAreCutOffAreRefusedWhereverThatIs) {
  const std::string whole = with_weight("def forward(self, x):\n  return x + self.weight\n", 3, 3);
  ASSERT_EQ(open(whole), "");
  for (size_t size = 1; size < whole.size(); size += 23) {
    const std::string sentence = open(whole.substr(0, size));
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: LibTorch refuses the model: "))
        << size << " bytes of " << whole.size() << ": " << sentence;
  }
}

// Each byte of a small archive is changed once; what is not refused still runs or fails, and nothing breaks.
TEST_F(TorchModels, ThatAreDamagedAnywhereAreRefusedOrRun) {
  const std::string whole = with_weight("def forward(self, x):\n  return x + self.weight\n", 3, 3);
  std::mt19937 random(11);
  int refused = 0;
  for (int file = 0; file < 200; ++file) {
    std::string damaged = whole;
    damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
    if (!open(damaged).empty()) {
      ++refused;
      continue;
    }
    TestCall call("infer", model);
    (void)call.input("x", VACCEL_FLOAT32, {3}, std::vector<float>{1, 2, 3}).run(*runtime);
  }
  EXPECT_GT(refused, 0);
}

TEST_F(TorchModels, ThatWantAMissingOperatorAreRefused) {
  const std::string known = scripted("def forward(self, x):\n  return torch.relu(x)\n");
  EXPECT_EQ(open(testing::with_code(known, "torch.relu", "torch.flux")),
            "model 'm' cannot be used: LibTorch refuses the model: Unknown builtin op: aten::flux.");
  EXPECT_EQ(open(testing::with_code(known, "torch.relu(x)", "ops.a.b(x)   ")),
            "model 'm' cannot be used: LibTorch refuses the model: Unknown builtin op: a::b.");
}

TEST_F(TorchModels, ThatWantAHundredGigabytesAreRefused) {
  // By a weight that the file does not have.
  const std::string source = "def forward(self, x):\n  return x + self.weight.sum()\n";
  ASSERT_EQ(open(with_weight(source, 100'000, 100'000)), "");
  const std::string claims = open(with_weight(source, 100'000, 2'000'000'000));
  EXPECT_TRUE(claims.starts_with(
      "model 'm' cannot be used: the file is damaged: a tensor takes 8000000000 bytes, and "
      "the archive has at most "))
      << claims;
  // When it runs.
  ASSERT_EQ(open(scripted("def forward(self, x):\n  return x + torch.ones([25000000000])\n")), "");
  TestCall call("infer", model);
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(call.sentence.starts_with("LibTorch failed: ")) << call.sentence;
}

TEST_F(TorchModels, ThatReadOrWriteFilesAreRefused) {
  EXPECT_EQ(open(scripted("def forward(self, x):\n  return torch.from_file('/etc/passwd', False, 10)\n")),
            "model 'm' cannot be used: the model uses aten::from_file, and a model must leave the host's "
            "files alone");
  EXPECT_EQ(
      open(scripted(
          "def forward(self, x):\n  if bool(x.sum() > 0):\n    torch.save(x, '/tmp/x')\n  return x\n")),
      "model 'm' cannot be used: the model uses aten::save, and a model must leave the host's files alone");
}

TEST_F(TorchModels, ThatTakeOrGiveOtherThingsThanTensorsAreRefused) {
  EXPECT_EQ(open(scripted("def forward(self, x, n: int):\n  return x + n\n")),
            "model 'm' cannot be used: argument 'n' of forward() is int; only tensors can be passed");
  EXPECT_EQ(open(scripted("def forward(self, x):\n  return 3\n")),
            "model 'm' cannot be used: forward() returns int; only tensors, and tuples, lists and a dict of "
            "them, are "
            "known");
  EXPECT_EQ(open(scripted("def backward(self, x):\n  return x\n")),
            "model 'm' cannot be used: the module has no forward()");
}

TEST_F(TorchModels, ArgumentsWithADefaultAreLeftAlone) {
  ASSERT_EQ(open(scripted("def forward(self, x, n: int = 3):\n  return x + n\n")), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{4});
}

struct TypeCase {
  const char* name;
  vaccel_dtype dtype;
  size_t size;
};

TEST_F(TorchModels, PassEveryElementType) {
  constexpr TypeCase kTypes[] = {{"float32", VACCEL_FLOAT32, 4}, {"float64", VACCEL_FLOAT64, 8},
                                 {"float16", VACCEL_FLOAT16, 2}, {"bfloat16", VACCEL_BFLOAT16, 2},
                                 {"int8", VACCEL_INT8, 1},       {"int16", VACCEL_INT16, 2},
                                 {"int32", VACCEL_INT32, 4},     {"int64", VACCEL_INT64, 8},
                                 {"uint8", VACCEL_UINT8, 1},     {"bool", VACCEL_BOOL, 1}};
  const std::string transpose =
      scripted("def forward(self, x):\n  return x.t()\n");  // not dense when it comes
  for (const TypeCase& type : kTypes) {
    SCOPED_TRACE(type.name);
    const std::string dtype = "\ndtype = \"" + std::string(type.name) + "\"\n";
    ASSERT_EQ(open(transpose, "[[inputs]]\nname = \"x\"" + dtype + "[[outputs]]\nname = \"y\"" + dtype), "");
    std::vector<uint8_t> data(6 * type.size);
    for (size_t index = 0; index < data.size(); ++index)
      data[index] = static_cast<uint8_t>(type.dtype == VACCEL_BOOL ? index % 2 : index + 1);
    TestCall call("infer", model);
    ASSERT_EQ(call.input("x", type.dtype, {2, 3}, data).run(*runtime), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs[0].name, "y");
    EXPECT_EQ(call.outputs[0].dtype, type.dtype);
    EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{3, 2}));
    std::vector<uint8_t> expected;
    for (const size_t element : {0U, 3U, 1U, 4U, 2U, 5U})
      expected.insert(expected.end(), data.begin() + static_cast<std::ptrdiff_t>(element * type.size),
                      data.begin() + static_cast<std::ptrdiff_t>((element + 1) * type.size));
    EXPECT_EQ(call.outputs[0].as<uint8_t>(), expected);
  }
  EXPECT_EQ(open(transpose, "[[inputs]]\nname = \"x\"\ndtype = \"string\"\n"),
            "model 'm' cannot be used: input 'x' is declared with a type that LibTorch has no tensors of "
            "(strings, and "
            "unsigned integers but uint8)");
}

TEST_F(TorchModels, TakeEmptyTensorsAndScalars) {
  ASSERT_EQ(open(scripted("def forward(self, x):\n  return x + 1\n")), "");
  TestCall empty("infer", model);
  ASSERT_EQ(empty.input("x", VACCEL_FLOAT32, {0, 3}, std::vector<float>{}).run(*runtime), VACCEL_OK)
      << empty.sentence;
  EXPECT_EQ(empty.outputs[0].shape, (std::vector<int64_t>{0, 3}));
  TestCall scalar("infer", model);
  ASSERT_EQ(scalar.input("x", VACCEL_FLOAT32, {}, std::vector<float>{2.5F}).run(*runtime), VACCEL_OK)
      << scalar.sentence;
  EXPECT_EQ(scalar.outputs[0].as<float>(), std::vector<float>{3.5F});
  EXPECT_TRUE(scalar.outputs[0].shape.empty());
}

TEST_F(TorchModels, ReturnTuples) {
  ASSERT_EQ(open(scripted("def forward(self, a, b):\n  return a + b, (a - b, a)\n")), "");
  TestCall call("infer", model);
  call.input("b", VACCEL_FLOAT32, {1}, std::vector<float>{2})
      .input("a", VACCEL_FLOAT32, {1}, std::vector<float>{5});
  ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
  ASSERT_EQ(call.outputs.size(), 3u);
  EXPECT_EQ(call.outputs[0].name, "output_0");
  EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{7});
  EXPECT_EQ(call.outputs[1].name, "output_1_0");
  EXPECT_EQ(call.outputs[1].as<float>(), std::vector<float>{3});
  EXPECT_EQ(call.outputs[2].as<float>(), std::vector<float>{5});
}

TEST_F(TorchModels, ReturnListsWhoseOutputsAreNamed) {
  const std::string archive = scripted(
      "def forward(self, x):\n  parts = [x]\n  if bool(x.sum() > 0):\n    parts.append(x + 1)\n  return "
      "parts\n");
  EXPECT_EQ(open(archive),
            "model 'm' cannot be used: forward() returns Tensor[], which does not tell its outputs; "
            "[[outputs]] in its "
            "model.toml has to name them");
  ASSERT_EQ(open(archive, "[[outputs]]\nname = \"one\"\n[[outputs]]\nname = \"two\"\n"), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{5}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[1].name, "two");
  EXPECT_EQ(call.outputs[1].as<float>(), std::vector<float>{6});
  TestCall fewer("infer", model);
  EXPECT_EQ(fewer.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{-5}).run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(fewer.sentence, "forward() returned 1 tensors, and model.toml has 2 [[outputs]]");
}

TEST_F(TorchModels, ReturnDictsWhoseKeysAreNamed) {
  const std::string archive = scripted("def forward(self, x):\n  return {'sum': x + x, 'product': x * x}\n");
  ASSERT_EQ(open(archive, "[[outputs]]\nname = \"product\"\n"), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{5}).run(*runtime), VACCEL_OK)
      << call.sentence;
  ASSERT_EQ(call.outputs.size(), 1u);
  EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{25});
  ASSERT_EQ(open(archive, "[[outputs]]\nname = \"quotient\"\n"), "");
  TestCall missing("infer", model);
  EXPECT_EQ(missing.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{5}).run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(missing.sentence, "forward() returned no 'quotient' in its dict");
}

TEST_F(TorchModels, AreHeldToWhatIsDeclared) {
  const std::string archive = scripted("def forward(self, x):\n  return x.argmax(0)\n");
  ASSERT_EQ(open(archive), "");
  TestCall call("infer", model);
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {3}, std::vector<float>{1, 3, 2}).run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(call.sentence,
            "output 'output' came as int64, and is described as float32; [[outputs]] of its model.toml says "
            "what it is");
  ASSERT_EQ(open(archive, "[[outputs]]\nname = \"best\"\ndtype = \"int64\"\nshape = []\n"), "");
  TestCall again("infer", model);
  ASSERT_EQ(again.input("x", VACCEL_FLOAT32, {3}, std::vector<float>{1, 3, 2}).run(*runtime), VACCEL_OK)
      << again.sentence;
  EXPECT_EQ(again.outputs[0].as<int64_t>(), std::vector<int64_t>{1});
  ASSERT_EQ(open(archive, "[[outputs]]\nname = \"best\"\ndtype = \"int64\"\nshape = [2]\n"), "");
  TestCall shape("infer", model);
  EXPECT_EQ(shape.input("x", VACCEL_FLOAT32, {3}, std::vector<float>{1, 3, 2}).run(*runtime),
            VACCEL_INTERNAL);
  EXPECT_EQ(shape.sentence,
            "output 'best' came with shape [], and is described as [2] in [[outputs]] of its model.toml");
  EXPECT_EQ(open(archive, "[[inputs]]\nname = \"y\"\n"),
            "model 'm' cannot be used: [[inputs]] has 'y', and its inputs are 'x'");
  EXPECT_EQ(open(archive, "[[outputs]]\nname = \"a\"\n[[outputs]]\nname = \"b\"\n"),
            "model 'm' cannot be used: forward() returns 1 tensors, and model.toml has 2 [[outputs]]");
}

// The caller's memory may be mapped read-only, and is read by others.
TEST_F(TorchModels, ThatWriteToTheirInputsWriteToACopy) {
  for (const char* source : {"def forward(self, x):\n  return x.add_(1)\n",
                             "def forward(self, x):\n  y = x.view(-1)\n  y[0] = 7\n  return y\n",
                             "def forward(self, x):\n  if bool(x.sum() > 0):\n    x.zero_()\n  return x\n"}) {
    ASSERT_EQ(open(scripted(source)), "") << source;
    TestCall call("infer", model);
    ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {2}, std::vector<float>{1, 2}).run(*runtime), VACCEL_OK)
        << call.sentence;
    EXPECT_NE(call.outputs[0].as<float>(), (std::vector<float>{1, 2}));
    const auto* kept = static_cast<const float*>(call.call.inputs[0].data);
    EXPECT_EQ(kept[0], 1);
    EXPECT_EQ(kept[1], 2);
  }
}

// The caller's memory is another's once the run is over.
TEST_F(TorchModels, ThatKeepTheirInputsKeepACopy) {
  const std::string sources[] = {
      "def forward(self, x):\n  before = self.weight\n  self.weight = x\n  return before + 0\n",
      "def forward(self, x):\n  before = self.weight\n  if bool(x.sum() > 0):\n    self.weight = x[:]\n  "
      "return before + 0\n"};
  for (const std::string& source : sources) {
    ASSERT_EQ(open(with_weight(source, 2, 2)), "") << source;
    TestCall first("infer", model);
    ASSERT_EQ(first.input("x", VACCEL_FLOAT32, {2}, std::vector<float>{5, 6}).run(*runtime), VACCEL_OK)
        << first.sentence;
    EXPECT_EQ(first.outputs[0].as<float>(), (std::vector<float>{1, 1}));
    std::memset(first.call.inputs[0].data, 0xff, 2 * sizeof(float));
    TestCall second("infer", model);
    ASSERT_EQ(second.input("x", VACCEL_FLOAT32, {2}, std::vector<float>{7, 8}).run(*runtime), VACCEL_OK)
        << second.sentence;
    EXPECT_EQ(second.outputs[0].as<float>(), (std::vector<float>{5, 6}));
  }
}

TEST_F(TorchModels, FailWithTheLineThatSaysWhy) {
  ASSERT_EQ(open(scripted("def forward(self, a, b):\n  return a + b\n")), "");
  TestCall call("infer", model);
  call.input("a", VACCEL_FLOAT32, {2}, std::vector<float>(2))
      .input("b", VACCEL_FLOAT32, {3}, std::vector<float>(3));
  EXPECT_EQ(call.run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(call.sentence,
            "LibTorch failed: The size of tensor a (2) must match the size of tensor b (3) at non-singleton "
            "dimension "
            "0");
  ASSERT_EQ(open(scripted("def forward(self, x):\n  assert bool(x.sum() > 0), 'a sum over 0'\n  return x\n")),
            "");
  TestCall raised("infer", model);
  EXPECT_EQ(raised.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{-1}).run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(raised.sentence, "LibTorch failed: AssertionError: a sum over 0");
}

TEST_F(TorchModels, SayWhenThereIsNoRoomForResults) {
  ASSERT_EQ(open(scripted("def forward(self, x):\n  return x\n")), "");
  TestCall call("infer", model);
  call.output_limit = 4;
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {2}, std::vector<float>(2)).run(*runtime),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence, "no memory for result 0, 'output', of 8 bytes: the limit for results is reached");
}

TEST_F(TorchModels, WhatTheyPrintGoesToTheLog) {
  ASSERT_EQ(open(scripted("def forward(self, x):\n  print('hello', 3)\n  return x\n")), "");
  ::testing::internal::CaptureStdout();
  TestCall call("infer", model);
  const vaccel_status status = call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(status, VACCEL_OK) << call.sentence;
  EXPECT_NE(log.find("torch: a model prints: hello 3\n"), std::string::npos) << log;
}

TEST_F(TorchTest, KnowsItsOptions) {
  const std::string file = scripted("def forward(self, x):\n  return x\n");
  const auto problem = [&](std::vector<BackendOption> options) {
    (void)open(file, "", std::move(options));
    return runtime::testing::why_not(*runtime, "torch");
  };
  EXPECT_EQ(problem({{"device", "cpu", "f:1:1"}, {"threads", "2", "f:2:1"}}), "");
  EXPECT_NE(model, nullptr);
  EXPECT_EQ(problem({{"devise", "cpu", "f:1:1"}}),
            "f:1:1: unknown option 'devise'; there are: device, threads");
  EXPECT_EQ(problem({{"threads", "two", "f:1:1"}}),
            "f:1:1: 'threads' is two; it must be an integer, 0 to 1024");
  for (const char* device : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""}) {
    EXPECT_EQ(problem({{"device", device, "f:1:1"}}),
              std::string("f:1:1: 'device' is \"") + device + "\"; it must be auto, cpu, cuda or cuda:N");
  }
}

// On a machine with a CUDA device and a LibTorch that knows it, it runs there; on any other it says why not.
TEST_F(TorchTest, ACudaDeviceRunsOrIsSaidToBeMissing) {
  const std::string file = scripted("def forward(self, x):\n  return x + 1\n");
  const std::string opened = open(file, "", {{"device", "cuda:0", "f:1:1"}});
  const std::string problem = runtime::testing::why_not(*runtime, "torch");
  if (!problem.empty()) {
    EXPECT_TRUE(problem.starts_with("[backend.torch] device is \"cuda:0\", and LibTorch ")) << problem;
    EXPECT_NE(problem.find(" sees 0 CUDA devices here; "), std::string::npos) << problem;
    return;
  }
  ASSERT_EQ(opened, "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{2});
}

}  // namespace
}  // namespace vaccel::torch_backend
