// SPDX-License-Identifier: Apache-2.0
//
// The backend on the real ONNX Runtime, through the runtime's own loader and operators, with small models that each test
// writes.
#include <cmath>
#include <limits>
#include <random>
#include <thread>
#include <tuple>

#include "../common/model_source_testing.h"
#include "../common/sanitizers_testing.h"
#include "core/clock.h"
#include "onnx_testing.h"
#include "runtime/runtime_testing.h"

namespace vaccel::onnxruntime {
namespace {

using namespace testing;  // the models
using backend_testing::kAddressSanitizer;
using runtime::BackendOption;
using runtime::Model;
using runtime::Runtime;
using runtime::testing::TestCall;

class OnnxruntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    runtime = runtime::testing::make_runtime("");
    ASSERT_NE(runtime, nullptr);
    const std::string reason = runtime::testing::why_not(*runtime, "onnxruntime");
    if (!reason.empty()) GTEST_SKIP() << "skipped: " << reason;
  }

  void TearDown() override { close(); }

  void close() {
    if (model != nullptr) runtime->close_model(model);
    model = nullptr;
  }

  // Makes a catalogue of one model and opens it; the failure's sentence, or "".
  std::string open(const std::string& file, std::vector<BackendOption> options = {}) {
    close();
    runtime::testing::write_text(folder.path() / "m" / "model.onnx", file);
    runtime::testing::write_text(
        folder.path() / "m" / "model.toml",
        "name = \"m\"\ntask = \"infer\"\n[model]\nfile = \"model.onnx\"\nformat = \"onnx\"\nsha256 = \"" +
            runtime::sha256_hex(runtime::testing::as_bytes(file)) + "\"\nbackends = [\"onnxruntime\"]\n");
    runtime = runtime::testing::make_runtime(folder.path(), {{"onnxruntime", std::move(options)}});
    const auto opened = runtime->open_model("m");
    if (!opened) return opened.error().message();
    model = *opened;
    return "";
  }

  runtime::BackendReport report() {
    for (const runtime::BackendReport& one : runtime->backends()) {
      if (one.name == "onnxruntime") return one;
    }
    return {};
  }

  void must_open(const OnnxModel& made) { ASSERT_EQ(open(made.file()), ""); }

  runtime::testing::TemporaryFolder folder;
  std::unique_ptr<Runtime> runtime;
  Model* model = nullptr;
};

// y = x + w, with the weight in the file.
OnnxModel sum_with_weight() {
  return OnnxModel()
      .input("x", kFloat, {2})
      .output("y", kFloat, {2})
      .weight(Message().number(1, 2).number(2, kFloat).bytes(8, "w").bytes(9, "12345678"))
      .node("Add", {"x", "w"}, {"y"});
}
constexpr size_t kBytesOfOpset = 6;  // at a file's end; without it ONNX Runtime takes the opset to be 1

std::string strings_tensor(const std::vector<std::string>& strings) {
  std::string data((strings.size() + 1) * sizeof(uint32_t), '\0');
  for (size_t index = 0; index <= strings.size(); ++index) {
    const auto offset = static_cast<uint32_t>(data.size());
    std::memcpy(data.data() + index * sizeof offset, &offset, sizeof offset);
    if (index < strings.size()) data += strings[index] + '\0';
  }
  return data;
}

TEST_F(OnnxruntimeTest, DescribesItself) {
  EXPECT_TRUE(report().version.starts_with("1.")) << report().version;
  EXPECT_EQ(report().devices, "CPU");
}

TEST_F(OnnxruntimeTest, TellsWhatTheFileSaysOfItself) {
  const auto custom = [](const std::string& key, const std::string& value) {
    return Message().bytes(1, key).bytes(2, value);
  };
  must_open(identity(kFloat, {1})
                .about(Message()
                           .bytes(2, "a test")
                           .bytes(4, "org.example")
                           .number(5, 7)
                           .bytes(6, "Gives back what it gets")
                           .message(14, custom("names", "{0: 'cat'}"))
                           .message(14, custom("author", "\xe2\x82\xac"))
                           .message(14, custom("broken", "\xff"))
                           .message(14, custom("empty", ""))));
  const auto described = runtime->describe_model("m");
  ASSERT_TRUE(described);
  std::vector<std::pair<std::string, std::string>> said;
  for (const vaccel_metadata& pair : std::span((*described)->metadata, (*described)->metadata_count))
    said.emplace_back(pair.key, pair.value);
  const decltype(said) expected{
      {"producer", "a test"},    {"graph", "test"}, {"description", "Gives back what it gets"},
      {"domain", "org.example"}, {"version", "7"},  {"author", "\xe2\x82\xac"},
      {"names", "{0: 'cat'}"}};
  EXPECT_EQ(said, expected);

  must_open(identity(kFloat, {1}));
  const auto silent = runtime->describe_model("m");
  ASSERT_TRUE(silent);
  ASSERT_EQ((*silent)->metadata_count, 1u);
  EXPECT_STREQ((*silent)->metadata[0].key, "graph");
}

struct TypeCase {
  OnnxType onnx;
  vaccel_dtype dtype;
  size_t size;
};

TEST_F(OnnxruntimeTest, PassesEveryElementType) {
  constexpr TypeCase kTypes[] = {
      {kFloat, VACCEL_FLOAT32, 4},     {kDouble, VACCEL_FLOAT64, 8}, {kFloat16, VACCEL_FLOAT16, 2},
      {kBfloat16, VACCEL_BFLOAT16, 2}, {kInt8, VACCEL_INT8, 1},      {kInt16, VACCEL_INT16, 2},
      {kInt32, VACCEL_INT32, 4},       {kInt64, VACCEL_INT64, 8},    {kUint8, VACCEL_UINT8, 1},
      {kUint16, VACCEL_UINT16, 2},     {kUint32, VACCEL_UINT32, 4},  {kUint64, VACCEL_UINT64, 8},
      {kBool, VACCEL_BOOL, 1}};
  for (const TypeCase& type : kTypes) {
    for (const bool dynamic : {false, true}) {
      SCOPED_TRACE(std::to_string(type.dtype) + (dynamic ? " dynamic" : " fixed"));
      must_open(identity(type.onnx, {2, dynamic ? -1 : 3}));
      std::vector<uint8_t> data(6 * type.size);
      for (size_t index = 0; index < data.size(); ++index) {
        data[index] = static_cast<uint8_t>(type.dtype == VACCEL_BOOL ? index % 2 : index + 1);
      }
      TestCall call("infer", model);
      ASSERT_EQ(call.input("x", type.dtype, {2, 3}, data).run(*runtime), VACCEL_OK) << call.sentence;
      ASSERT_EQ(call.outputs.size(), 1u);
      EXPECT_EQ(call.outputs[0].name, "y");
      EXPECT_EQ(call.outputs[0].dtype, type.dtype);
      EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{2, 3}));
      EXPECT_EQ(call.outputs[0].as<uint8_t>(), data);
    }
  }
}

TEST_F(OnnxruntimeTest, PassesStrings) {
  must_open(identity(kString, {-1}));
  TestCall call("infer", model);
  const std::vector<std::string> strings = {"one", "", "zwölf"};
  ASSERT_EQ(
      call.input("x", VACCEL_STRING, {3}, runtime::testing::as_bytes(strings_tensor(strings))).run(*runtime),
      VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].dtype, VACCEL_STRING);
  EXPECT_EQ(call.outputs[0].strings(), strings);
  EXPECT_EQ(
      std::string(reinterpret_cast<const char*>(call.outputs[0].bytes.data()), call.outputs[0].bytes.size()),
      strings_tensor(strings));

  TestCall none("infer", model);
  ASSERT_EQ(none.input("x", VACCEL_STRING, {0}, runtime::testing::as_bytes(strings_tensor({}))).run(*runtime),
            VACCEL_OK)
      << none.sentence;
  EXPECT_TRUE(none.outputs[0].strings().empty());

  TestCall inside("infer", model);
  EXPECT_EQ(inside
                .input("x", VACCEL_STRING, {1},
                       runtime::testing::as_bytes(strings_tensor({std::string("a\0b", 3)})))
                .run(*runtime),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(inside.sentence, "string 0 of input 'x' has a NUL inside; ONNX Runtime's strings end there");
}

TEST_F(OnnxruntimeTest, TakesEmptyTensorsAndScalars) {
  must_open(identity(kFloat, {-1, 3}));
  TestCall empty("infer", model);
  ASSERT_EQ(empty.input("x", VACCEL_FLOAT32, {0, 3}, std::vector<float>{}).run(*runtime), VACCEL_OK)
      << empty.sentence;
  EXPECT_EQ(empty.outputs[0].shape, (std::vector<int64_t>{0, 3}));
  EXPECT_TRUE(empty.outputs[0].bytes.empty());

  must_open(identity(kFloat, {}));
  TestCall scalar("infer", model);
  ASSERT_EQ(scalar.input("x", VACCEL_FLOAT32, {}, std::vector<float>{2.5F}).run(*runtime), VACCEL_OK)
      << scalar.sentence;
  EXPECT_EQ(scalar.outputs[0].as<float>(), std::vector<float>{2.5F});
  EXPECT_TRUE(scalar.outputs[0].shape.empty());
}

TEST_F(OnnxruntimeTest, AShapeThatDependsOnTheDataIsFound) {
  must_open(OnnxModel().input("x", kFloat, {-1}).output("y", kInt64, {1, -1}).node("NonZero", {"x"}, {"y"}));
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {5}, std::vector<float>{0, 1, 0, 2, 3}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(call.outputs[0].as<int64_t>(), (std::vector<int64_t>{1, 3, 4}));
}

class TwoInputs : public OnnxruntimeTest {
 protected:
  void SetUp() override {
    OnnxruntimeTest::SetUp();
    if (IsSkipped()) return;
    must_open(OnnxModel()
                  .input("a", kFloat, {2})
                  .input("b", kFloat, {-1})
                  .output("difference", kFloat, {2})
                  .output("sum", kFloat, {2})
                  .node("Sub", {"a", "b"}, {"difference"})
                  .node("Add", {"a", "b"}, {"sum"}));
  }
  const std::vector<float> one = {1, 2};
  const std::vector<float> two = {10, 20};
};

TEST_F(TwoInputs, AreMatchedByNameAndByPosition) {
  for (const bool named : {true, false}) {
    TestCall call("infer", model);
    if (named) {
      call.input("b", VACCEL_FLOAT32, {2}, two).input("a", VACCEL_FLOAT32, {2}, one);
    } else {
      call.input(nullptr, VACCEL_FLOAT32, {2}, one).input(nullptr, VACCEL_FLOAT32, {2}, two);
    }
    ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{-9, -18}));
    EXPECT_EQ(call.outputs[1].as<float>(), (std::vector<float>{11, 22}));
    EXPECT_EQ(call.outputs[0].name, "difference");
    EXPECT_EQ(call.outputs[1].name, "sum");
  }
}

TEST_F(TwoInputs, AreRefusedWhenTheyDoNotFit) {
  const auto refusal = [&](auto... inputs) {
    TestCall call("infer", model);
    (call.input(std::get<0>(inputs), std::get<1>(inputs), std::get<2>(inputs), one), ...);
    EXPECT_EQ(call.run(*runtime), VACCEL_INVALID_ARGUMENT);
    EXPECT_TRUE(call.outputs.empty());
    return call.sentence;
  };
  using In = std::tuple<const char*, vaccel_dtype, std::vector<int64_t>>;
  const In a{"a", VACCEL_FLOAT32, {2}};
  const In b{"b", VACCEL_FLOAT32, {2}};
  EXPECT_EQ(refusal(),
            "model 'm': input 'a' is missing; the model's inputs are: 'a' float32 [2], 'b' float32 [?]");
  EXPECT_EQ(refusal(a),
            "model 'm': input 'b' is missing; the model's inputs are: 'a' float32 [2], 'b' float32 [?]");
  EXPECT_EQ(refusal(a, a),
            "model 'm': input 'a' is given twice; the model's inputs are: 'a' float32 [2], 'b' float32 [?]");
  EXPECT_EQ(refusal(a, In{"c", VACCEL_FLOAT32, {2}}),
            "model 'm': the model has no input 'c'; its inputs are: 'a' float32 [2], 'b' float32 [?]");
  EXPECT_EQ(refusal(a, b, In{nullptr, VACCEL_FLOAT32, {2}}),
            "model 'm': 3 inputs are given; the model's inputs are: 'a' float32 [2], 'b' float32 [?]");
  EXPECT_EQ(refusal(In{"a", VACCEL_INT32, {2}}, b),
            "model 'm': input 'a' is int32 [2]; the model takes float32 [2]");
  EXPECT_EQ(refusal(In{"a", VACCEL_FLOAT32, {1, 2}}, b),
            "model 'm': input 'a' has shape [1, 2]; the model takes float32 [2]");
  EXPECT_EQ(refusal(In{"a", VACCEL_FLOAT32, {1}}, b),
            "model 'm': input 'a' has shape [1]; the model takes float32 [2]");
  EXPECT_EQ(refusal(In{"a", VACCEL_FLOAT32, {0}}, b),
            "model 'm': input 'a' has shape [0]; the model takes float32 [2]");
}

TEST_F(TwoInputs, FailInTheFrameworkWithItsWords) {
  TestCall call("infer", model);
  call.input("a", VACCEL_FLOAT32, {2}, one).input("b", VACCEL_FLOAT32, {3}, std::vector<float>{1, 2, 3});
  EXPECT_NE(call.run(*runtime), VACCEL_OK);
  EXPECT_TRUE(call.sentence.starts_with("ONNX Runtime failed: ")) << call.sentence;
}

TEST_F(TwoInputs, TakeNaNAsItIs) {
  TestCall call("infer", model);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  call.input("a", VACCEL_FLOAT32, {2}, std::vector<float>{nan, 1}).input("b", VACCEL_FLOAT32, {2}, two);
  ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_TRUE(std::isnan(call.outputs[1].as<float>()[0]));
  EXPECT_EQ(call.outputs[1].as<float>()[1], 21);
}

TEST_F(TwoInputs, SayWhenThereIsNoRoomForResults) {
  TestCall call("infer", model);
  call.output_limit = 4;
  call.input("a", VACCEL_FLOAT32, {2}, one).input("b", VACCEL_FLOAT32, {2}, two);
  EXPECT_EQ(call.run(*runtime), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence,
            "no memory for result 0, 'difference', of 8 bytes: the limit for results is reached");
}

TEST_F(TwoInputs, AreDescribed) {
  const auto described = runtime->describe_model("m");
  ASSERT_TRUE(described) << described.error().message();
  const vaccel_model& facts = **described;
  EXPECT_STREQ(facts.backend, "onnxruntime");
  EXPECT_STREQ(facts.problem, "");
  ASSERT_EQ(facts.input_count, 2u);
  EXPECT_STREQ(facts.inputs[1].name, "b");
  EXPECT_EQ(facts.inputs[1].dtype, VACCEL_FLOAT32);
  ASSERT_EQ(facts.inputs[1].rank, 1);
  EXPECT_EQ(facts.inputs[1].shape[0], -1);
  ASSERT_EQ(facts.output_count, 2u);
  EXPECT_STREQ(facts.outputs[0].name, "difference");
}

TEST_F(OnnxruntimeTest, MoreInputsThanFitOnTheStackAreTaken) {
  OnnxModel many;
  std::vector<std::string> names;
  for (int index = 0; index < 40; ++index) {
    names.push_back("i" + std::to_string(index));
    many.input(names.back(), kFloat, {1});
  }
  must_open(many.output("y", kFloat, {1}).node("Sum", names, {"y"}));
  TestCall call("infer", model);
  for (const std::string& name : names)
    call.input(name.c_str(), VACCEL_FLOAT32, {1}, std::vector<float>{2});
  ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{80});
}

TEST_F(OnnxruntimeTest, RefusesWhatIsNoModel) {
  std::vector<std::string> files{"not a model at all", std::string(1000, '\xff'), "PK\x03\x04 and so on",
                                 std::string("\x1c\0\0\0TFL3", 8)};
  std::mt19937 random(7);
  for (int file = 0; file < 20; ++file) {
    std::string& noise = files.emplace_back(1000, '\0');
    for (char& byte : noise)
      byte = static_cast<char>(random());
  }
  const std::string whole = sum_with_weight().file();
  for (size_t size = 1; size < whole.size() - kBytesOfOpset; size += 3)
    files.push_back(whole.substr(0, size));
  for (const std::string& file : files) {
    const std::string sentence = open(file);
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: the file is no ONNX model, or damaged: ") ||
                sentence.starts_with("model 'm' cannot be used: ONNX Runtime refuses the model: "))
        << file.size() << " bytes: " << sentence;
  }
  EXPECT_EQ(open(""), "model 'm' cannot be used: model.onnx is empty");
}

// Each time one bit of a small model is another one; what is not refused still runs or fails, and nothing breaks.
TEST_F(OnnxruntimeTest, NoDamageDoesHarm) {
  const std::string whole = sum_with_weight().file();
  const auto first = runtime::testing::make_runtime("");
  std::mt19937 random(11);
  int refused = 0;
  for (int file = 0; file < 300; ++file) {
    std::string damaged = whole;
    damaged[random() % damaged.size()] ^= static_cast<char>(1U << (random() % 8));
    if (!open(damaged).empty()) {
      ++refused;
      continue;
    }
    TestCall call("infer", model);
    (void)call.input("x", VACCEL_FLOAT32, {2}, std::vector<float>{1, 2}).run(*runtime);
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 300);
}

TEST_F(OnnxruntimeTest, RefusesModelsThatWantAHundredGigabytes) {
  // By a weight that the file does not have.
  const Message claim = Message().number(1, 250'000).number(1, 100'000).number(2, kFloat).bytes(8, "w");
  for (const Message& weight : {claim, Message(claim).bytes(9, "1234")}) {
    const std::string sentence = open(OnnxModel()
                                          .input("x", kFloat, {1})
                                          .output("y", kFloat, {-1, -1})
                                          .weight(weight)
                                          .node("Add", {"x", "w"}, {"y"})
                                          .file());
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: ONNX Runtime refuses the model: "))
        << sentence;
  }
}

TEST_F(OnnxruntimeTest, ModelsThatWantAHundredGigabytesAsTheyRunFail) {
  if (kAddressSanitizer) GTEST_SKIP() << "skipped: the sanitizer ends the process where there is no memory";
  const auto run_with = [&](const std::vector<int64_t>& shape, std::string& sentence) {
    TestCall call("infer", model);
    const vaccel_status status = call.input("shape", VACCEL_INT64, {2}, shape).run(*runtime);
    sentence = call.sentence;
    return status;
  };
  must_open(OnnxModel()
                .input("shape", kInt64, {2})
                .output("y", kFloat, {-1, -1})
                .node("ConstantOfShape", {"shape"}, {"large"})
                .node("Neg", {"large"}, {"y"}));
  std::string sentence;
  EXPECT_EQ(run_with({250'000, 100'000}, sentence), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(sentence.starts_with("ONNX Runtime failed: ")) << sentence;
  EXPECT_NE(sentence.find("100000000000"), std::string::npos) << sentence;
  EXPECT_EQ(run_with({1, 2}, sentence), VACCEL_OK) << sentence;
}

TEST_F(OnnxruntimeTest, RefusesWeightsInOtherFiles) {
  runtime::testing::write_text(folder.path() / "weights.bin", "12345678");
  const std::string sentence = open(OnnxModel()
                                        .input("x", kFloat, {2})
                                        .output("y", kFloat, {2})
                                        .external_weight("w", 2, "weights.bin")
                                        .node("Add", {"x", "w"}, {"y"})
                                        .file());
  EXPECT_NE(sentence.find("which are not loaded; save it as one file"), std::string::npos) << sentence;
}

// A file that a model names is the host's, not the model's, wherever it is and whoever asks for it. Without optimisations
// ONNX Runtime reads it only when all else is done, and of a model in memory from the current folder.
TEST_F(OnnxruntimeTest, ReadsNoOtherFile) {
  constexpr uint64_t kCount = 1000;
  const backend_testing::FolderWithWeights weights(std::string(kCount * sizeof(float), 'x'));
  const backend_testing::ModelOpener openers[] = {
      {"onnxruntime", "onnx"}, {"onnxruntime", "onnx", {{"graph_optimization", "none", "f:1:1"}}}};
  for (const std::string& name : weights.names()) {
    const std::string bytes = OnnxModel()
                                  .input("x", kFloat, {kCount})
                                  .output("y", kFloat, {kCount})
                                  .external_weight("w", kCount, name)
                                  .node("Max", {"x", "w"}, {"y"})
                                  .file();
    const std::filesystem::path file = weights.models() / "model.onnx";
    runtime::testing::write_text(file, bytes);
    for (const backend_testing::ModelOpener& opener : openers) {
      for (const std::string& outcome : {opener.from_memory(bytes), opener.from_file(file)}) {
        EXPECT_EQ(outcome,
                  "INVALID_ARGUMENT: the model keeps weights in other files ('external data'), which are not "
                  "loaded; save it as one file (onnx.save with save_as_external_data=False)")
            << name;
      }
    }
  }
}

TEST_F(OnnxruntimeTest, FindsWeightsInOtherFilesWhereverATensorMayBe) {
  const Message elsewhere = Message().number(1, 2).number(2, kFloat).number(14, 1).bytes(8, "w").message(
      13, Message().bytes(1, "location").bytes(2, "weights.bin"));
  const Message graph = Message().message(5, elsewhere);
  const Message deep = Message().message(1, Message().message(5, Message().message(6, graph)));
  const auto node = [](const Message& attribute) {
    return Message().message(1, Message().message(5, attribute));
  };
  const auto model_of = [](const Message& some) { return Message().number(1, 8).message(7, some); };
  for (const Message& hides : {
           model_of(graph),
           model_of(Message().message(5, Message().number(14, 1).bytes(8, "w"))),  // only one of the two
           model_of(Message().message(15, Message().message(1, elsewhere))),       // a sparse weight's values
           model_of(Message().message(15, Message().message(2, elsewhere))),       // and places
           model_of(node(Message().message(5, elsewhere))),                        // an attribute
           model_of(node(Message().message(10, elsewhere))),                       // one of several
           model_of(node(Message().message(22, Message().message(1, elsewhere)))),
           model_of(node(Message().message(23, Message().message(2, elsewhere)))),
           model_of(deep),  // a branch of an If
           model_of(node(Message().message(11, deep))),
           Message().number(1, 8).message(7, Message()).message(7, graph),  // merged by protobuf
           Message().number(1, 8).message(
               25, Message().message(7, Message().message(5, Message().message(5, elsewhere)))),
           Message().number(1, 8).message(25, Message().message(11, Message().message(5, elsewhere))),
           Message().number(1, 8).message(20, Message().message(1, graph)),
           Message().number(1, 8).message(20, Message().message(2, graph)),
       }) {
    const std::string sentence = open(hides.text());
    EXPECT_TRUE(sentence.starts_with("model 'm' cannot be used: the model keeps weights in other files"))
        << sentence;
  }
  Message nested;
  for (int depth = 0; depth < 100; ++depth)
    nested = node(Message().message(6, nested));
  EXPECT_EQ(open(model_of(nested).text()),
            "model 'm' cannot be used: the model has graphs within graphs, more than 32 deep");
}

TEST_F(OnnxruntimeTest, RefusesOutputsThatAreNoTensors) {
  const std::string sentence = open(
      Message()
          .number(1, 8)
          .message(
              7, Message()
                     .message(1, Message().bytes(1, "x").bytes(2, "y").bytes(4, "SequenceConstruct"))
                     .bytes(2, "test")
                     .message(11, Message().bytes(1, "x").message(
                                      2, Message().message(1, Message().number(1, kFloat))))
                     .message(12, Message().bytes(1, "y").message(
                                      2, Message().message(
                                             4, Message().message(
                                                    1, Message().message(1, Message().number(1, kFloat)))))))
          .message(8, Message().bytes(1, "").number(2, 13))
          .text());
  EXPECT_EQ(sentence,
            "model 'm' cannot be used: output 'y' is a sequence, map or optional value; only tensors can be "
            "passed");
}

// A loop that runs for minutes unless it is stopped.
// Runs for seconds: one that comes to its end is VACCEL_OK, and has not been stopped.
OnnxModel endless() {
  OnnxModel made;
  made.input("x", kFloat, {300, 300}).output("y", kFloat, {300, 300});
  std::string last = "x";
  for (int index = 0; index < 4000; ++index) {
    const std::string next = index == 3999 ? "y" : "t" + std::to_string(index);
    made.node("MatMul", {last, "x"}, {next});
    last = next;
  }
  return made;
}

TEST_F(OnnxruntimeTest, StopsWhenTheDeadlinePasses) {
  must_open(endless());
  TestCall call("infer", model);
  call.call.deadline_ns = now_ns() + 50'000'000;
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {300, 300}, std::vector<float>(90000)).run(*runtime),
            VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(call.sentence, "the call's deadline has passed");
}

TEST_F(OnnxruntimeTest, StopsWhenItIsCancelled) {
  must_open(endless());
  std::atomic<int> cancelled = 0;
  TestCall call("infer", model);
  call.call.cancelled = &cancelled;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));  // so that it is under way, most likely
    cancelled = 1;
  });
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {300, 300}, std::vector<float>(90000)).run(*runtime),
            VACCEL_CANCELLED);
  canceller.join();
}

TEST_F(OnnxruntimeTest, TwoRuntimesShareAProcess) {
  // ONNX Runtime keeps the logger of the first environment; a failing run logs after its owner has gone.
  const auto second = runtime::testing::make_runtime("");
  must_open(OnnxModel()
                .input("a", kFloat, {2})
                .input("b", kFloat, {-1})
                .output("y", kFloat, {2})
                .node("Add", {"a", "b"}, {"y"}));
  TestCall call("infer", model);
  call.input("a", VACCEL_FLOAT32, {2}, std::vector<float>{1, 2})
      .input("b", VACCEL_FLOAT32, {3}, std::vector<float>{1, 2, 3});
  EXPECT_NE(call.run(*runtime), VACCEL_OK);
}

TEST_F(OnnxruntimeTest, RefusesLibrariesThatAreNotIt) {
  const auto problem = [&](const std::string& library) {
    (void)open(identity(kFloat, {1}).file(), {{"library", library, "f:1:1"}});
    return runtime::testing::why_not(*runtime, "onnxruntime");
  };
  EXPECT_EQ(problem("libm.so.6"), "the library exports no OrtGetApiBase: it is not ONNX Runtime");
  EXPECT_EQ(problem(VACCEL_ONNXRUNTIME_TEST_LIBRARIES "/libonnxruntime_1_4_for_tests.so"),
            "ONNX Runtime 1.4.0 is too old or unknown: 1.14 or newer is needed");
  // One that says it is new enough, and has no such API.
  EXPECT_EQ(problem(VACCEL_ONNXRUNTIME_TEST_LIBRARIES "/libonnxruntime_1_99_for_tests.so"),
            "ONNX Runtime 1.99.0 is too old or unknown: 1.14 or newer is needed");
}

TEST_F(OnnxruntimeTest, KnowsItsOptions) {
  const std::string file = identity(kFloat, {1}).file();
  const auto problem = [&](std::vector<BackendOption> options) {
    (void)open(file, std::move(options));
    return runtime::testing::why_not(*runtime, "onnxruntime");
  };
  EXPECT_EQ(problem({{"threads", "2", "f:1:1"},
                     {"inter_threads", "2", "f:2:1"},
                     {"spinning", "true", "f:3:1"},
                     {"graph_optimization", "basic", "f:4:1"}}),
            "");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(problem({{"treads", "2", "f:1:1"}}),
            "f:1:1: unknown option 'treads'; there are: library, threads, inter_threads, spinning, "
            "graph_optimization, "
            "providers");
  EXPECT_EQ(problem({{"threads", "two", "f:1:1"}}),
            "f:1:1: 'threads' is two; it must be an integer, 0 to 1024");
  EXPECT_EQ(problem({{"spinning", "1", "f:1:1"}}), "f:1:1: 'spinning' is 1; it must be true or false");
  EXPECT_EQ(problem({{"graph_optimization", "max", "f:1:1"}}),
            "f:1:1: 'graph_optimization' is \"max\"; it must be none, basic, extended or all");
  EXPECT_TRUE(problem({{"library", "/nonexistent/libonnxruntime.so", "f:1:1"}})
                  .starts_with("cannot load ONNX Runtime (/nonexistent/libonnxruntime.so: "));
  EXPECT_EQ(problem({{"providers.0.required", "true", "f:1:1"}}),
            "provider 0 of [backend.onnxruntime] has no name");
}

TEST_F(OnnxruntimeTest, AProviderThatIsNotThereIsSkippedUnlessItIsRequired) {
  const std::string file = identity(kFloat, {1}).file();
  ASSERT_EQ(open(file, {{"providers.0.name", "NoSuchExecutionProvider", "f:1:1"}}), "");
  EXPECT_EQ(report().devices, "CPU");
  (void)open(file, {{"providers.0.name", "NoSuchExecutionProvider", "f:1:1"},
                    {"providers.0.required", "true", "f:1:1"}});
  const std::string problem = runtime::testing::why_not(*runtime, "onnxruntime");
  EXPECT_TRUE(problem.starts_with("execution provider 'NoSuchExecutionProvider' does not work here: "))
      << problem;
}

}  // namespace
}  // namespace vaccel::onnxruntime
