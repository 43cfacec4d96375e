// SPDX-License-Identifier: Apache-2.0
//
// Files that are not what they should be, from random bytes to models that are made to break TensorFlow Lite: each is
// refused with a sentence, or does no harm.
#include <dlfcn.h>

#include <algorithm>
#include <random>

#include "tflite_testing.h"
#include "vaccel/backend.h"

namespace vaccel::tflite {
namespace {

using namespace testing;
using runtime::testing::TestCall;

class TfliteFilesTest : public TfliteTest {
 protected:
  // What opening says, without whose model it is.
  std::string refusal(const std::string& file) {
    const std::string start = "model 'm' cannot be used: ";
    const std::string sentence = open(file);
    EXPECT_TRUE(sentence.starts_with(start)) << sentence;
    return sentence.substr(std::min(start.size(), sentence.size()));
  }
  std::string refusal(const TfliteModel& made) { return refusal(made.file()); }

  // Opens every file, in one runtime, and runs what can be opened. Returns the sentences; "" for what was opened.
  std::vector<std::string> try_all(const std::vector<std::string>& files) {
    close();
    for (size_t index = 0; index < files.size(); ++index) {
      const std::string name = "m" + std::to_string(index);
      runtime::testing::write_text(folder.path() / name / "model.tflite", files[index]);
      runtime::testing::write_text(folder.path() / name / "model.toml",
                                   "name = \"" + name +
                                       "\"\ntask = \"infer\"\n[model]\nfile = \"model.tflite\"\nformat = "
                                       "\"tflite\"\nsha256 = \"" +
                                       runtime::sha256_hex(runtime::testing::as_bytes(files[index])) +
                                       "\"\n");
    }
    runtime = runtime::testing::make_runtime(folder.path(), {{"tflite", {{"threads", "1", "f:1:1"}}}});
    std::vector<std::string> sentences;
    for (size_t index = 0; index < files.size(); ++index)
      sentences.push_back(try_one("m" + std::to_string(index)));
    return sentences;
  }

 private:
  std::string try_one(const std::string& name) {
    const auto opened = runtime->open_model(name);
    if (!opened) return opened.error().message();
    // Whatever comes of it: a model that is another one than was meant may still be a model.
    TestCall call("infer", *opened);
    const std::vector<float> values = {1, 2, 3, 4};
    (void)call.input("a", VACCEL_FLOAT32, {2, 2}, values)
        .input("b", VACCEL_FLOAT32, {2, 2}, values)
        .run(*runtime);
    runtime->close_model(*opened);
    return "";
  }
};

// y = (a + b) + w
Graph two_sums() {
  Graph graph;
  const int32_t a = graph.input("a", kFloat, {-1, 2});
  const int32_t b = graph.input("b", kFloat, {-1, 2});
  const int32_t y = graph.output("y", kFloat, {-1, 2});
  const int32_t w = graph.constant<float>("w", kFloat, {2}, {1, 2});
  const int32_t middle = graph.tensor({"middle", kFloat, {-1, 2}, {}});
  graph.node(kAdd, {a, b}, {middle}).node(kAdd, {middle, w}, {y});
  return graph;
}

TEST_F(TfliteFilesTest, WhatIsNoModelIsRefused) {
  std::mt19937 random(1);
  std::string noise(1000, '\0');
  for (char& byte : noise)
    byte = static_cast<char>(random());
  for (const std::string& file :
       {noise, std::string("no model"), std::string(100, '\xff'), std::string("\x08\x08\x12\x07onnx-is")}) {
    EXPECT_EQ(refusal(file), "the file is no TensorFlow Lite model: of its " + std::to_string(file.size()) +
                                 " bytes, those from the fifth on are not \"TFL3\"");
  }
  EXPECT_EQ(refusal(""), "model.tflite is empty");
  noise.replace(4, 4, "TFL3");
  EXPECT_TRUE(refusal(noise).starts_with("the file is damaged")) << refusal(noise);
  EXPECT_EQ(refusal(TfliteModel(two_sums()).file(2)),
            "the model has schema version 2; 3 is what TensorFlow Lite runs");
}

TEST_F(TfliteFilesTest, AFileThatIsCutOffIsRefusedWhereverThatIs) {
  constexpr size_t kPadding = 4;  // at the end of this file; nobody misses it
  const std::string whole = TfliteModel(two_sums()).file();
  std::vector<std::string> files = {whole};
  for (size_t size = 1; size < whole.size() - kPadding; size += size < 64 ? 1 : 3)
    files.push_back(whole.substr(0, size));
  const std::vector<std::string> sentences = try_all(files);
  EXPECT_EQ(sentences[0], "");
  for (size_t index = 1; index < sentences.size(); ++index)
    EXPECT_NE(sentences[index], "") << "cut off after " << files[index].size() << " bytes of "
                                    << whole.size();
}

TEST_F(TfliteFilesTest, NoDamageDoesHarm) {
  const std::string whole = TfliteModel(two_sums()).file();
  std::vector<std::string> files;
  for (size_t place = 8; place < whole.size(); place += 3) {
    files.push_back(whole);
    files.back()[place] = static_cast<char>(place % 2 == 0 ? 0xff : 0x01);
  }
  const std::vector<std::string> sentences = try_all(files);
  // Some bytes do not matter, and most do.
  const auto opened = std::count(sentences.begin(), sentences.end(), "");
  EXPECT_GT(opened, 0);
  EXPECT_LT(static_cast<size_t>(opened), files.size() / 2);
}

TEST_F(TfliteFilesTest, TensorsThatAreTooLargeAreRefused) {
  EXPECT_EQ(refusal(identity(kFloat, {160'000, 160'000})),
            "tensor 'x' has shape [160000, 160000]; TensorFlow Lite counts up to 2147483647 bytes a tensor");
  EXPECT_EQ(refusal(identity(kInt64, {2'000'000'000, 2'000'000'000, 2'000'000'000})),
            "tensor 'x' has shape [2000000000, 2000000000, 2000000000]; TensorFlow Lite counts up to "
            "2147483647 bytes a "
            "tensor");
  EXPECT_EQ(refusal(identity(kFloat, {4, -7})), "tensor 'x' has a dimension of -7");
}

TEST_F(TfliteFilesTest, OperatorsThatAskForTooMuchMemoryFail) {
  if (kAddressSanitizer || kThreadSanitizer)
    GTEST_SKIP() << "skipped: a sanitizer ends the process where there is no memory";
  Graph graph;
  const int32_t x = graph.input("x", kFloat, {});
  const int32_t y = graph.output("y", kFloat, {1});
  const int32_t sizes = graph.constant<int32_t>("sizes", kInt32, {2}, {1'600'000, 1'600'000});
  graph.node(kFill, {sizes, x}, {y});
  EXPECT_EQ(refusal(TfliteModel(graph)), "no memory");
}

TEST_F(TfliteFilesTest, TensorsThatAreNotWhatTheySeemAreRefused) {
  Graph constant_input = two_sums();
  constant_input.inputs()[0] = 3;
  EXPECT_EQ(refusal(TfliteModel(constant_input)), "an input of subgraph 0, tensor 3, is a constant");

  Graph beyond = two_sums();
  beyond.outputs()[0] = 5;
  EXPECT_EQ(refusal(TfliteModel(beyond)), "subgraph 0 refers to tensor 5, and has 5");
  beyond.outputs()[0] = -1;
  EXPECT_EQ(refusal(TfliteModel(beyond)), "subgraph 0 refers to tensor -1, and has 5");

  Graph circle;
  const int32_t x = circle.input("x", kFloat, {1});
  const int32_t y = circle.output("y", kFloat, {1});
  const int32_t later = circle.tensor({"later", kFloat, {1}, {}});
  circle.node(kAdd, {x, later}, {y}).node(kAdd, {x, y}, {later});
  EXPECT_EQ(refusal(TfliteModel(circle)), "subgraph 0 reads tensor 2 before anything has computed it");

  Graph over = two_sums();
  over.node(kAdd, {0, 1}, {0});
  EXPECT_EQ(refusal(TfliteModel(over)),
            "an operator of subgraph 0 writes tensor 0, which is an input, a constant or computed already");

  Graph buffers = two_sums();
  buffers.tensor({"nowhere", kFloat, {1}, {}, false, 99});
  EXPECT_EQ(refusal(TfliteModel(buffers)), "tensor 'nowhere' refers to buffer 99; the model has 2");

  Graph strings = two_sums();
  strings.outputs().push_back(
      strings.tensor({"labels", kString, {2}, std::string("\2\0\0\0\x10\0\0\0\xff\xff\0\0\x10\0\0\0", 16)}));
  EXPECT_EQ(refusal(TfliteModel(strings)), "tensor 'labels' has 16 bytes that are not its 2 strings");

  Graph scale = two_sums();
  scale.tensor({"scaled", kInt8, {1}, {}, false, UINT32_MAX, -0.5F, 0});
  EXPECT_EQ(refusal(TfliteModel(scale)),
            "tensor 'scaled' has a quantisation scale of -0.5; it must be finite and not negative");

  Graph complex = two_sums();
  complex.outputs().push_back(complex.tensor({"z", kComplex64, {1}, std::string(8, '\0')}));
  EXPECT_EQ(refusal(TfliteModel(complex)),
            "output 'z' has an element type that vAccel has no name for (complex, resource, int4)");

  Graph short_constant = two_sums();
  short_constant.outputs().push_back(short_constant.tensor({"short", kFloat, {100}, std::string(8, '\0')}));
  EXPECT_TRUE(refusal(TfliteModel(short_constant)).starts_with("TensorFlow Lite refuses the model: "));
}

TEST_F(TfliteFilesTest, ResultsThatNobodyReadsDoNoHarm) {
  Graph graph = two_sums();
  graph.outputs()[0] = 4;  // of the first sum; the second one is in vain
  ASSERT_EQ(open(TfliteModel(graph)), "");
  TestCall call("infer", model);
  ASSERT_EQ(call.input("a", VACCEL_FLOAT32, {1, 2}, std::vector<float>{1, 2})
                .input("b", VACCEL_FLOAT32, {1, 2}, std::vector<float>{10, 20})
                .run(*runtime),
            VACCEL_OK)
      << call.sentence;
  EXPECT_EQ(call.outputs[0].as<float>(), (std::vector<float>{11, 22}));
}

TEST_F(TfliteFilesTest, StateThatCannotBeResetIsRefused) {
  for (const Operation operation : {kVarHandle, kReadVariable, kAssignVariable}) {
    Graph graph = two_sums();
    graph.node(operation, {}, {graph.tensor({"handle", kResource, {1}, {}})});
    EXPECT_EQ(refusal(TfliteModel(graph)), "the model keeps state in resource variables (operator " +
                                               std::to_string(operation) +
                                               "), and calls of vAccel share none");
  }
}

// Calls two subgraphs, as a condition and a body.
Graph loop(int32_t condition, int32_t body, uint8_t options_type = 93) {
  Graph graph;
  const int32_t x = graph.input("x", kFloat, {1});
  graph.node(kWhile, {x}, {graph.output("y", kFloat, {1})}, {options_type, {condition, body}});
  return graph;
}

TEST_F(TfliteFilesTest, CallsThatNeverEndAreRefused) {
  Graph leaf;
  const int32_t x = leaf.input("x", kFloat, {1});
  leaf.node(kAdd, {x, x}, {leaf.output("y", kFloat, {1})});

  EXPECT_EQ(refusal(TfliteModel(loop(0, 1)).subgraph(leaf)),
            "subgraph 0 calls itself, or calls go deeper than 32");
  EXPECT_EQ(refusal(TfliteModel(loop(1, 2)).subgraph(leaf).subgraph(loop(1, 3)).subgraph(loop(1, 2))),
            "subgraph 2 calls itself, or calls go deeper than 32");
  EXPECT_EQ(refusal(TfliteModel(loop(1, 7)).subgraph(leaf)), "an operator calls subgraph 7; the model has 2");
  // Options of another type are none: then it is subgraph 0 that is called.
  EXPECT_EQ(refusal(TfliteModel(loop(1, 1, 92)).subgraph(leaf)),
            "subgraph 0 calls itself, or calls go deeper than 32");

  TfliteModel deep(loop(1, 2));
  deep.subgraph(leaf);
  for (int32_t index = 2; index < 100; ++index)
    deep.subgraph(loop(1, index + 1));
  deep.subgraph(leaf);
  EXPECT_NE(refusal(deep).find("deeper than 32"), std::string::npos) << refusal(deep);
}

// The backend's table, without a runtime: for what the runtime never does.
class TableTest : public TfliteFilesTest {
 protected:
  void SetUp() override {
    TfliteFilesTest::SetUp();
    if (IsSkipped()) return;
    void* library = ::dlopen((runtime::testing::backend_folder() / "libvaccel-backend-tflite.so").c_str(),
                             RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    const auto entry =
        reinterpret_cast<decltype(&vaccel_backend_entry)>(::dlsym(library, VACCEL_BACKEND_ENTRY));
    ASSERT_NE(entry, nullptr);
    table = entry();
    ASSERT_EQ(table->create(&host, nullptr, 0, &error, &instance), VACCEL_OK) << sentence;
  }
  void TearDown() override {
    if (instance != nullptr) table->destroy(instance);
    TfliteFilesTest::TearDown();
  }

  // Opens a model and tells how many inputs it has.
  size_t inputs_of(const vaccel_backend_model_source& source) {
    sentence.clear();
    vaccel_backend_model* opened = nullptr;
    if (table->model_open(instance, &source, &error, &opened) != VACCEL_OK) return 0;
    const vaccel_tensor_info* infos = nullptr;
    size_t input_count = 0;
    size_t output_count = 0;
    table->model_describe(opened, &infos, &input_count, &infos, &output_count);
    table->model_close(opened);
    return input_count;
  }

  std::string sentence;
  const vaccel_backend* table = nullptr;
  vaccel_backend_instance* instance = nullptr;
  vaccel_backend_host host{sizeof host, nullptr, [](void*, int, const char*) {}};
  vaccel_backend_error error{&sentence, [](void* context, vaccel_status status, const char* words) {
                               *static_cast<std::string*>(context) = words;
                               return status;
                             }};
};

TEST_F(TableTest, ModelsMayLieInAFileOrAnywhereInMemory) {
  const std::string whole = TfliteModel(two_sums()).file();
  vaccel_backend_model_source source{};
  source.size = sizeof source;
  source.name = "m";
  source.format = "tflite";
  const std::filesystem::path file = folder.path() / "file.tflite";
  runtime::testing::write_text(file, whole);
  source.path = file.c_str();
  EXPECT_EQ(inputs_of(source), 2u) << sentence;
  source.path = "/nonexistent/file.tflite";
  EXPECT_EQ(inputs_of(source), 0u);
  EXPECT_EQ(sentence, "cannot read /nonexistent/file.tflite");
  source.path = nullptr;
  for (size_t shift = 0; shift < 4; ++shift) {
    const std::string shifted = std::string(shift, '\0') + whole;
    source.data = shifted.data() + shift;
    source.data_size = whole.size();
    EXPECT_EQ(inputs_of(source), 2u) << sentence;
  }
}

}  // namespace
}  // namespace vaccel::tflite
