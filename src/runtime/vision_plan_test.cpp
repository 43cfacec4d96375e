// SPDX-License-Identifier: Apache-2.0
//
// Models that fit their model.toml, or do not: small ones, made for the purpose, loaded by ONNX Runtime.
#include "runtime/vision_plan.h"

#include "onnx_testing.h"
#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using onnxruntime::testing::identity;
using onnxruntime::testing::int_attribute;
using onnxruntime::testing::kFloat;
using onnxruntime::testing::kInt32;
using onnxruntime::testing::kInt64;
using onnxruntime::testing::kInt8;
using onnxruntime::testing::kUint8;
using onnxruntime::testing::Message;
using onnxruntime::testing::OnnxModel;
using testing::photo;
using testing::read_text;
using testing::TemporaryFolder;
using testing::TestCall;
using testing::write_text;

constexpr const char* kImage =
    "[image]\ninput = \"x\"\nwidth = 2\nheight = 2\nlayout = \"nchw\"\nmean = [0, 0, 0]\nscale = [255, 255, "
    "255]\n";

class VisionPlanTest : public ::testing::Test {
 protected:
  // Writes a catalogue with the one model "m", and opens it.
  Result<Model*> open(const std::string& task, const OnnxModel& onnx, const std::string& tables,
                      const std::string& labels = "") {
    const std::string file = onnx.file();
    const std::filesystem::path entry = folder.path() / "m";
    write_text(entry / "model.onnx", file);
    if (!labels.empty()) write_text(entry / "labels.txt", labels);
    write_text(entry / "model.toml",
               "name = \"m\"\ntask = \"" + task +
                   "\"\n[model]\nfile = \"model.onnx\"\nformat = \"onnx\"\nsha256 = \"" +
                   sha256_hex(testing::as_bytes(file)) + "\"\n" + tables);
    runtime = testing::make_runtime(folder.path());
    return runtime->open_model("m");
  }
  std::string problem(const std::string& task, const OnnxModel& onnx, const std::string& tables,
                      const std::string& labels = "") {
    const auto model = open(task, onnx, tables, labels);
    if (model) return "";
    EXPECT_EQ(model.error().code(), VACCEL_INVALID_ARGUMENT);
    return model.error().message();
  }
  void SetUp() override {
    const auto probe = testing::make_runtime("");
    ASSERT_NE(probe, nullptr);
    if (const std::string reason = testing::why_not(*probe, "onnxruntime"); !reason.empty()) {
      GTEST_SKIP() << "skipped: " << reason;
    }
    if (!std::filesystem::exists(photo("chelsea.png"))) {
      GTEST_SKIP() << "skipped: no " << photo("chelsea.png") << "; scripts/setup fetches it";
    }
  }

  TemporaryFolder folder;
  std::unique_ptr<Runtime> runtime;
};

// Scores are the pixels less the most that any image of the batch has there: of one image alone they are all 0.
OnnxModel less_than_the_batch(int64_t batch) {
  OnnxModel model;
  model.input("x", kFloat, {batch, 3, 2, 2}).output("y", kFloat, {batch, 12});
  const Message axes = Message().message(5, Message().bytes(1, "axes").number(8, 0).number(20, 7));
  model.node("ReduceMax", {"x"}, {"most"}, axes);
  model.node("Sub", {"x", "most"}, {"less"});
  return model.node("Flatten", {"less"}, {"y"}, int_attribute("axis", 1));
}

TEST_F(VisionPlanTest, AFreeBatchIsRunAsOne) {
  for (const int64_t batch : {int64_t{-1}, int64_t{1}}) {
    const auto model =
        open("classify", less_than_the_batch(batch), std::string(kImage) + "[classify]\noutput = \"y\"\n");
    ASSERT_TRUE(model) << model.error().message();
    TestCall call("classify", *model);
    const std::string cat = read_text(photo("chelsea.png"));
    const std::string astronaut = read_text(photo("astronaut.png"));
    ASSERT_EQ(call.integer("top", 12).image(cat).image(astronaut).image(cat).run(*runtime), VACCEL_OK)
        << call.sentence;
    ASSERT_EQ(call.outputs.size(), 9u);
    size_t below = 0;
    for (const size_t scores : {1u, 4u, 7u}) {
      for (const float score : call.outputs[scores].as<float>())
        below += score < 0 ? 1 : 0;
    }
    EXPECT_EQ(call.outputs[1].as<float>(), call.outputs[7].as<float>());
    EXPECT_EQ(call.outputs[7].name, "2.score");
    EXPECT_EQ(below > 0, batch == -1);
    runtime->close_model(*model);
  }
}

// The map's channels are red, green and blue; each image's own pixels come back to it.
TEST_F(VisionPlanTest, EachImageOfABatchGetsItsOwnShare) {
  const auto model =
      open("segment", identity(kFloat, {-1, 3, 2, 2}),
           std::string(kImage) + "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nchw\"\n");
  ASSERT_TRUE(model) << model.error().message();
  const std::string cat = read_text(photo("chelsea.png"));
  const std::string coffee = read_text(photo("coffee.png"));
  TestCall many("segment", *model);
  for (int image = 0; image < 64; ++image)
    many.image(image % 3 == 0 ? coffee : cat);
  ASSERT_EQ(many.run(*runtime), VACCEL_OK) << many.sentence;
  ASSERT_EQ(many.outputs.size(), 3u * 64);
  for (const std::string& file : {coffee, cat}) {
    TestCall one("segment", *model);
    ASSERT_EQ(one.image(file).run(*runtime), VACCEL_OK) << one.sentence;
    for (size_t image = 0; image < 64; ++image) {
      if ((image % 3 == 0) != (&file != &cat && file == coffee)) continue;
      EXPECT_EQ(many.outputs[3 * image].bytes, one.outputs[0].bytes) << image;
    }
  }
  runtime->close_model(*model);
}

TEST_F(VisionPlanTest, OutputsThatAreNotThereAreNamed) {
  const OnnxModel model = identity(kFloat, {1, 3, 2, 2});
  EXPECT_EQ(problem("classify", model, std::string(kImage) + "[classify]\noutput = \"z\"\n"),
            "model 'm' cannot be used: [classify] output is 'z', and its outputs are 'y'");
  EXPECT_EQ(problem("detect", model,
                    std::string(kImage) + "[detect]\ndecoder = \"ssd\"\nboxes = \"y\"\nscores = \"s\"\n"),
            "model 'm' cannot be used: [detect] scores is 's', and its outputs are 'y'");
  EXPECT_EQ(problem("pose", model,
                    std::string(kImage) + "[pose]\ndecoder = \"posenet\"\nheatmaps = \"y\"\noffsets = \"o\"\n"
                                          "layout = \"nchw\"\nkeypoints = [\"a\", \"b\", \"c\"]\n"),
            "model 'm' cannot be used: [pose] offsets is 'o', and its outputs are 'y'");
  std::string image = kImage;
  image.replace(image.find("\"x\""), 3, "\"w\"");
  EXPECT_EQ(problem("depth", model, image + "[depth]\noutput = \"y\"\nkind = \"metric\"\n"),
            "model 'm' cannot be used: [image] input is 'w', and its inputs are 'x'");
}

TEST_F(VisionPlanTest, ShapesAndTypesThatDoNotFitAreTold) {
  const OnnxModel model = identity(kFloat, {1, 3, 2, 2});
  EXPECT_EQ(
      problem("depth", model, std::string(kImage) + "[depth]\noutput = \"y\"\nkind = \"metric\"\n"),
      "model 'm' cannot be used: its output 'y' [3, 2, 2] holds no depths: they must be [height, width]");
  EXPECT_EQ(problem("detect", model,
                    std::string(kImage) + "[detect]\ndecoder = \"yolo\"\noutput = \"y\"\nplaces = \"rows\"\n"
                                          "objectness = false\n"),
            "model 'm' cannot be used: its output 'y' [3, 2, 2] is none of decoder \"yolo\": it must be "
            "[places, 4 + classes]");
  std::string image = kImage;
  image.replace(image.find("width = 2"), 9, "width = 5");
  EXPECT_EQ(problem("segment", model,
                    image + "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nchw\"\n"),
            "model 'm' cannot be used: [image] makes float32 [1, 3, 2, 5], and its input 'x' is float32 [1, "
            "3, 2, 2]");
  EXPECT_EQ(
      problem("segment", identity(kInt64, {1, 3, 2, 2}),
              std::string(kImage) + "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nchw\"\n"),
      "model 'm' cannot be used: [image] makes float32, uint8 or int8 [1, 3, 2, 2], and its input 'x' is "
      "int64 [1, 3, 2, 2]");
  OnnxModel integers;
  integers.input("x", kFloat, {1, 3, 2, 2}).output("y", kInt64, {1, 3, 2, 2});
  integers.node("Cast", {"x"}, {"y"}, int_attribute("to", kInt64));
  EXPECT_EQ(
      problem("segment", integers,
              std::string(kImage) + "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nchw\"\n"),
      "model 'm' cannot be used: its output 'y' is int64 [1, 3, 2, 2]; 'output' of [segment] must be "
      "float32, uint8 or int8; decoder \"classes\" takes class numbers");
}

// "y" has the integers of "x", one after the other.
OnnxModel flattened(onnxruntime::testing::OnnxType type) {
  OnnxModel model;
  model.input("x", type, {1, 3, 2, 2}).output("y", type, {1, 12});
  return model.node("Flatten", {"x"}, {"y"}, int_attribute("axis", 1));
}

std::string quantised(const std::string& side, const std::string& name, const std::string& dtype,
                      const std::string& scale, const std::string& zero_point) {
  return "[[" + side + "s]]\nname = \"" + name + "\"\ndtype = \"" + dtype + "\"\nscale = " + scale +
         "\nzero_point = " + zero_point + "\n";
}

// What goes in is 0 to 1 in steps of 1 / 100, and what comes out the same integers, that are twice as much from -20 on.
TEST_F(VisionPlanTest, IntegersStandForWhatModelTomlSays) {
  const auto floats =
      open("classify", flattened(kFloat), std::string(kImage) + "[classify]\noutput = \"y\"\n");
  ASSERT_TRUE(floats) << floats.error().message();
  const std::string cat = read_text(photo("chelsea.png"));
  TestCall exact("classify", *floats);
  ASSERT_EQ(exact.integer("top", 12).image(cat).run(*runtime), VACCEL_OK) << exact.sentence;
  const std::vector<int32_t> order = exact.outputs[0].as<int32_t>();
  const std::vector<float> scores = exact.outputs[1].as<float>();
  runtime->close_model(*floats);
  for (const auto& [type, dtype] : {std::pair{kUint8, "uint8"}, std::pair{kInt8, "int8"}}) {
    const auto model = open("classify", flattened(type),
                            std::string(kImage) + "[classify]\noutput = \"y\"\n" +
                                quantised("input", "x", dtype, "0.01", "10") +
                                quantised("output", "y", dtype, "0.02", "20"));
    ASSERT_TRUE(model) << model.error().message();
    TestCall call("classify", *model);
    ASSERT_EQ(call.integer("top", 12).image(cat).image(cat).run(*runtime), VACCEL_OK) << call.sentence;
    for (const size_t image : {0u, 3u}) {
      std::vector<float> by_class(12);
      for (size_t one = 0; one < 12; ++one) {
        const auto index = static_cast<size_t>(call.outputs[image].as<int32_t>()[one]);
        by_class[index] = call.outputs[image + 1].as<float>()[one];
      }
      for (size_t one = 0; one < 12; ++one) {
        const float wanted = 2 * scores[one] - 0.2F;
        EXPECT_NEAR(by_class[static_cast<size_t>(order[one])], wanted, 0.0101) << dtype;
      }
    }
    runtime->close_model(*model);
  }
}

// Of several outputs each has its own scale: offsets are twice what heat maps are. In floats the model says so itself.
TEST_F(VisionPlanTest, EachOutputHasItsOwnQuantisation) {
  const std::string tables =
      std::string(kImage) +
      "[pose]\ndecoder = \"posenet\"\nheatmaps = \"y\"\noffsets = \"o\"\nlayout = "
      "\"nchw\"\nactivation = \"none\"\nmin_score = 0\nkeypoints = [\"a\", \"b\", \"c\"]\n";
  OnnxModel floats;
  floats.input("x", kFloat, {1, 3, 2, 2}).output("y", kFloat, {1, 3, 2, 2}).output("o", kFloat, {1, 6, 2, 2});
  floats.node("Identity", {"x"}, {"y"}).node("Concat", {"x", "x"}, {"both"}, int_attribute("axis", 1));
  floats.node("Add", {"both", "both"}, {"o"});
  OnnxModel integers;
  integers.input("x", kUint8, {1, 3, 2, 2})
      .output("y", kUint8, {1, 3, 2, 2})
      .output("o", kUint8, {1, 6, 2, 2});
  integers.node("Identity", {"x"}, {"y"}).node("Concat", {"x", "x"}, {"o"}, int_attribute("axis", 1));
  const std::string cat = read_text(photo("chelsea.png"));
  const auto values = [&](const OnnxModel& onnx, const std::string& more) {
    const auto model = open("pose", onnx, tables + more);
    EXPECT_TRUE(model) << model.error().message();
    if (!model) return std::vector<float>();
    TestCall call("pose", *model);
    EXPECT_EQ(call.image(cat).run(*runtime), VACCEL_OK) << call.sentence;
    std::vector<float> all = call.outputs[0].as<float>();
    for (const float score : call.outputs[1].as<float>())
      all.push_back(score);
    runtime->close_model(*model);
    return all;
  };
  const std::vector<float> wanted = values(floats, "");
  const std::vector<float> seen =
      values(integers, quantised("input", "x", "uint8", "0.00392156862745098", "0") +
                           quantised("output", "y", "uint8", "0.00392156862745098", "0") +
                           quantised("output", "o", "uint8", "0.00784313725490196", "0"));
  ASSERT_EQ(wanted.size(), 10u);
  ASSERT_EQ(seen.size(), wanted.size());
  // A pixel of the input is 225 x 150 of the image's; a step of the offsets is less than a hundredth of it.
  for (size_t index = 0; index < 10; ++index)
    EXPECT_NEAR(seen[index], wanted[index], index < 9 && index % 3 != 2 ? 2.0F : 0.01F) << index;
}

TEST_F(VisionPlanTest, IntegersThatNobodyExplainsAreRefused) {
  const std::string tables = std::string(kImage) + "[classify]\noutput = \"y\"\n";
  const std::string input = quantised("input", "x", "uint8", "1", "0");
  EXPECT_EQ(
      problem("classify", flattened(kUint8), tables),
      "model 'm' cannot be used: its input 'x' is uint8 [1, 3, 2, 2], and nothing says what the integers "
      "stand for: give name, dtype, scale and zero_point in [[inputs]]; 1 and 0 where it takes what "
      "[image] makes, rounded");
  EXPECT_EQ(problem("classify", flattened(kUint8), tables + input),
            "model 'm' cannot be used: its output 'y' is uint8 [1, 12], and nothing says what the integers "
            "stand for: give name, dtype, scale and zero_point in [[outputs]]");
  EXPECT_EQ(
      problem("classify", flattened(kUint8), tables + quantised("input", "x", "int8", "1", "0")),
      "model 'm' cannot be used: [[inputs]] says that 'x' is int8 of any rank, and it is uint8 [1, 3, 2, "
      "2]");
}

// Which is the highest does not depend on what they stand for.
TEST_F(VisionPlanTest, ArgmaxTakesIntegersAsTheyAre) {
  const std::string tables =
      std::string(kImage) + "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nchw\"\n";
  const std::string cat = read_text(photo("chelsea.png"));
  std::vector<std::string> maps;
  for (const bool integers : {false, true}) {
    const auto model =
        open("segment", identity(integers ? kUint8 : kFloat, {-1, 3, 2, 2}),
             tables + (integers ? quantised("input", "x", "uint8", "0.00392156862745098", "0") : ""));
    ASSERT_TRUE(model) << model.error().message();
    TestCall call("segment", *model);
    ASSERT_EQ(call.image(cat).image(cat).run(*runtime), VACCEL_OK) << call.sentence;
    ASSERT_EQ(call.outputs.size(), 6u);
    EXPECT_EQ(call.outputs[1].bytes, call.outputs[4].bytes);
    maps.emplace_back(reinterpret_cast<const char*>(call.outputs[1].bytes.data()),
                      call.outputs[1].bytes.size());
    runtime->close_model(*model);
  }
  EXPECT_EQ(maps[0], maps[1]);
}

TEST_F(VisionPlanTest, LabelsThatDoNotFitAreCounted) {
  const OnnxModel model = identity(kFloat, {1, 3, 2, 2});
  const std::string tables = std::string(kImage) +
                             "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nchw\"\n"
                             "labels = \"labels.txt\"\n";
  EXPECT_EQ(problem("segment", model, tables, "red\ngreen\n"),
            "model 'm' cannot be used: labels.txt has 2 labels, and its output 'y' has 3 classes");
  EXPECT_EQ(problem("segment", model, tables, "red\ngreen\nblue\n"), "");
}

// The integers of the pixels' red are the classes: of as many as there may be, then of too few.
TEST_F(VisionPlanTest, ClassNumbersAreCheckedAgainstTheClasses) {
  const std::string cat = read_text(photo("chelsea.png"));
  const auto casting = [](onnxruntime::testing::OnnxType type) {
    OnnxModel made;
    made.input("x", kFloat, {1, 3, 2, 2}).output("y", type, {1, 2, 2});
    made.node("ReduceSum", {"x", "axis"}, {"sum"}, int_attribute("keepdims", 0)).weight("axis", {1});
    return made.node("Cast", {"sum"}, {"y"}, int_attribute("to", type));
  };
  const std::string tables = std::string(kImage) + "[segment]\ndecoder = \"classes\"\noutput = \"y\"\n";
  std::vector<std::string> maps;
  for (const auto type : {kUint8, kInt32, kInt64}) {
    const auto model = open("segment", casting(type), tables + "classes = 300\n");
    ASSERT_TRUE(model) << model.error().message();
    TestCall call("segment", *model);
    ASSERT_EQ(call.image(cat).run(*runtime), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs[0].dtype, VACCEL_UINT16);
    EXPECT_EQ(call.outputs[0].shape, (std::vector<int64_t>{300, 451}));
    EXPECT_EQ(call.outputs[1].shape, (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(call.outputs[2].strings().size(), 300u);
    maps.emplace_back(reinterpret_cast<const char*>(call.outputs[1].bytes.data()),
                      call.outputs[1].bytes.size());
    EXPECT_EQ(maps.back(), maps.front());
    runtime->close_model(*model);
  }
  const auto model = open("segment", casting(kInt64), tables + "labels = \"labels.txt\"\n", "one\n");
  ASSERT_TRUE(model) << model.error().message();
  TestCall call("segment", *model);
  EXPECT_EQ(call.image(cat).run(*runtime), VACCEL_INTERNAL);
  EXPECT_TRUE(call.sentence.starts_with("model 'm' gave what its model.toml does not describe: row "))
      << call.sentence;
  EXPECT_TRUE(call.sentence.ends_with(", and there are 1 classes")) << call.sentence;
  runtime->close_model(*model);
  EXPECT_EQ(
      problem("segment", identity(kFloat, {1, 2, 2}),
              std::string(kImage) + "[segment]\ndecoder = \"classes\"\noutput = \"y\"\nclasses = 3\n"),
      "model 'm' cannot be used: [image] makes float32 [1, 3, 2, 2], and its input 'x' is float32 [1, 2, 2]");
  OnnxModel floats;
  floats.input("x", kFloat, {1, 3, 2, 2}).output("y", kFloat, {1, 3, 2, 2}).node("Identity", {"x"}, {"y"});
  EXPECT_EQ(problem("segment", floats, tables + "classes = 3\n"),
            "model 'm' cannot be used: its output 'y' is float32 [1, 3, 2, 2]; 'output' of [segment] must be "
            "uint8, "
            "int32 or int64");
}

// What the model's description leaves open is checked when it has run: the fault is the model's, not the caller's.
TEST_F(VisionPlanTest, WhatOnlyARunShowsIsAFaultOfTheModel) {
  OnnxModel model;
  model.input("x", kFloat, {-1, 3, -1, -1})
      .output("y", kFloat, {-1, -1, -1, -1})
      .node("Identity", {"x"}, {"y"});
  const auto opened = open("segment", model,
                           std::string(kImage) +
                               "[segment]\ndecoder = \"argmax\"\noutput = \"y\"\nlayout = \"nhwc\"\n"
                               "labels = \"labels.txt\"\n",
                           "one\ntwo\nthree\nfour\n");
  ASSERT_TRUE(opened) << opened.error().message();
  TestCall call("segment", *opened);
  EXPECT_EQ(call.image(read_text(photo("chelsea.png"))).run(*runtime), VACCEL_INTERNAL);
  EXPECT_EQ(call.sentence,
            "model 'm' gave what its model.toml does not describe: labels.txt has 4 labels, and its output "
            "'y' has 2 "
            "classes");
  runtime->close_model(*opened);
}

}  // namespace
}  // namespace vaccel::runtime
