// SPDX-License-Identifier: Apache-2.0
//
// The typed results of the vision operators: that they say what the tensors said, and that tensors which do not fit never
// become results.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <thread>
#include <utility>

#include "client/client_testing.h"
#include "client/vision_testing.h"

namespace vaccel::client {
namespace {

// What a batch handed out, freed one by one.
template <typename T, auto free_one>
class Results {
 public:
  explicit Results(size_t count) : results_(count, nullptr) {}
  Results(const Results&) = delete;
  Results& operator=(const Results&) = delete;
  ~Results() {
    for (T* result : results_)
      free_one(result);
  }
  T** places() { return results_.data(); }
  T& operator[](size_t index) { return *results_.at(index); }
  void free(size_t index) { free_one(std::exchange(results_.at(index), nullptr)); }
  [[nodiscard]] bool untouched() const {
    return std::all_of(results_.begin(), results_.end(), [](const T* result) { return result == nullptr; });
  }

 private:
  std::vector<T*> results_;
};
using Classes = Results<vaccel_classes, &vaccel_classes_free>;
using Detections = Results<vaccel_detections, &vaccel_detections_free>;
using Segmentations = Results<vaccel_segmentation, &vaccel_segmentation_free>;
using Poses = Results<vaccel_poses, &vaccel_poses_free>;
using DepthMaps = Results<vaccel_depth_map, &vaccel_depth_map_free>;

class VisionTest : public testing::Test {
 protected:
  void SetUp() override {
    for (size_t index = 0; index < files_.size(); ++index) {
      files_[index] = pattern(1000 + index, 1);
      images_[index] = {files_[index].data(), files_[index].size(), {0, 0}};
    }
  }

  static void expect_refused(vaccel_status status, const char* part) {
    EXPECT_EQ(status, VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(vaccel_error_message()).find(part), std::string::npos) << vaccel_error_message();
  }

  TestServer server_;
  SessionPtr session_ = open_session(server_.endpoint());
  std::array<std::vector<uint8_t>, 3> files_;
  vaccel_image images_[3];
};

TEST_F(VisionTest, Detects) {
  Detections found(1);
  auto wanted = VACCEL_INIT(vaccel_vision_options);
  wanted.min_score = 0.2F;
  wanted.iou = 0.25F;
  ASSERT_EQ(vaccel_detect(session_.get(), "m", files_[0].data(), files_[0].size(), &wanted, nullptr,
                          found.places()),
            VACCEL_OK)
      << vaccel_error_message();
  EXPECT_EQ(found[0].size, sizeof(vaccel_detections));
  EXPECT_EQ(found[0].image_width, 640u);
  EXPECT_EQ(found[0].image_height, 480u);
  EXPECT_EQ(found[0].timings.infer_ns, 1234u);
  EXPECT_GT(found[0].timings.total_ns, 0u);
  ASSERT_EQ(found[0].count, 2u);
  const vaccel_detection& first = found[0].items[0];
  EXPECT_EQ(first.index, 7);
  EXPECT_FLOAT_EQ(first.score, 0.9F);
  EXPECT_STREQ(first.label, "thing");
  EXPECT_FLOAT_EQ(first.x, 1000);
  EXPECT_FLOAT_EQ(first.y, 25);
  EXPECT_FLOAT_EQ(first.width, 30);
  EXPECT_FLOAT_EQ(first.height, 40);
  EXPECT_EQ(found[0].items[1].index, 3);
  EXPECT_STREQ(found[0].items[1].label, "");
  EXPECT_FLOAT_EQ(found[0].items[1].height, 80);
}

// Of how many objects there are, the server says what it was asked: 0.25 is below its default, and so on.
TEST_F(VisionTest, SendsWhatIsWantedAndNothingElse) {
  const auto count = [this](float min_score, uint32_t top) {
    Detections found(1);
    auto wanted = VACCEL_INIT(vaccel_vision_options);
    wanted.min_score = min_score;
    wanted.top = top;
    EXPECT_EQ(vaccel_detect(session_.get(), "m", "image", 5, &wanted, nullptr, found.places()), VACCEL_OK);
    return found[0].count;
  };
  EXPECT_EQ(count(0, 0), 1u);
  EXPECT_EQ(count(0.1F, 0), 2u);
  EXPECT_EQ(count(-1, 0), 2u);
  EXPECT_EQ(count(-1, 1), 1u);
  EXPECT_EQ(count(0.95F, 0), 0u);
  Detections defaults(1);
  ASSERT_EQ(vaccel_detect(session_.get(), "m", "image", 5, nullptr, nullptr, defaults.places()), VACCEL_OK);
  ASSERT_EQ(defaults[0].count, 1u);
  EXPECT_FLOAT_EQ(defaults[0].items[0].y, 50);
}

TEST_F(VisionTest, Segments) {
  Segmentations found(1);
  ASSERT_EQ(vaccel_segment(session_.get(), "m", files_[0].data(), files_[0].size(), nullptr, found.places()),
            VACCEL_OK)
      << vaccel_error_message();
  const vaccel_segmentation& map = found[0];
  EXPECT_EQ(map.width, 4u);
  EXPECT_EQ(map.height, 2u);
  EXPECT_EQ(map.model_width, 2u);
  EXPECT_EQ(map.model_height, 1u);
  EXPECT_EQ(map.element_bytes, 1u);
  const auto* classes = static_cast<const uint8_t*>(map.classes);
  EXPECT_EQ(std::vector<int>(classes, classes + 8), (std::vector<int>{0, 1, 2, 0, 0, 1, 1, 2}));
  EXPECT_EQ(static_cast<const uint8_t*>(map.model_classes)[0], 1);
  ASSERT_EQ(map.label_count, 3u);
  EXPECT_STREQ(map.labels[1], "cat");
  EXPECT_STREQ(map.labels[2], "");
}

TEST_F(VisionTest, SegmentsIntoMoreClassesThanAByteHas) {
  Segmentations found(1);
  ASSERT_EQ(vaccel_segment(session_.get(), "large", "image", 5, nullptr, found.places()), VACCEL_OK)
      << vaccel_error_message();
  EXPECT_EQ(found[0].element_bytes, 2u);
  EXPECT_EQ(static_cast<const uint16_t*>(found[0].classes)[7], 299);
  EXPECT_EQ(static_cast<const uint16_t*>(found[0].model_classes)[0], 299);
  ASSERT_EQ(found[0].label_count, 300u);
  EXPECT_STREQ(found[0].labels[299], "one of many");
}

TEST_F(VisionTest, FindsPoses) {
  Poses found(1);
  ASSERT_EQ(vaccel_pose(session_.get(), "m", "image", 5, nullptr, nullptr, found.places()), VACCEL_OK)
      << vaccel_error_message();
  EXPECT_EQ(found[0].image_width, 640u);
  EXPECT_EQ(found[0].image_height, 480u);
  ASSERT_EQ(found[0].count, 1u);
  const vaccel_pose_item& pose = found[0].items[0];
  EXPECT_FLOAT_EQ(pose.score, 0.5F);
  ASSERT_EQ(pose.keypoint_count, 2u);
  EXPECT_STREQ(pose.keypoints[0].name, "nose");
  EXPECT_FLOAT_EQ(pose.keypoints[0].x, 10.5F);
  EXPECT_FLOAT_EQ(pose.keypoints[0].y, 20);
  EXPECT_FLOAT_EQ(pose.keypoints[0].score, 0.75F);
  EXPECT_STREQ(pose.keypoints[1].name, "left knee");
  EXPECT_FLOAT_EQ(pose.keypoints[1].x, -3);
}

TEST_F(VisionTest, MapsDepth) {
  DepthMaps found(1);
  ASSERT_EQ(vaccel_depth(session_.get(), "m", files_[0].data(), files_[0].size(), nullptr, found.places()),
            VACCEL_OK)
      << vaccel_error_message();
  EXPECT_EQ(found[0].width, 3u);
  EXPECT_EQ(found[0].height, 2u);
  EXPECT_EQ(found[0].kind, VACCEL_DEPTH_RELATIVE);
  EXPECT_EQ(std::vector<float>(found[0].depth, found[0].depth + 6),
            (std::vector<float>{1000, 2, 3, 4, 5, 6}));
  EXPECT_EQ(found[0].model_width, 1u);
  EXPECT_EQ(found[0].model_height, 1u);
  EXPECT_FLOAT_EQ(found[0].model_depth[0], 3.5F);
}

TEST_F(VisionTest, BatchesKeepTheOrderAndAreFreedOneByOne) {
  Classes classes(3);
  ASSERT_EQ(vaccel_classify_batch(session_.get(), "m", images_, 3, 2, nullptr, classes.places()), VACCEL_OK)
      << vaccel_error_message();
  Detections detections(3);
  ASSERT_EQ(vaccel_detect_batch(session_.get(), "m", images_, 3, nullptr, nullptr, detections.places()),
            VACCEL_OK);
  Segmentations segmentations(3);
  ASSERT_EQ(vaccel_segment_batch(session_.get(), "m", images_, 3, nullptr, segmentations.places()),
            VACCEL_OK);
  Poses poses(3);
  ASSERT_EQ(vaccel_pose_batch(session_.get(), "m", images_, 3, nullptr, nullptr, poses.places()), VACCEL_OK);
  DepthMaps maps(3);
  ASSERT_EQ(vaccel_depth_batch(session_.get(), "m", images_, 3, nullptr, maps.places()), VACCEL_OK);
  EXPECT_EQ(server_.calls, 5);
  classes.free(0);
  detections.free(1);
  segmentations.free(2);
  poses.free(0);
  maps.free(0);
  ASSERT_EQ(classes[2].count, 2u);
  EXPECT_EQ(classes[1].items[0].index, 1001);
  EXPECT_EQ(classes[2].items[0].index, 1002);
  EXPECT_STREQ(classes[2].items[0].label, "first");
  EXPECT_FLOAT_EQ(detections[0].items[0].x, 1000);
  EXPECT_FLOAT_EQ(detections[2].items[0].x, 1002);
  EXPECT_STREQ(segmentations[1].labels[1], "cat");
  EXPECT_STREQ(poses[2].items[0].keypoints[1].name, "left knee");
  EXPECT_FLOAT_EQ(maps[1].depth[0], 1001);
  EXPECT_FLOAT_EQ(maps[2].depth[0], 1002);
}

TEST_F(VisionTest, ResultsOfOneCallAreFreedInAnyThread) {
  const std::vector<vaccel_image> images(VACCEL_MAX_IMAGES, images_[0]);
  std::vector<vaccel_detections*> results(images.size());
  ASSERT_EQ(vaccel_detect_batch(session_.get(), "m", images.data(), images.size(), nullptr, nullptr,
                                results.data()),
            VACCEL_OK)
      << vaccel_error_message();
  std::vector<std::jthread> threads;
  constexpr size_t kThreads = 4;
  for (size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&results, thread] {
      for (size_t index = thread; index < results.size(); index += kThreads) {
        EXPECT_STREQ(results[index]->items[0].label, "thing");
        vaccel_detections_free(results[index]);
      }
    });
  }
}

TEST_F(VisionTest, SubmitsAnyOfThem) {
  vaccel_request* request = nullptr;
  auto wanted = VACCEL_INIT(vaccel_vision_options);
  wanted.top = 2;
  ASSERT_EQ(vaccel_submit_vision(session_.get(), "classify", "m", images_, 2, &wanted, nullptr, &request),
            VACCEL_OK);
  ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK);
  DepthMaps none(2);
  expect_refused(vaccel_request_depth_maps(request, none.places()), "not one of the operator 'depth'");
  Classes classes(2);
  ASSERT_EQ(vaccel_request_classes(request, classes.places()), VACCEL_OK);
  EXPECT_EQ(classes[1].items[0].index, 1001);
  expect_refused(vaccel_request_classes(request, classes.places()), "taken before");
  vaccel_request_free(request);

  ASSERT_EQ(vaccel_submit_vision(session_.get(), "depth", "m", images_, 3, nullptr, nullptr, &request),
            VACCEL_OK);
  ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK);
  DepthMaps maps(3);
  ASSERT_EQ(vaccel_request_depth_maps(request, maps.places()), VACCEL_OK);
  vaccel_request_free(request);  // what was taken stays
  EXPECT_FLOAT_EQ(maps[2].depth[0], 1002);

  ASSERT_EQ(
      vaccel_submit_call(session_.get(), "test.echo", nullptr, nullptr, 0, nullptr, 0, nullptr, &request),
      VACCEL_OK);
  ASSERT_EQ(vaccel_wait(request, 0), VACCEL_OK);
  Poses poses(1);
  expect_refused(vaccel_request_poses(request, poses.places()), "not one of the operator 'pose'");
  vaccel_request_free(request);
  EXPECT_TRUE(none.untouched());
  EXPECT_TRUE(poses.untouched());
}

TEST_F(VisionTest, ChecksArguments) {
  vaccel_session* session = session_.get();
  Detections found(3);
  vaccel_request* request = nullptr;
  const auto detect = [&](const vaccel_image* images, size_t count,
                          const vaccel_vision_options* wanted = nullptr,
                          const vaccel_call_options* options = nullptr) {
    return vaccel_detect_batch(session, "m", images, count, wanted, options, found.places());
  };
  expect_refused(vaccel_detect(nullptr, "m", "x", 1, nullptr, nullptr, found.places()),
                 "the session is NULL");
  expect_refused(vaccel_detect(session, nullptr, "x", 1, nullptr, nullptr, found.places()),
                 "model's name is NULL");
  expect_refused(vaccel_detect(session, "m", "x", 1, nullptr, nullptr, nullptr),
                 "the place for the results is NULL");
  expect_refused(vaccel_detect(session, "m", nullptr, 1, nullptr, nullptr, found.places()),
                 "the image is NULL");
  expect_refused(vaccel_detect(session, "m", "", 0, nullptr, nullptr, found.places()),
                 "the image has 0 bytes");
  expect_refused(detect(nullptr, 2), "the array of images is NULL");
  expect_refused(detect(images_, 0), "0 images are given; a call takes 1 to 64");
  expect_refused(detect(images_, 65), "65 images are given");
  images_[1].bytes = 0;
  expect_refused(detect(images_, 3), "image 1 has 0 bytes");
  images_[1].data = nullptr;
  expect_refused(detect(images_, 3), "image 1 is NULL");
  images_[1] = images_[0];
  images_[2].reserved[1] = 1;
  expect_refused(detect(images_, 3), "image 2 has reserved fields");

  auto wanted = VACCEL_INIT(vaccel_vision_options);
  wanted.iou = 1.5F;
  expect_refused(detect(images_, 1, &wanted), "iou is 1.5; it must be from 0 to 1");
  wanted.iou = std::numeric_limits<float>::quiet_NaN();
  expect_refused(detect(images_, 1, &wanted), "iou is nan");
  wanted.iou = 0;
  wanted.min_score = std::numeric_limits<float>::quiet_NaN();
  expect_refused(detect(images_, 1, &wanted), "min_score is not a number");
  wanted.min_score = 0;
  wanted.reserved = 1;
  expect_refused(detect(images_, 1, &wanted), "reserved is 1");
  wanted.size = 0;
  expect_refused(detect(images_, 1, &wanted), "VACCEL_INIT(vaccel_vision_options)");
  wanted = VACCEL_INIT(vaccel_vision_options);
  wanted.iou = 0.5F;
  Poses poses(1);
  expect_refused(vaccel_pose(session, "m", "x", 1, &wanted, nullptr, poses.places()),
                 "iou is set, which the operator 'pose' does not take");
  for (const char* name : {"segment", "depth"}) {
    wanted = VACCEL_INIT(vaccel_vision_options);
    wanted.top = 1;
    expect_refused(vaccel_submit_vision(session, name, "m", images_, 1, &wanted, nullptr, &request),
                   "top is set");
    wanted.top = 0;
    wanted.min_score = 1;
    expect_refused(vaccel_submit_vision(session, name, "m", images_, 1, &wanted, nullptr, &request),
                   "min_score is set");
  }
  expect_refused(vaccel_submit_vision(session, "classify", "m", images_, 1, nullptr, nullptr, &request),
                 "top is 0");
  expect_refused(vaccel_submit_vision(session, "infer", "m", images_, 1, nullptr, nullptr, &request),
                 "'infer' is no vision operator");
  expect_refused(vaccel_submit_vision(session, nullptr, "m", images_, 1, nullptr, nullptr, &request),
                 "operator's name is NULL");
  expect_refused(vaccel_submit_vision(session, "detect", "m", images_, 1, nullptr, nullptr, nullptr),
                 "the place for the request is NULL");
  expect_refused(vaccel_request_poses(nullptr, poses.places()), "the request is NULL");

  vaccel_tensor place{};
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = &place;
  options.output_count = 1;
  expect_refused(detect(images_, 1, nullptr, &options), "options.outputs is set");
  EXPECT_TRUE(found.untouched());
  EXPECT_TRUE(poses.untouched());
  EXPECT_EQ(request, nullptr);
  EXPECT_EQ(server_.calls, 0);
  vaccel_detections_free(nullptr);
  vaccel_segmentation_free(nullptr);
  vaccel_poses_free(nullptr);
  vaccel_depth_map_free(nullptr);
}

// ---- Results that no operator returns

using Spoil = std::function<void(std::vector<NamedTensor>&)>;

class SpoiltTest : public testing::Test {
 protected:
  // The sentence of a call on two images whose results were spoilt; it must have failed.
  std::string said_of(const char* name, const Spoil& spoil) {
    spoil_ = spoil;
    const vaccel_image images[] = {{"first", 5, {0, 0}}, {"second", 6, {0, 0}}};
    auto wanted = VACCEL_INIT(vaccel_vision_options);
    if (std::string_view(name) == "classify") wanted.top = 3;
    vaccel_request* request = nullptr;
    EXPECT_EQ(vaccel_submit_vision(session_.get(), name, "m", images, 2, &wanted, nullptr, &request),
              VACCEL_OK);
    EXPECT_EQ(vaccel_wait(request, 0), VACCEL_OK) << vaccel_error_message();
    void* results[2]{};
    EXPECT_EQ(take(name, request, results), VACCEL_PROTOCOL_ERROR) << name;
    EXPECT_EQ(results[0], nullptr);
    EXPECT_EQ(results[1], nullptr);
    std::string sentence = vaccel_error_message();
    vaccel_request_free(request);
    EXPECT_EQ(vaccel_ping(session_.get(), nullptr, nullptr), VACCEL_OK);
    return sentence;
  }

  static vaccel_status take(std::string_view name, vaccel_request* request, void** results) {
    if (name == "classify") return take_with(vaccel_request_classes, request, results);
    if (name == "detect") return take_with(vaccel_request_detections, request, results);
    if (name == "segment") return take_with(vaccel_request_segmentations, request, results);
    if (name == "pose") return take_with(vaccel_request_poses, request, results);
    return take_with(vaccel_request_depth_maps, request, results);
  }

  template <typename T>
  static vaccel_status take_with(vaccel_status (*taker)(vaccel_request*, T**), vaccel_request* request,
                                 void** results) {
    T* typed[2]{};
    const vaccel_status status = taker(request, typed);
    std::copy(typed, typed + 2, results);
    return status;
  }

  // Changes the tensor of that name with `change`.
  static Spoil changing(std::string name, std::function<void(NamedTensor&)> change) {
    return [=](std::vector<NamedTensor>& tensors) {
      for (NamedTensor& tensor : tensors) {
        if (tensor.name == name) return change(tensor);
      }
      ADD_FAILURE() << "no tensor " << name;
    };
  }

  // Replaces it by one of other values.
  template <typename T>
  static Spoil replacing(const std::string& name, int dtype, std::vector<int64_t> shape,
                         std::vector<T> values) {
    return changing(name,
                    [=](NamedTensor& tensor) { tensor = tensor_of(tensor.name, dtype, shape, values); });
  }

  static Spoil dropping(const std::string& name) {
    return [=](std::vector<NamedTensor>& tensors) {
      EXPECT_EQ(std::erase_if(tensors, [&](const NamedTensor& tensor) { return tensor.name == name; }), 1u);
    };
  }

  Spoil spoil_;
  TestServer server_{{.hook = [this](Peer& peer, const Frame& frame) {
    if (frame.header.kind != wire::Kind::kCall) return false;
    const auto call = wire::decode_call(frame.body, {.payload_bytes = frame.payload.size()}).value();
    if (call.operator_name == "vaccel.echo") return false;
    std::vector<NamedTensor> results;
    for (size_t image = 0; image < call.inputs.size(); ++image) {
      for (NamedTensor& tensor : vision_tensors(call, "m", image))
        results.push_back(std::move(tensor));
    }
    spoil_(results);
    reply_with(peer, frame.header.request_id, results);
    return true;
  }}};
  SessionPtr session_ = open_session(server_.endpoint());
};

TEST_F(SpoiltTest, ATensorIsMissing) {
  EXPECT_EQ(said_of("classify", dropping("index")),
            "the operator 'classify' returned no result 'index' of type int32 [?]: none of that name");
  EXPECT_EQ(said_of("classify", dropping("1.label")),
            "the operator 'classify' returned no result '1.label' of type string [3]: none of that name");
  for (const char* name : {"box", "index", "score", "label", "size", "1.box", "1.size"})
    EXPECT_NE(said_of("detect", dropping(name)).find("none of that name"), std::string::npos);
  for (const char* name : {"classes", "model_classes", "label", "1.classes"})
    EXPECT_NE(said_of("segment", dropping(name)).find("none of that name"), std::string::npos);
  for (const char* name : {"keypoint", "score", "name", "size", "1.name"})
    EXPECT_NE(said_of("pose", dropping(name)).find("none of that name"), std::string::npos);
  for (const char* name : {"depth", "model_depth", "kind", "1.kind"})
    EXPECT_NE(said_of("depth", dropping(name)).find("none of that name"), std::string::npos);
  // No results at all, and those of one image alone.
  EXPECT_NE(said_of("depth", [](auto& tensors) { tensors.clear(); }).find("no result 'depth'"),
            std::string::npos);
  EXPECT_NE(said_of("depth", [](auto& tensors) { tensors.resize(3); }).find("no result '1.depth'"),
            std::string::npos);
}

TEST_F(SpoiltTest, ATensorIsOfAnotherType) {
  EXPECT_EQ(said_of("detect", replacing<double>("box", VACCEL_FLOAT64, {1, 4}, {1, 2, 3, 4})),
            "the operator 'detect' returned no result 'box' of type float32 [1, 4]: float64 [1, 4]");
  EXPECT_EQ(said_of("segment", replacing<float>("classes", VACCEL_FLOAT32, {2, 1}, {0, 1})),
            "the operator 'segment' returned no result 'classes' of type uint8 [?, ?]: float32 [2, 1]");
  // The two maps have the same type.
  EXPECT_NE(
      said_of("segment", replacing<uint16_t>("model_classes", VACCEL_UINT16, {1, 2}, {0, 1})).find("uint16"),
      std::string::npos);
  EXPECT_NE(said_of("depth", replacing<uint8_t>("kind", VACCEL_UINT8, {1}, {7})).find("uint8 [1]"),
            std::string::npos);
}

TEST_F(SpoiltTest, ShapesDoNotFitTogether) {
  EXPECT_EQ(said_of("detect", replacing<float>("score", VACCEL_FLOAT32, {2}, {1, 1})),
            "the operator 'detect' returned no result 'score' of type float32 [1]: float32 [2]");
  EXPECT_NE(
      said_of("detect", replacing<float>("box", VACCEL_FLOAT32, {1, 5}, {1, 2, 3, 4, 5})).find("[1, 5]"),
      std::string::npos);
  EXPECT_NE(said_of("detect", replacing<float>("box", VACCEL_FLOAT32, {4}, {1, 2, 3, 4})).find("[4]"),
            std::string::npos);
  EXPECT_NE(said_of("detect", replacing<int32_t>("1.size", VACCEL_INT32, {3}, {1, 2, 3})).find("[3]"),
            std::string::npos);
  EXPECT_EQ(said_of("pose", changing("name", [](auto& tensor) { tensor = strings_of("name", {"nose"}); })),
            "the operator 'pose' returned no result 'name' of type string [2]: string [1]");
  EXPECT_NE(said_of("pose", replacing<float>("keypoint", VACCEL_FLOAT32, {1, 2, 2}, {1, 2, 3, 4}))
                .find("[1, 2, 2]"),
            std::string::npos);
  EXPECT_NE(said_of("pose", replacing<float>("score", VACCEL_FLOAT32, {0}, {})).find("[0]"),
            std::string::npos);
  EXPECT_NE(
      said_of("depth", replacing<float>("1.depth", VACCEL_FLOAT32, {6}, {1, 2, 3, 4, 5, 6})).find("[6]"),
      std::string::npos);
}

TEST_F(SpoiltTest, ValuesCannotBe) {
  EXPECT_EQ(said_of("segment", replacing<uint8_t>("1.model_classes", VACCEL_UINT8, {1, 2}, {0, 3})),
            "the operator 'segment' returned a result '1.model_classes' with a class that has no label");
  // In every place of a map that is looked at in blocks.
  for (size_t place : {0u, 63u, 64u, 65u, 130u}) {
    std::vector<uint8_t> map(131, 2);
    map[place] = 3;
    EXPECT_EQ(said_of("segment", replacing<uint8_t>("classes", VACCEL_UINT8, {1, 131}, map)),
              "the operator 'segment' returned a result 'classes' with a class that has no label");
  }
  EXPECT_EQ(said_of("segment", replacing<uint8_t>("classes", VACCEL_UINT8, {0, 4}, {})),
            "the operator 'segment' returned a result 'classes' whose width or height is none of an image");
  EXPECT_NE(said_of("depth", replacing<float>("model_depth", VACCEL_FLOAT32, {3, 0}, {})).find("none of an"),
            std::string::npos);
  EXPECT_EQ(said_of("detect", replacing<int32_t>("size", VACCEL_INT32, {2}, {640, 0})),
            "the operator 'detect' returned a result 'size' that is not positive");
  EXPECT_EQ(said_of("pose", replacing<int32_t>("1.size", VACCEL_INT32, {2}, {-1, 480})),
            "the operator 'pose' returned a result '1.size' that is not positive");
  EXPECT_EQ(
      said_of("depth", changing("kind", [](auto& tensor) { tensor = strings_of("kind", {"furlongs"}); })),
      "the operator 'depth' returned a result 'kind' that is none of metric, relative and inverse");
}

// What is as it should be may come in any order, and beside what nobody asked for.
TEST_F(SpoiltTest, OrderDoesNotMatter) {
  spoil_ = [](std::vector<NamedTensor>& tensors) {
    std::reverse(tensors.begin(), tensors.end());
    tensors.insert(tensors.begin(), tensor_of("extra", VACCEL_UINT8, {1}, std::vector<uint8_t>{1}));
  };
  const vaccel_image images[] = {{"first", 5, {0, 0}}, {"second", 6, {0, 0}}};
  DepthMaps maps(2);
  ASSERT_EQ(vaccel_depth_batch(session_.get(), "m", images, 2, nullptr, maps.places()), VACCEL_OK)
      << vaccel_error_message();
  EXPECT_FLOAT_EQ(maps[0].depth[0], 5);
  EXPECT_FLOAT_EQ(maps[1].depth[0], 6);
}

}  // namespace
}  // namespace vaccel::client
