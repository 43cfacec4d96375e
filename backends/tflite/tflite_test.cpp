// SPDX-License-Identifier: Apache-2.0
//
// The backend on the real TensorFlow Lite, through the runtime's own loader and operators.
#include <thread>

#include "core/clock.h"
#include "tflite_testing.h"

namespace vaccel::tflite {
namespace {

using namespace testing;
using runtime::BackendOption;
using runtime::testing::TestCall;

std::string strings_tensor(const std::vector<std::string>& strings) {
  std::string data((strings.size() + 1) * sizeof(uint32_t), '\0');
  for (size_t index = 0; index <= strings.size(); ++index) {
    const auto offset = static_cast<uint32_t>(data.size());
    std::memcpy(data.data() + index * sizeof offset, &offset, sizeof offset);
    if (index < strings.size()) data += strings[index] + '\0';
  }
  return data;
}

// As TensorFlow Lite keeps them in a file.
std::string stored_strings(const std::vector<std::string>& strings) {
  std::string data((strings.size() + 2) * sizeof(uint32_t), '\0');
  const auto count = static_cast<uint32_t>(strings.size());
  std::memcpy(data.data(), &count, sizeof count);
  for (size_t index = 0; index <= strings.size(); ++index) {
    const auto offset = static_cast<uint32_t>(data.size());
    std::memcpy(data.data() + (index + 1) * sizeof offset, &offset, sizeof offset);
    if (index < strings.size()) data += strings[index];
  }
  return data;
}

TEST_F(TfliteTest, DescribesItself) {
  EXPECT_TRUE(report().version.starts_with("2.")) << report().version;
  EXPECT_EQ(report().devices, "CPU");
}

TEST_F(TfliteTest, TellsWhatTheFileSaysOfItself) {
  const auto model_with = [](std::vector<std::pair<std::string, std::string>> metadata) {
    return TfliteModel(identity(kFloat, {1})).about("Made by a test", std::move(metadata));
  };
  ASSERT_EQ(open(model_with({{"min_runtime_version", std::string("1.5.0\0\0\0", 8)},
                             {"weights", std::string("\x01\x02\x03", 3)},
                             {"", "nameless"}})),
            "");
  const auto described = runtime->describe_model("m");
  ASSERT_TRUE(described);
  std::vector<std::pair<std::string, std::string>> said;
  for (const vaccel_metadata& pair : std::span((*described)->metadata, (*described)->metadata_count))
    said.emplace_back(pair.key, pair.value);
  const decltype(said) expected{
      {"description", "Made by a test"}, {"min_runtime_version", "1.5.0"}, {"weights", "3 bytes"}};
  EXPECT_EQ(said, expected);
  ASSERT_EQ(open(identity(kFloat, {1})), "");
  const auto silent = runtime->describe_model("m");
  ASSERT_TRUE(silent);
  EXPECT_EQ((*silent)->metadata_count, 0u);
}

struct TypeCase {
  FileType file;
  vaccel_dtype dtype;
  size_t size;
};

TEST_F(TfliteTest, PassesEveryElementType) {
  constexpr TypeCase kTypes[] = {
      {kFloat, VACCEL_FLOAT32, 4}, {kFloat16, VACCEL_FLOAT16, 2}, {kDouble, VACCEL_FLOAT64, 8},
      {kInt8, VACCEL_INT8, 1},     {kInt16, VACCEL_INT16, 2},     {kInt32, VACCEL_INT32, 4},
      {kInt64, VACCEL_INT64, 8},   {kUint8, VACCEL_UINT8, 1},     {kUint32, VACCEL_UINT32, 4},
      {kUint64, VACCEL_UINT64, 8}, {kBool, VACCEL_BOOL, 1}};
  for (const TypeCase& type : kTypes) {
    for (const bool dynamic : {false, true}) {
      SCOPED_TRACE(std::to_string(type.dtype) + (dynamic ? " dynamic" : " fixed"));
      ASSERT_EQ(open(identity(type.file, {dynamic ? -1 : 2, 3})), "");
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

TEST_F(TfliteTest, PassesStrings) {
  ASSERT_EQ(open(identity(kString, {-1})), "");
  for (const std::vector<std::string>& strings :
       {std::vector<std::string>{"one", "", "zwölf", std::string("a\0b", 3)}, std::vector<std::string>{""}}) {
    TestCall call("infer", model);
    const std::string data = strings_tensor(strings);
    ASSERT_EQ(call.input("x", VACCEL_STRING, {static_cast<int64_t>(strings.size())},
                         runtime::testing::as_bytes(data))
                  .run(*runtime),
              VACCEL_OK)
        << call.sentence;
    EXPECT_EQ(call.outputs[0].dtype, VACCEL_STRING);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(call.outputs[0].bytes.data()),
                          call.outputs[0].bytes.size()),
              data);
  }
}

TEST_F(TfliteTest, QuantisedModelsTakeAndGiveTheirOwnIntegers) {
  // "sum" = x + x in int8, "real" = x as it is meant, "bytes" = real in uint8: each with its own scale and zero point.
  for (const char* xnnpack : {"true", "false"}) {
    SCOPED_TRACE(xnnpack);
    Graph graph;
    graph.inputs() = {graph.tensor({"x", kInt8, {4}, {}, false, UINT32_MAX, 0.5F, 10})};
    const int32_t sum = graph.tensor({"sum", kInt8, {4}, {}, false, UINT32_MAX, 1, 0});
    const int32_t real = graph.tensor({"real", kFloat, {4}, {}});
    const int32_t bytes = graph.tensor({"bytes", kUint8, {4}, {}, false, UINT32_MAX, 2, 128});
    graph.outputs() = {sum, real, bytes};
    graph.node(kAdd, {0, 0}, {sum}).node(kDequantize, {0}, {real}).node(kQuantize, {real}, {bytes});
    ASSERT_EQ(open(TfliteModel(graph), {{"xnnpack", xnnpack, "f:1:1"}}), "");
    TestCall call("infer", model);
    ASSERT_EQ(call.input("x", VACCEL_INT8, {4}, std::vector<int8_t>{10, 14, -10, 127}).run(*runtime),
              VACCEL_OK)
        << call.sentence;
    EXPECT_EQ(call.outputs[0].as<int8_t>(), (std::vector<int8_t>{0, 4, -20, 117}));
    EXPECT_EQ(call.outputs[1].as<float>(), (std::vector<float>{0, 2, -10, 58.5F}));
    EXPECT_EQ(call.outputs[2].as<uint8_t>(), (std::vector<uint8_t>{128, 129, 123, 157}));
  }
}

// Pixels go in and come out again as scores from 0 to 1. The file says what the integers stand for; model.toml may repeat
// it, and is not believed where it says otherwise.
TEST_F(TfliteTest, PicturesGoIntoQuantisedModelsAsTheirFilesSay) {
  const std::string cat = runtime::testing::photo("chelsea.png");
  if (!std::filesystem::exists(cat)) GTEST_SKIP() << "skipped: no " << cat << "; scripts/setup fetches it";
  Graph graph;
  const int32_t x = graph.tensor({"x", kUint8, {1, 1, 1, 3}, {}, false, UINT32_MAX, 1.0F / 128, 128});
  const int32_t y = graph.tensor({"y", kUint8, {1, 3}, {}, false, UINT32_MAX, 1.0F / 256, 0});
  const int32_t sizes = graph.constant("sizes", kInt32, {2}, std::vector<int32_t>{1, 3});
  graph.inputs() = {x};
  graph.outputs() = {y};
  graph.node(kReshape, {x, sizes}, {y});
  const std::string tables =
      "[image]\ninput = \"x\"\nwidth = 1\nheight = 1\nlayout = \"nhwc\"\nmean = [128, 128, 128]\n"
      "scale = [128, 128, 128]\n[classify]\noutput = \"y\"\n";
  const std::string right =
      "[[inputs]]\nname = \"x\"\ndtype = \"uint8\"\nscale = 0.0078125\nzero_point = 128\n";
  for (const std::string& more : {std::string(), right}) {
    ASSERT_EQ(open(TfliteModel(graph).file(), {}, "classify", tables + more), "");
    TestCall call("classify", model);
    ASSERT_EQ(call.integer("top", 3).image(runtime::testing::read_text(cat)).run(*runtime), VACCEL_OK)
        << call.sentence;
    for (const float score : call.outputs[1].as<float>()) {
      EXPECT_GT(score, 0.1F);
      EXPECT_EQ(score * 256, static_cast<float>(static_cast<int>(score * 256)));
    }
  }
  std::string wrong = right;
  wrong.replace(wrong.find("128\n"), 4, "127\n");
  EXPECT_EQ(
      open(TfliteModel(graph).file(), {}, "classify", tables + wrong),
      "model 'm' cannot be used: [[inputs]] says that the numbers of 'x' are 0.0078125 * (stored - 127), and "
      "its file says 0.0078125 * (stored - 128); leave scale and zero_point out, or write those of the file");
  const std::string output = "[[outputs]]\nname = \"y\"\ndtype = \"uint8\"\nscale = 0.0039\nzero_point = 0\n";
  EXPECT_EQ(
      open(TfliteModel(graph).file(), {}, "classify", tables + output),
      "model 'm' cannot be used: [[outputs]] says that the numbers of 'y' are 0.0039 * (stored - 0), and its "
      "file says 0.00390625 * (stored - 0); leave scale and zero_point out, or write those of the file");
}

TEST_F(TfliteTest, RefusesPicturesForIntegersThatStandForNothing) {
  const std::string tables =
      "[image]\ninput = \"x\"\nwidth = 1\nheight = 1\nlayout = \"nhwc\"\nmean = [0, 0, 0]\n"
      "scale = [1, 1, 1]\n[classify]\noutput = \"y\"\n";
  EXPECT_EQ(
      open(identity(kUint8, {1, 1, 1, 3}).file(), {}, "classify", tables),
      "model 'm' cannot be used: its input 'x' is uint8 [1, 1, 1, 3], and nothing says what the integers "
      "stand "
      "for: give name, dtype, scale and zero_point in [[inputs]]; 1 and 0 where it takes what [image] makes, "
      "rounded");
  Graph graph;
  graph.inputs() = {graph.tensor({"x", kUint8, {1, 1, 1, 3}, {}, false, UINT32_MAX, 0.5F, 300})};
  graph.outputs() = {graph.tensor({"y", kFloat, {1, 1, 1, 3}, {}})};
  graph.node(kDequantize, {0}, {1});
  EXPECT_EQ(open(TfliteModel(graph).file(), {}, "classify", tables),
            "model 'm' cannot be used: its input 'x' cannot be quantised as its file says: its scale is 0.5 "
            "and its "
            "zero point 300; they must be a number above 0, and one of uint8, from 0 to 255");
}

TEST_F(TfliteTest, GivesOutStringsThatItsFileHas) {
  Graph graph;
  const int32_t x = graph.input("x", kFloat, {1});
  const int32_t y = graph.output("y", kFloat, {1});
  graph.node(kAdd, {x, x}, {y});
  graph.outputs().push_back(graph.tensor({"labels", kString, {2}, stored_strings({"cat", "dog"})}));
  ASSERT_EQ(open(TfliteModel(graph)), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[1].strings(), (std::vector<std::string>{"cat", "dog"}));
}

TEST_F(TfliteTest, TakesScalarsAndRefusesEmptyTensors) {
  ASSERT_EQ(open(identity(kFloat, {})), "");
  TestCall scalar("infer", model);
  ASSERT_EQ(scalar.input("x", VACCEL_FLOAT32, {}, std::vector<float>{2.5F}).run(*runtime), VACCEL_OK)
      << scalar.sentence;
  EXPECT_EQ(scalar.outputs[0].as<float>(), std::vector<float>{2.5F});
  EXPECT_TRUE(scalar.outputs[0].shape.empty());

  ASSERT_EQ(open(identity(kFloat, {-1, 3})), "");
  TestCall empty("infer", model);
  EXPECT_EQ(empty.input("x", VACCEL_FLOAT32, {0, 3}, std::vector<float>{}).run(*runtime),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(empty.sentence, "input 'x' has no elements; TensorFlow Lite takes no empty tensors");
}

// "sum" = a + b, of free length.
TfliteModel sum() {
  Graph graph;
  const int32_t a = graph.input("a", kFloat, {-1, 2});
  const int32_t b = graph.input("b", kFloat, {-1, 2});
  const int32_t y = graph.output("sum", kFloat, {-1, 2});
  graph.node(kAdd, {a, b}, {y});
  return TfliteModel(std::move(graph));
}

TEST_F(TfliteTest, TheBatchMayChangeFromCallToCall) {
  for (const char* xnnpack : {"true", "false"}) {
    SCOPED_TRACE(xnnpack);
    ASSERT_EQ(open(sum(), {{"xnnpack", xnnpack, "f:1:1"}, {"threads", "1", "f:1:1"}}), "");
    for (const int64_t batch : {1, 3, 3, 1000, 1, 2}) {
      std::vector<float> a(static_cast<size_t>(batch) * 2);
      std::vector<float> expected(a.size());
      for (size_t index = 0; index < a.size(); ++index) {
        a[index] = static_cast<float>(index);
        expected[index] = 2 * a[index];
      }
      TestCall call("infer", model);
      ASSERT_EQ(call.input("b", VACCEL_FLOAT32, {batch, 2}, a)
                    .input("a", VACCEL_FLOAT32, {batch, 2}, a)
                    .run(*runtime),
                VACCEL_OK)
          << call.sentence;
      EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{batch, 2}));
      EXPECT_EQ(call.outputs[0].as<float>(), expected);
    }
  }
}

TEST_F(TfliteTest, ShapesThatDoNotFitEachOtherFailWithItsWords) {
  ASSERT_EQ(open(sum()), "");
  TestCall call("infer", model);
  call.input("a", VACCEL_FLOAT32, {2, 2}, std::vector<float>(4))
      .input("b", VACCEL_FLOAT32, {3, 2}, std::vector<float>(6));
  EXPECT_EQ(call.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(call.sentence.starts_with("TensorFlow Lite cannot run the model on inputs of these shapes: "))
      << call.sentence;
  TestCall again("infer", model);
  again.input("a", VACCEL_FLOAT32, {1, 2}, std::vector<float>{1, 2})
      .input("b", VACCEL_FLOAT32, {1, 2}, std::vector<float>{3, 4});
  ASSERT_EQ(again.run(*runtime), VACCEL_OK) << again.sentence;
  EXPECT_EQ(again.outputs[0].as<float>(), (std::vector<float>{4, 6}));
}

TEST_F(TfliteTest, SaysWhenThereIsNoRoomForResults) {
  ASSERT_EQ(open(identity(kFloat, {2})), "");
  TestCall call("infer", model);
  call.output_limit = 4;
  EXPECT_EQ(call.input("x", VACCEL_FLOAT32, {2}, std::vector<float>{1, 2}).run(*runtime),
            VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence, "no memory for result 0, 'y', of 8 bytes: the limit for results is reached");
}

TEST_F(TfliteTest, AShapeThatDependsOnTheDataIsFound) {
  Graph graph;
  const int32_t x = graph.input("x", kBool, {5});
  const int32_t y = graph.output("y", kInt64, {-1, 1});
  graph.node(kWhere, {x}, {y});
  // One that XNNPACK would like to take, so that it meets the shape that is not known yet.
  const int32_t a = graph.input("a", kFloat, {2});
  const int32_t b = graph.output("b", kFloat, {2});
  graph.node(kAdd, {a, a}, {b});
  ASSERT_EQ(open(TfliteModel(graph)), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("x", VACCEL_BOOL, {5}, std::vector<uint8_t>{0, 1, 0, 1, 1})
                .input("a", VACCEL_FLOAT32, {2}, std::vector<float>{1, 2})
                .run(*runtime),
            VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(call.outputs[0].as<int64_t>(), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(call.outputs[1].as<float>(), (std::vector<float>{2, 4}));
}

TEST_F(TfliteTest, IsDescribed) {
  ASSERT_EQ(open(sum()), "");
  const auto described = runtime->describe_model("m");
  ASSERT_TRUE(described) << described.error().message();
  const vaccel_model& facts = **described;
  EXPECT_STREQ(facts.backend, "tflite");
  EXPECT_STREQ(facts.problem, "");
  ASSERT_EQ(facts.input_count, 2u);
  EXPECT_STREQ(facts.inputs[1].name, "b");
  EXPECT_EQ(facts.inputs[1].dtype, VACCEL_FLOAT32);
  ASSERT_EQ(facts.inputs[1].rank, 2);
  EXPECT_EQ(facts.inputs[1].shape[0], -1);
  EXPECT_EQ(facts.inputs[1].shape[1], 2);
  ASSERT_EQ(facts.output_count, 1u);
  EXPECT_STREQ(facts.outputs[0].name, "sum");
  ASSERT_EQ(facts.outputs[0].rank, 2);
  EXPECT_EQ(facts.outputs[0].shape[0], -1);
}

TEST_F(TfliteTest, NothingIsKeptFromCallToCall) {
  // h = x + h: the sum of all that it was ever given, if h is not reset.
  Graph graph;
  const int32_t x = graph.input("x", kFloat, {1, 1, 1});
  const int32_t one = graph.constant<float>("one", kFloat, {1, 1}, {1});
  const int32_t zero = graph.constant<float>("zero", kFloat, {1}, {0});
  const int32_t state = graph.tensor({"state", kFloat, {1, 1}, {}, true});
  const int32_t y = graph.output("y", kFloat, {1, 1, 1});
  constexpr uint8_t kSequenceRnnOptions = 33;
  graph.node(kSequenceRnn, {x, one, one, zero, state}, {y}, {kSequenceRnnOptions, {}});
  ASSERT_EQ(open(TfliteModel(graph)), "");
  for (int round = 0; round < 3; ++round) {
    TestCall call("infer", model);
    ASSERT_EQ(call.input("x", VACCEL_FLOAT32, {1, 1, 1}, std::vector<float>{5}).run(*runtime), VACCEL_OK)
        << call.sentence;
    EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>{5}) << "round " << round;
  }
}

TEST_F(TfliteTest, ManyThreadsGetTheirOwnResults) {
  for (const char* interpreters : {"1", "3"}) {
    ASSERT_EQ(open(sum(), {{"interpreters", interpreters, "f:1:1"}, {"threads", "1", "f:1:2"}}), "");
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 6; ++thread) {
      threads.emplace_back([&, thread] {
        for (int round = 0; round < 50; ++round) {
          const int64_t batch = 1 + (thread + round) % 3;
          const std::vector<float> a(static_cast<size_t>(batch) * 2, static_cast<float>(thread));
          const std::vector<float> b(a.size(), static_cast<float>(round) * 100);
          TestCall call("infer", model);
          ASSERT_EQ(call.input("a", VACCEL_FLOAT32, {batch, 2}, a)
                        .input("b", VACCEL_FLOAT32, {batch, 2}, b)
                        .run(*runtime),
                    VACCEL_OK)
              << call.sentence;
          EXPECT_EQ(call.outputs[0].as<float>(), std::vector<float>(a.size(), a[0] + b[0]));
        }
      });
    }
    for (std::thread& thread : threads)
      thread.join();
  }
}

TEST_F(TfliteTest, StopsBeforeItRunsWhenItIsTooLate) {
  ASSERT_EQ(open(identity(kFloat, {1})), "");
  TestCall late("infer", model);
  late.call.deadline_ns = now_ns() - 1;
  EXPECT_EQ(late.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime),
            VACCEL_DEADLINE_EXCEEDED);
  const std::atomic<int> cancelled = 1;
  TestCall given_up("infer", model);
  given_up.call.cancelled = &cancelled;
  EXPECT_EQ(given_up.input("x", VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime), VACCEL_CANCELLED);
}

TEST_F(TfliteTest, KnowsItsOptions) {
  const std::string file = identity(kFloat, {1}).file();
  const auto problem = [&](std::vector<BackendOption> options) {
    (void)open(file, std::move(options));
    return runtime::testing::why_not(*runtime, "tflite");
  };
  EXPECT_EQ(
      problem({{"threads", "2", "f:1:1"}, {"interpreters", "0", "f:2:1"}, {"xnnpack", "false", "f:3:1"}}),
      "");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(problem({{"treads", "2", "f:1:1"}}),
            "f:1:1: unknown option 'treads'; there are: library, threads, interpreters, xnnpack, delegates");
  EXPECT_EQ(problem({{"threads", "two", "f:1:1"}}),
            "f:1:1: 'threads' is two; it must be an integer, 0 to 1024");
  EXPECT_EQ(problem({{"interpreters", "-1", "f:2:1"}}),
            "f:2:1: 'interpreters' is -1; it must be an integer, 0 to 1024");
  EXPECT_EQ(problem({{"xnnpack", "1", "f:1:1"}}), "f:1:1: 'xnnpack' is 1; it must be true or false");
  EXPECT_EQ(problem({{"delegates.0.required", "true", "f:1:1"}}),
            "delegate 0 of [backend.tflite] has no library");
  EXPECT_EQ(problem({{"delegates.0.required", "yes", "f:4:1"}}),
            "f:4:1: 'delegates.0.required' is yes; it must be true or false");
  EXPECT_EQ(problem({{"delegates.99.library", "x", "f:4:1"}}),
            "f:4:1: 'delegates' must be an array of at most 16 tables: [{ library = \"...\" }]");
}

TEST_F(TfliteTest, RefusesLibrariesThatAreNotIt) {
  const std::string file = identity(kFloat, {1}).file();
  const auto problem = [&](const std::string& library) {
    (void)open(file, {{"library", library, "f:1:1"}});
    return runtime::testing::why_not(*runtime, "tflite");
  };
  EXPECT_TRUE(problem("/nonexistent/libtensorflowlite_c.so")
                  .starts_with("cannot load TensorFlow Lite (/nonexistent/libtensorflowlite_c.so: "));
  EXPECT_EQ(problem("libm.so.6"),
            "the library exports no TfLiteVersion: it is not TensorFlow Lite's C library, 2.9 or newer");
  EXPECT_EQ(problem(VACCEL_TFLITE_TEST_LIBRARIES "/libtflite_2_4_for_tests.so"),
            "TensorFlow Lite 2.4.1 is too old or unknown: 2.9 or newer is needed");
  EXPECT_EQ(problem(VACCEL_TFLITE_TEST_LIBRARIES "/libtflite_2_17_for_tests.so"),
            "the library exports no TfLiteModelCreate: it is not TensorFlow Lite's C library, 2.9 or newer");
}

class TfliteMobilenetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* entry : {"mobilenet", "mobilenet-tflite"}) {
      if (!std::filesystem::exists(runtime::testing::real_catalogue() / entry / "model.toml")) {
        GTEST_SKIP() << "skipped: no " << entry << " in " << runtime::testing::real_catalogue()
                     << "; scripts/make-catalogue makes it";
      }
    }
    if (!std::filesystem::exists(runtime::testing::photo("chelsea.png"))) {
      GTEST_SKIP() << "skipped: no " << runtime::testing::photo("chelsea.png")
                   << "; scripts/setup fetches it";
    }
  }

  // The best class and its score.
  static std::pair<int32_t, float> classify(runtime::Runtime& runtime, const char* name) {
    const auto model = runtime.open_model(name);
    EXPECT_TRUE(model) << model.error().message();
    if (!model) return {};
    TestCall call("classify", *model);
    EXPECT_EQ(call.integer("top", 1)
                  .image(runtime::testing::read_text(runtime::testing::photo("chelsea.png")))
                  .run(runtime),
              VACCEL_OK)
        << call.sentence;
    runtime.close_model(*model);
    if (call.outputs.size() != 3) return {};
    return {call.outputs[0].as<int32_t>()[0], call.outputs[1].as<float>()[0]};
  }
};

TEST_F(TfliteMobilenetTest, LabelsThatDoNotFitAreRefused) {
  const runtime::testing::TemporaryFolder folder;
  std::filesystem::copy(runtime::testing::real_catalogue() / "mobilenet-tflite",
                        folder.path() / "mobilenet-tflite", std::filesystem::copy_options::recursive);
  runtime::testing::write_text(folder.path() / "mobilenet-tflite" / "labels.txt", "one\ntwo\n");
  const auto description = folder.path() / "mobilenet-tflite" / "model.toml";
  std::string text = runtime::testing::read_text(description);
  text.resize(text.find("labels_sha256"));
  runtime::testing::write_text(description, text);
  const auto runtime = runtime::testing::make_runtime(folder.path());
  const auto opened = runtime->open_model("mobilenet-tflite");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message(),
            "model 'mobilenet-tflite' cannot be used: labels.txt has 2 labels, and its output "
            "'MobilenetV1/Predictions/Reshape_1' has 1001 classes");
}

TEST_F(TfliteMobilenetTest, SeesTheSameCatAsOnnxRuntime) {
  for (const char* xnnpack : {"true", "false"}) {
    SCOPED_TRACE(xnnpack);
    std::map<std::string, std::vector<BackendOption>> options;
    options["tflite"] = {{"xnnpack", xnnpack, "f:1:1"}};
    // ThreadSanitizer does not see how the threads of ONNX Runtime, which it did not compile, wait for each other.
    if (kThreadSanitizer) options["onnxruntime"] = {{"threads", "1", "f:1:1"}};
    const auto runtime =
        runtime::testing::make_runtime(runtime::testing::real_catalogue(), std::move(options));
    ASSERT_NE(runtime, nullptr);
    for (const char* backend : {"onnxruntime", "tflite"}) {
      const std::string reason = runtime::testing::why_not(*runtime, backend);
      if (!reason.empty()) GTEST_SKIP() << "skipped: " << reason;
    }
    const auto [onnx_class, onnx_score] = classify(*runtime, "mobilenet");
    const auto [tflite_class, tflite_score] = classify(*runtime, "mobilenet-tflite");
    EXPECT_EQ(onnx_class, 286);
    EXPECT_EQ(tflite_class, 286);
    EXPECT_NEAR(tflite_score, onnx_score, 0.03F);
    EXPECT_NEAR(tflite_score, 0.9436F, 0.03F);
  }
}

}  // namespace
}  // namespace vaccel::tflite
