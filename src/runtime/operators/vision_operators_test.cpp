// SPDX-License-Identifier: Apache-2.0
//
// detect, segment, pose and depth from image files to results, on real models, real photos and ONNX Runtime; and what all
// operators on pictures share. (classify has a test of its own.)
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/clock.h"
#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using testing::CallOutput;
using testing::make_runtime;
using testing::photo;
using testing::read_text;
using testing::real_catalogue;
using testing::TestCall;

class VisionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* model : {"mobilenet", "mobilenet-uint8", "ssd-mobilenet", "deeplabv3",
                              "deeplabv3-classes", "posenet", "fastdepth"}) {
      if (!std::filesystem::exists(real_catalogue() / model / "model.toml")) {
        GTEST_SKIP() << "skipped: no " << model << " in " << real_catalogue()
                     << "; scripts/make-catalogue makes it";
      }
    }
    if (!std::filesystem::exists(photo("motorcycle_left.png"))) {
      GTEST_SKIP() << "skipped: no " << photo("motorcycle_left.png") << "; scripts/setup fetches it";
    }
    runtime = make_runtime(real_catalogue());
    ASSERT_NE(runtime, nullptr);
    if (const std::string reason = testing::why_not(*runtime, "onnxruntime"); !reason.empty()) {
      GTEST_SKIP() << "skipped: " << reason;
    }
    cat = read_text(photo("chelsea.png"));
    astronaut = read_text(photo("astronaut.png"));
  }
  void TearDown() override {
    for (Model* model : opened)
      runtime->close_model(model);
  }
  Model* open(const std::string& name) {
    const auto model = runtime->open_model(name);
    EXPECT_TRUE(model) << model.error().message();
    if (!model) return nullptr;
    opened.push_back(*model);
    return *model;
  }

  std::unique_ptr<Runtime> runtime;
  std::vector<Model*> opened;
  std::string cat;        // 451 x 300
  std::string astronaut;  // 512 x 512
};

// The result of that name; fails the test when there is none.
const CallOutput& result(const TestCall& call, const std::string& name) {
  for (const auto& [index, output] : call.outputs) {
    if (output.name == name) return output;
  }
  ADD_FAILURE() << "there is no result '" << name << "'";
  static const CallOutput none;
  return none;
}

std::vector<std::string> names_of_results(const TestCall& call) {
  std::vector<std::string> names;
  for (const auto& [index, output] : call.outputs)
    names.push_back(output.name);
  return names;
}

// What the operators say of themselves is what they take and give.
TEST_F(VisionTest, TheyDescribeThemselves) {
  const std::map<std::string, const char*> models{{"classify", "mobilenet"},
                                                  {"detect", "ssd-mobilenet"},
                                                  {"segment", "deeplabv3"},
                                                  {"pose", "posenet"},
                                                  {"depth", "fastdepth"}};
  const vaccel_operator_list& list = runtime->list_operators();
  size_t described = 0;
  for (const vaccel_operator* one : std::span(list.operators, list.count)) {
    const auto model = models.find(one->name);
    if (model == models.end()) continue;
    SCOPED_TRACE(one->name);
    ++described;
    std::vector<std::string> outputs;
    std::vector<std::string> attributes;
    for (const vaccel_operator_part& part : std::span(one->parts, one->part_count)) {
      if (part.kind == VACCEL_OPERATOR_OUTPUT) outputs.emplace_back(part.name);
      if (part.kind == VACCEL_OPERATOR_ATTRIBUTE) attributes.emplace_back(part.name);
    }
    TestCall wrong(one->name, open(model->second));
    EXPECT_EQ(wrong.integer("no such", 1).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
    const std::string known = wrong.sentence.substr(wrong.sentence.find("it has: ") + 8);
    EXPECT_EQ(static_cast<size_t>(std::count(known.begin(), known.end(), '\'')), 2 * attributes.size());
    for (const std::string& attribute : attributes)
      EXPECT_NE(known.find("'" + attribute + "'"), std::string::npos) << known;
    TestCall call(one->name, open(model->second));
    if (model->first == "classify") call.integer("top", 3);
    ASSERT_EQ(call.image(cat).run(*runtime), VACCEL_OK) << call.sentence;
    std::vector<std::string> given;
    for (const auto& [index, output] : call.outputs)
      given.push_back(output.name);
    EXPECT_EQ(given, outputs);
    EXPECT_GT(one->backend_count, 0u);
  }
  EXPECT_EQ(described, models.size());
}

TEST_F(VisionTest, DetectSeesTheAstronaut) {
  TestCall call("detect", open("ssd-mobilenet"));
  vaccel_timings timings{};
  call.call.timings = &timings;
  ASSERT_EQ(call.image(astronaut).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(names_of_results(call), (std::vector<std::string>{"box", "index", "score", "label", "size"}));
  EXPECT_EQ(result(call, "size").as<int32_t>(), (std::vector<int32_t>{512, 512}));
  const auto scores = result(call, "score").as<float>();
  ASSERT_FALSE(scores.empty());
  const auto count = static_cast<int64_t>(scores.size());
  EXPECT_EQ(result(call, "box").shape, (std::vector<int64_t>{count, 4}));
  EXPECT_EQ(result(call, "index").dtype, VACCEL_INT32);
  EXPECT_EQ(result(call, "index").as<int32_t>()[0], 1);
  EXPECT_EQ(result(call, "label").strings()[0], "person");
  EXPECT_NEAR(scores[0], 0.65, 0.03);
  RecordProperty("score", std::to_string(scores[0]));
  // She fills most of the picture, from its left half to its lower edge.
  const auto box = result(call, "box").as<float>();
  EXPECT_LT(box[0], 60);
  EXPECT_LT(box[1], 60);
  EXPECT_NEAR(box[0] + box[2], 390, 50);
  EXPECT_GT(box[1] + box[3], 450);
  for (size_t one = 0; one < scores.size(); ++one) {
    EXPECT_GE(scores[one], 0.5F);
    if (one > 0) {
      EXPECT_LE(scores[one], scores[one - 1]);
    }
    EXPECT_GE(box[4 * one], 0);
    EXPECT_GE(box[4 * one + 1], 0);
    EXPECT_LE(box[4 * one] + box[4 * one + 2], 512);
    EXPECT_LE(box[4 * one + 1] + box[4 * one + 3], 512);
  }
  EXPECT_GT(timings.decode_ns, 0u);
  EXPECT_GT(timings.prepare_ns, 0u);
  EXPECT_GT(timings.infer_ns, 0u);
  EXPECT_GT(timings.postprocess_ns, 0u);
}

// The real model behind integers: pixels go in as they are, and scores come out in steps of 1 / 256.
TEST_F(VisionTest, ClassifySeesTheCatThroughIntegers) {
  TestCall floats("classify", open("mobilenet"));
  ASSERT_EQ(floats.integer("top", 1).image(cat).run(*runtime), VACCEL_OK) << floats.sentence;
  TestCall call("classify", open("mobilenet-uint8"));
  ASSERT_EQ(call.integer("top", 3).image(cat).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(result(call, "index").as<int32_t>()[0], 286);
  EXPECT_EQ(result(call, "label").strings()[0], "Egyptian cat");
  const float score = result(call, "score").as<float>()[0];
  RecordProperty("score", std::to_string(score));
  EXPECT_NEAR(score, result(floats, "score").as<float>()[0], 1.0 / 256);
  EXPECT_EQ(score * 256, std::round(score * 256));
}

TEST_F(VisionTest, DetectTakesItsAttributes) {
  Model* model = open("ssd-mobilenet");
  const auto count = [&](auto&& arguments) {
    TestCall call("detect", model);
    arguments(call);
    EXPECT_EQ(call.image(astronaut).run(*runtime), VACCEL_OK) << call.sentence;
    return result(call, "score").as<float>().size();
  };
  EXPECT_EQ(count([](TestCall& call) { call.real("min_score", 0.99); }), 0u);
  EXPECT_EQ(count([](TestCall& call) { call.integer("min_score", 1); }), 0u);
  const size_t many = count([](TestCall& call) { call.real("min_score", 0.2); });
  EXPECT_GT(many, 3u);
  EXPECT_EQ(count([](TestCall& call) { call.real("min_score", 0.2).integer("top", 3); }), 3u);
  EXPECT_GT(count([](TestCall& call) { call.real("min_score", 0.2).real("iou", 0.95); }), many);
  EXPECT_LT(count([](TestCall& call) { call.real("min_score", 0.2).real("iou", 0); }), many);
}

TEST_F(VisionTest, WrongAttributesAreRefused) {
  Model* model = open("ssd-mobilenet");
  const auto refusal = [&](auto&& arguments) {
    TestCall call("detect", model);
    arguments(call);
    EXPECT_EQ(call.image(astronaut).run(*runtime), VACCEL_INVALID_ARGUMENT);
    EXPECT_TRUE(call.outputs.empty());
    return call.sentence;
  };
  EXPECT_EQ(refusal([](TestCall& call) { call.real("min_score", 1.5); }),
            "attribute 'min_score' of operator 'detect' is 1.5; it must be 0 to 1");
  EXPECT_EQ(refusal([](TestCall& call) { call.real("iou", std::nan("")); }),
            "attribute 'iou' of operator 'detect' is nan; it must be 0 to 1");
  EXPECT_EQ(refusal([](TestCall& call) { call.text("iou", "much"); }),
            "attribute 'iou' of operator 'detect' must be a number, and is a string");
  EXPECT_EQ(refusal([](TestCall& call) { call.integer("top", 0); }),
            "attribute 'top' of operator 'detect' is 0; it must be 1 to 1000");
  EXPECT_EQ(refusal([](TestCall& call) { call.real("top", 5); }),
            "attribute 'top' of operator 'detect' must be an integer, and is a float");
  EXPECT_EQ(refusal([](TestCall& call) { call.integer("bottom", 1); }),
            "operator 'detect' has no attribute 'bottom'; it has: 'iou', 'min_score', 'top'");
  TestCall segment("segment", open("deeplabv3"));
  EXPECT_EQ(segment.integer("top", 1).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(segment.sentence, "operator 'segment' has no attribute 'top'; it has: none");
}

TEST_F(VisionTest, AModelOfAnotherTaskIsNamed) {
  TestCall call("detect", open("deeplabv3"));
  EXPECT_EQ(call.image(cat).run(*runtime), VACCEL_UNIMPLEMENTED);
  EXPECT_EQ(call.sentence, "operator 'detect' cannot use model 'deeplabv3'; its task is \"segment\"");
}

// The part of the pixels that have a class.
double share_of(const CallOutput& classes, uint8_t wanted) {
  const auto values = classes.as<uint8_t>();
  return static_cast<double>(std::count(values.begin(), values.end(), wanted)) /
         static_cast<double>(values.size());
}

TEST_F(VisionTest, SegmentSeesTheCatAndTheAstronaut) {
  Model* model = open("deeplabv3");
  TestCall call("segment", model);
  ASSERT_EQ(call.image(cat).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(names_of_results(call), (std::vector<std::string>{"classes", "model_classes", "label"}));
  const CallOutput& classes = result(call, "classes");
  EXPECT_EQ(classes.dtype, VACCEL_UINT8);
  EXPECT_EQ(classes.shape, (std::vector<int64_t>{300, 451}));
  EXPECT_EQ(result(call, "model_classes").shape, (std::vector<int64_t>{257, 257}));
  const auto labels = result(call, "label").strings();
  ASSERT_EQ(labels.size(), 21u);
  EXPECT_EQ(labels[8], "cat");
  EXPECT_GT(share_of(classes, 8), 0.6);
  EXPECT_NEAR(share_of(classes, 8), share_of(result(call, "model_classes"), 8), 0.01);

  TestCall person("segment", model);
  ASSERT_EQ(person.image(astronaut).run(*runtime), VACCEL_OK) << person.sentence;
  EXPECT_EQ(result(person, "label").strings()[15], "person");
  EXPECT_GT(share_of(result(person, "classes"), 15), 0.35);
}

// The same model with an ArgMax behind it: its own map is the same, and the image's differs at borders alone.
TEST_F(VisionTest, SegmentTakesClassNumbers) {
  TestCall scores("segment", open("deeplabv3"));
  ASSERT_EQ(scores.image(cat).run(*runtime), VACCEL_OK) << scores.sentence;
  TestCall call("segment", open("deeplabv3-classes"));
  ASSERT_EQ(call.image(cat).image(astronaut).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(result(call, "model_classes").bytes, result(scores, "model_classes").bytes);
  EXPECT_EQ(result(call, "classes").dtype, VACCEL_UINT8);
  EXPECT_EQ(result(call, "classes").shape, (std::vector<int64_t>{300, 451}));
  EXPECT_EQ(result(call, "label").strings(), result(scores, "label").strings());
  EXPECT_GT(share_of(result(call, "classes"), 8), 0.6);
  EXPECT_NEAR(share_of(result(call, "classes"), 8), share_of(result(scores, "classes"), 8), 0.01);
  EXPECT_GT(share_of(result(call, "1.classes"), 15), 0.35);
}

TEST_F(VisionTest, PoseFindsTheNose) {
  TestCall call("pose", open("posenet"));
  ASSERT_EQ(call.image(astronaut).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(names_of_results(call), (std::vector<std::string>{"keypoint", "score", "name", "size"}));
  EXPECT_EQ(result(call, "keypoint").shape, (std::vector<int64_t>{1, 17, 3}));
  const auto names = result(call, "name").strings();
  ASSERT_EQ(names.size(), 17u);
  const auto point = [&](const std::string& name) {
    const auto at = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    const auto values = result(call, "keypoint").as<float>();
    return std::vector<float>(values.begin() + static_cast<ptrdiff_t>(3 * at),
                              values.begin() + static_cast<ptrdiff_t>(3 * at + 3));
  };
  EXPECT_NEAR(point("nose")[0] / 512, 0.44, 0.03);
  EXPECT_NEAR(point("nose")[1] / 512, 0.25, 0.03);
  EXPECT_GT(point("nose")[2], 0.9F);
  // Her left is to our right; the shoulders are below the eyes.
  EXPECT_GT(point("left_eye")[0], point("right_eye")[0]);
  EXPECT_GT(point("left_shoulder")[0], point("right_shoulder")[0] + 100);
  EXPECT_GT(point("left_shoulder")[1], point("left_eye")[1] + 100);
  EXPECT_GT(result(call, "score").as<float>()[0], 0.3F);

  TestCall strict("pose", opened.front());
  ASSERT_EQ(strict.real("min_score", 0.99).image(astronaut).run(*runtime), VACCEL_OK) << strict.sentence;
  EXPECT_EQ(result(strict, "keypoint").shape, (std::vector<int64_t>{0, 17, 3}));
}

// The only array of an .npz file, as NumPy writes it: a zip archive with one deflated .npy file of float32.
std::vector<float> read_npz(const std::filesystem::path& file) {
  const std::string archive = read_text(file);
  uint16_t name_size = 0;
  uint16_t extra_size = 0;
  std::memcpy(&name_size, archive.data() + 26, sizeof name_size);
  std::memcpy(&extra_size, archive.data() + 28, sizeof extra_size);
  const size_t begin = size_t{30} + name_size + extra_size;
  std::string npy(size_t{8} << 20, '\0');
  z_stream stream{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(archive.data())) + begin;
  stream.avail_in = static_cast<uInt>(archive.size() - begin);
  stream.next_out = reinterpret_cast<Bytef*>(npy.data());
  stream.avail_out = static_cast<uInt>(npy.size());
  EXPECT_EQ(inflateInit2(&stream, -MAX_WBITS), Z_OK);
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  inflateEnd(&stream);
  npy.resize(stream.total_out);
  EXPECT_NE(npy.find("'<f4'"), std::string::npos);
  uint16_t header_size = 0;
  std::memcpy(&header_size, npy.data() + 8, sizeof header_size);
  std::vector<float> values((npy.size() - 10 - header_size) / sizeof(float));
  std::memcpy(values.data(), npy.data() + 10 + header_size, values.size() * sizeof(float));
  return values;
}

std::vector<double> ranks(const std::vector<float>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t left, size_t right) { return values[left] < values[right]; });
  std::vector<double> rank(values.size());
  for (size_t index = 0; index < order.size(); ++index)
    rank[order[index]] = static_cast<double>(index);
  return rank;
}

// Spearman's: how alike two orders are, 1 being the same.
double rank_correlation(const std::vector<float>& one, const std::vector<float>& other) {
  const auto first = ranks(one);
  const auto second = ranks(other);
  const double mean = static_cast<double>(one.size() - 1) / 2;
  double shared = 0;
  double square = 0;
  for (size_t index = 0; index < one.size(); ++index) {
    shared += (first[index] - mean) * (second[index] - mean);
    square += (first[index] - mean) * (first[index] - mean);
  }
  return shared / square;
}

TEST_F(VisionTest, DepthAgreesWithTheStereoCamera) {
  TestCall call("depth", open("fastdepth"));
  ASSERT_EQ(call.image(read_text(photo("motorcycle_left.png"))).run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(names_of_results(call), (std::vector<std::string>{"depth", "model_depth", "kind"}));
  EXPECT_EQ(result(call, "depth").shape, (std::vector<int64_t>{500, 741}));
  EXPECT_EQ(result(call, "model_depth").shape, (std::vector<int64_t>{224, 224}));
  EXPECT_EQ(result(call, "kind").strings(), std::vector<std::string>{"metric"});
  const auto depth = result(call, "depth").as<float>();
  const auto disparity = read_npz(photo("motorcycle_disp.npz"));
  ASSERT_EQ(disparity.size(), depth.size());
  std::vector<float> told;
  std::vector<float> measured;
  for (size_t pixel = 0; pixel < depth.size(); ++pixel) {
    ASSERT_GT(depth[pixel], 0);
    ASSERT_LT(depth[pixel], 20) << "metres, in a garage";
    if (!std::isfinite(disparity[pixel]) || disparity[pixel] <= 0) continue;
    told.push_back(depth[pixel]);
    measured.push_back(1 / disparity[pixel]);
  }
  ASSERT_GT(told.size(), depth.size() / 2);
  const double correlation = rank_correlation(told, measured);
  RecordProperty("correlation", std::to_string(correlation));
  EXPECT_GT(correlation, 0.7);
}

TEST_F(VisionTest, CoordinatesAreTheImagesHoweverItIsShaped) {
  TestCall narrow("segment", open("deeplabv3"));
  ASSERT_EQ(narrow.image(read_text(photo("motorcycle_left.png"))).run(*runtime), VACCEL_OK)
      << narrow.sentence;
  EXPECT_EQ(result(narrow, "classes").shape, (std::vector<int64_t>{500, 741}));
  TestCall cat_box("detect", open("ssd-mobilenet"));
  ASSERT_EQ(cat_box.image(cat).run(*runtime), VACCEL_OK) << cat_box.sentence;
  EXPECT_EQ(result(cat_box, "size").as<int32_t>(), (std::vector<int32_t>{451, 300}));
  ASSERT_FALSE(result(cat_box, "score").as<float>().empty());
  EXPECT_EQ(result(cat_box, "label").strings()[0], "cat");
  const auto box = result(cat_box, "box").as<float>();
  EXPECT_GT(box[2], 350) << "she fills the picture, which is wider than high";
  EXPECT_LE(box[0] + box[2], 451);
  EXPECT_GT(box[3], 250);
  EXPECT_LE(box[1] + box[3], 300);
}

// Two images in one call are two calls, whatever the operator.
TEST_F(VisionTest, SeveralImagesGiveTheirResultsOneAfterTheOther) {
  const std::pair<const char*, const char*> pairs[] = {{"classify", "mobilenet"},
                                                       {"detect", "ssd-mobilenet"},
                                                       {"segment", "deeplabv3"},
                                                       {"pose", "posenet"},
                                                       {"depth", "fastdepth"}};
  for (const auto& [name, model_name] : pairs) {
    Model* model = open(model_name);
    const auto prepared = [&, classify = std::string(name) == "classify"](TestCall& call) -> TestCall& {
      return classify ? call.integer("top", 3) : call;
    };
    TestCall both(name, model);
    ASSERT_EQ(prepared(both).image(cat).image(astronaut).run(*runtime), VACCEL_OK) << both.sentence;
    TestCall first(name, model);
    ASSERT_EQ(prepared(first).image(cat).run(*runtime), VACCEL_OK) << first.sentence;
    TestCall second(name, model);
    ASSERT_EQ(prepared(second).image(astronaut).run(*runtime), VACCEL_OK) << second.sentence;
    EXPECT_EQ(both.outputs.size(), first.outputs.size() + second.outputs.size());
    for (const auto& [index, output] : first.outputs) {
      EXPECT_EQ(both.outputs[index].name, output.name);
      EXPECT_EQ(both.outputs[index].bytes, output.bytes) << name << ": " << output.name;
    }
    for (const auto& [index, output] : second.outputs) {
      const CallOutput& same = both.outputs[first.outputs.size() + index];
      EXPECT_EQ(same.name, "1." + output.name);
      EXPECT_EQ(same.shape, output.shape);
      EXPECT_EQ(same.bytes, output.bytes) << name << ": " << output.name;
    }
  }
}

TEST_F(VisionTest, OneBadImageFailsTheCallByItsNumber) {
  Model* model = open("fastdepth");
  TestCall call("depth", model);
  EXPECT_EQ(call.image(cat).image(cat).image("hello, world").run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(call.sentence, "image 2: the 12 bytes are no PNG, JPEG or WebP image: it looks like text");
  TestCall cut("depth", model);
  EXPECT_EQ(cut.image(cat.substr(0, 1000)).image(cat).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(cut.sentence, "image 0: the PNG image is cut off");
  TestCall floats("depth", model);
  EXPECT_EQ(floats.image(cat).input(nullptr, VACCEL_FLOAT32, {1}, std::vector<float>{1}).run(*runtime),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(floats.sentence,
            "image 1 is float32 [1]; it must be uint8 [n], the bytes of a PNG, JPEG or WebP file");
  TestCall named("depth", model);
  EXPECT_EQ(named.image(cat).input("image", VACCEL_UINT8, {1}, std::vector<uint8_t>{1}).run(*runtime),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(named.sentence, "operator 'depth' has no input 'image'; several images have no names");
}

TEST_F(VisionTest, ImagesAreCounted) {
  Model* model = open("mobilenet");
  TestCall most("classify", model);
  most.integer("top", 1);
  for (int image = 0; image < 65; ++image)
    most.image("");
  EXPECT_EQ(most.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(most.sentence, "operator 'classify' takes 1 to 64 images; 65 inputs are given");
}

TEST_F(VisionTest, StopsBetweenTheImagesOfABatch) {
  TestCall late("detect", open("ssd-mobilenet"));
  late.call.deadline_ns = now_ns() - 1;
  EXPECT_EQ(late.image(cat).image(cat).run(*runtime), VACCEL_DEADLINE_EXCEEDED);
  const std::atomic<int> cancelled = 1;
  TestCall given_up("detect", opened.front());
  given_up.call.cancelled = &cancelled;
  EXPECT_EQ(given_up.image(cat).image(cat).run(*runtime), VACCEL_CANCELLED);
}

TEST_F(VisionTest, SaysWhenThereIsNoRoomForResults) {
  TestCall call("segment", open("deeplabv3"));
  call.output_limit = 100'000;
  EXPECT_EQ(call.image(cat).run(*runtime), VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(call.sentence,
            "no memory for result 'classes' of 135300 bytes: the limit for results is reached");
}

}  // namespace
}  // namespace vaccel::runtime
