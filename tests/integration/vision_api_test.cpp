// SPDX-License-Identifier: Apache-2.0
//
// The typed vision functions on real models and photos, wherever the runtime is and however results come: through the
// window, over the stream, in this process. What exactly the operators find is tested beside them; here it is that all of
// it arrives, one image or several, and that results live as long as they are owned.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "support/agent_process.h"
#include "support/library.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

using DetectionsPtr = std::unique_ptr<vaccel_detections, FreeWith<vaccel_detections_free>>;
using SegmentationPtr = std::unique_ptr<vaccel_segmentation, FreeWith<vaccel_segmentation_free>>;
using PosesPtr = std::unique_ptr<vaccel_poses, FreeWith<vaccel_poses_free>>;
using DepthMapPtr = std::unique_ptr<vaccel_depth_map, FreeWith<vaccel_depth_map_free>>;

vaccel_image image_of(const std::vector<std::byte>& file) {
  return {file.data(), file.size(), {0, 0}};
}

const vaccel_keypoint* keypoint(const vaccel_pose_item& pose, std::string_view name) {
  const std::span points(pose.keypoints, pose.keypoint_count);
  const auto found = std::find_if(points.begin(), points.end(),
                                  [&](const vaccel_keypoint& point) { return point.name == name; });
  return found != points.end() ? &*found : nullptr;
}

double share(const vaccel_segmentation& map, std::string_view label) {
  const auto* classes = static_cast<const uint8_t*>(map.classes);
  const size_t pixels = size_t{map.width} * map.height;
  const auto count =
      std::count_if(classes, classes + pixels, [&](uint8_t index) { return label == map.labels[index]; });
  return static_cast<double>(count) / static_cast<double>(pixels);
}

// "window": through memory that agent and library share; "stream": without it; "local": without an agent.
class VisionApi : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    if (!std::filesystem::exists(real_catalogue())) return;  // SetUp() says so
    agent = std::make_unique<AgentProcess>(AgentSetup{.catalogue = real_catalogue(), .all_backends = true});
  }
  static void TearDownTestSuite() { agent.reset(); }
  void SetUp() override {
    for (const char* model : {"mobilenet", "ssd-mobilenet", "deeplabv3", "posenet", "fastdepth"})
      VACCEL_NEEDS(real_catalogue() / model / "model.toml");
    for (const char* name : {"chelsea.png", "astronaut.png", "motorcycle_left.png"})
      VACCEL_NEEDS(photo(name));
    cat = file_bytes(photo("chelsea.png"));
    astronaut = file_bytes(photo("astronaut.png"));
    motorcycle = file_bytes(photo("motorcycle_left.png"));
    const std::string where = GetParam();
    const std::string endpoint =
        where == "local" ? "local:" + (agent->folder() / "vaccel.toml").string() : agent->endpoint();
    session = std::make_unique<Session>(endpoint, where == "stream" ? VACCEL_OPEN_NO_WINDOW : 0);
  }

  static inline std::unique_ptr<AgentProcess> agent;  // one for all: it need not load each model again
  std::unique_ptr<Session> session;
  std::vector<std::byte> cat;
  std::vector<std::byte> astronaut;
  std::vector<std::byte> motorcycle;
};

TEST_P(VisionApi, Detects) {
  const auto found = given<DetectionsPtr>([&](vaccel_detections** place) {
    return vaccel_detect(session->get(), "ssd-mobilenet", astronaut.data(), astronaut.size(), nullptr,
                         nullptr, place);
  });
  ASSERT_TRUE(found.ok()) << found.text();
  EXPECT_EQ(found.value->image_width, 512u);
  EXPECT_EQ(found.value->image_height, 512u);
  ASSERT_GE(found.value->count, 1u);
  const vaccel_detection& best = found.value->items[0];
  EXPECT_EQ(best.index, 1);
  EXPECT_STREQ(best.label, "person");
  EXPECT_NEAR(best.score, 0.65, 0.03);
  EXPECT_GE(best.x, 0);
  EXPECT_LE(best.y + best.height, 512);
  EXPECT_GT(best.width, 250);
  EXPECT_GT(found.value->timings.infer_ns, 0u);
}

TEST_P(VisionApi, FindsNoMoreThanIsWanted) {
  auto wanted = VACCEL_INIT(vaccel_vision_options);
  const auto count = [&] {
    const auto found = given<DetectionsPtr>([&](vaccel_detections** place) {
      return vaccel_detect(session->get(), "ssd-mobilenet", astronaut.data(), astronaut.size(), &wanted,
                           nullptr, place);
    });
    EXPECT_TRUE(found.ok()) << found.text();
    return found.ok() ? found.value->count : 0;
  };
  wanted.min_score = -1;
  wanted.top = 7;
  EXPECT_EQ(count(), 7u);
  wanted.iou = 1e-6F;  // boxes that touch are one
  wanted.top = 0;
  const size_t few = count();
  wanted.iou = 1;
  EXPECT_GT(count(), few);
  wanted.min_score = 0.99F;
  EXPECT_EQ(count(), 0u);
}

TEST_P(VisionApi, Segments) {
  const auto found = given<SegmentationPtr>([&](vaccel_segmentation** place) {
    return vaccel_segment(session->get(), "deeplabv3", cat.data(), cat.size(), nullptr, place);
  });
  ASSERT_TRUE(found.ok()) << found.text();
  const vaccel_segmentation& map = *found.value;
  EXPECT_EQ(map.width, 451u);
  EXPECT_EQ(map.height, 300u);
  EXPECT_EQ(map.model_width, 257u);
  EXPECT_EQ(map.element_bytes, 1u);
  EXPECT_EQ(map.label_count, 21u);
  EXPECT_GT(share(map, "cat"), 0.6);
}

TEST_P(VisionApi, FindsPoses) {
  const auto found = given<PosesPtr>([&](vaccel_poses** place) {
    return vaccel_pose(session->get(), "posenet", astronaut.data(), astronaut.size(), nullptr, nullptr,
                       place);
  });
  ASSERT_TRUE(found.ok()) << found.text();
  ASSERT_GE(found.value->count, 1u);
  EXPECT_EQ(found.value->items[0].keypoint_count, 17u);
  const vaccel_keypoint* nose = keypoint(found.value->items[0], "nose");
  ASSERT_NE(nose, nullptr);
  EXPECT_NEAR(nose->x / 512, 0.44, 0.03);
  EXPECT_NEAR(nose->y / 512, 0.25, 0.03);
}

TEST_P(VisionApi, MapsDepth) {
  const auto found = given<DepthMapPtr>([&](vaccel_depth_map** place) {
    return vaccel_depth(session->get(), "fastdepth", motorcycle.data(), motorcycle.size(), nullptr, place);
  });
  ASSERT_TRUE(found.ok()) << found.text();
  const vaccel_depth_map& map = *found.value;
  EXPECT_EQ(map.width, 741u);
  EXPECT_EQ(map.height, 500u);
  EXPECT_EQ(map.model_width, 224u);
  EXPECT_EQ(map.kind, VACCEL_DEPTH_METRIC);
  const size_t pixels = size_t{map.width} * map.height;
  EXPECT_TRUE(
      std::all_of(map.depth, map.depth + pixels, [](float value) { return value > 0 && value < 20; }));
  // The floor in front is nearer than the wall behind.
  EXPECT_LT(map.depth[size_t{490} * 741 + 370], map.depth[size_t{10} * 741 + 370]);
}

// Results of one call share memory; whichever goes first, the others stay.
TEST_P(VisionApi, BatchesAreWhatTheImagesAreAlone) {
  const std::array images{image_of(cat), image_of(astronaut), image_of(motorcycle)};
  std::array<vaccel_segmentation*, 3> maps{};
  ASSERT_EQ(vaccel_segment_batch(session->get(), "deeplabv3", images.data(), 3, nullptr, maps.data()),
            VACCEL_OK)
      << vaccel_error_message();
  std::array<vaccel_segmentation*, 3> more{};
  ASSERT_EQ(vaccel_segment_batch(session->get(), "deeplabv3", images.data(), 3, nullptr, more.data()),
            VACCEL_OK);
  vaccel_segmentation_free(maps[1]);
  EXPECT_EQ(maps[0]->width, 451u);
  EXPECT_GT(share(*maps[0], "cat"), 0.6);
  vaccel_segmentation_free(maps[0]);
  EXPECT_EQ(maps[2]->width, 741u);
  EXPECT_GT(share(*maps[2], "motorbike"), 0.1);
  for (size_t index = 0; index < 3; ++index) {
    const auto alone = given<SegmentationPtr>([&](vaccel_segmentation** place) {
      return vaccel_segment(session->get(), "deeplabv3", images[index].data, images[index].bytes, nullptr,
                            place);
    });
    ASSERT_TRUE(alone.ok()) << alone.text();
    const size_t pixels = size_t{more[index]->width} * more[index]->height;
    ASSERT_EQ(pixels, size_t{alone.value->width} * alone.value->height);
    EXPECT_EQ(std::memcmp(more[index]->classes, alone.value->classes, pixels), 0) << index;
    vaccel_segmentation_free(more[index]);
  }
  vaccel_segmentation_free(maps[2]);
}

TEST_P(VisionApi, AsManyImagesAsACallTakes) {
  const std::vector<vaccel_image> images(VACCEL_MAX_IMAGES, image_of(cat));
  std::vector<vaccel_classes*> classes(images.size());
  ASSERT_EQ(vaccel_classify_batch(session->get(), "mobilenet", images.data(), images.size(), 1, nullptr,
                                  classes.data()),
            VACCEL_OK)
      << vaccel_error_message();
  for (vaccel_classes* one : classes) {
    EXPECT_EQ(one->items[0].index, 286);
    vaccel_classes_free(one);
  }
  std::vector<vaccel_detections*> detections(images.size());
  ASSERT_EQ(vaccel_detect_batch(session->get(), "ssd-mobilenet", images.data(), images.size(), nullptr,
                                nullptr, detections.data()),
            VACCEL_OK)
      << vaccel_error_message();
  for (vaccel_detections* one : detections) {
    EXPECT_STREQ(one->items[0].label, "cat");
    vaccel_detections_free(one);
  }
}

TEST_P(VisionApi, OneBadImageFailsTheCallAndIsNamed) {
  const std::vector<std::byte> bad(100, std::byte{'x'});
  const std::array images{image_of(cat), image_of(bad)};
  std::array<vaccel_depth_map*, 2> maps{};
  EXPECT_EQ(vaccel_depth_batch(session->get(), "fastdepth", images.data(), 2, nullptr, maps.data()),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(std::string(vaccel_error_message()).find("image 1"), std::string::npos) << vaccel_error_message();
  EXPECT_EQ(maps[0], nullptr);
  EXPECT_EQ(maps[1], nullptr);
}

TEST_P(VisionApi, SubmittedCallsRunBesideEachOther) {
  const std::array images{image_of(cat), image_of(astronaut)};
  std::vector<RequestPtr> requests;
  constexpr std::pair<const char*, const char*> kCalls[] = {
      {"detect", "ssd-mobilenet"}, {"segment", "deeplabv3"}, {"pose", "posenet"}, {"depth", "fastdepth"}};
  for (const auto& call : kCalls) {
    auto request = given<RequestPtr>([&](vaccel_request** place) {
      return vaccel_submit_vision(session->get(), call.first, call.second, images.data(), 2, nullptr, nullptr,
                                  place);
    });
    ASSERT_TRUE(request.ok()) << request.text();
    requests.push_back(std::move(request.value));
  }
  for (const RequestPtr& request : requests)
    ASSERT_EQ(vaccel_wait(request.get(), 0), VACCEL_OK) << vaccel_error_message();
  std::array<vaccel_depth_map*, 2> maps{};
  ASSERT_EQ(vaccel_request_depth_maps(requests[3].get(), maps.data()), VACCEL_OK);
  std::array<vaccel_detections*, 2> detections{};
  ASSERT_EQ(vaccel_request_detections(requests[0].get(), detections.data()), VACCEL_OK);
  requests.clear();  // with results that nobody took
  EXPECT_EQ(maps[1]->width, 512u);
  EXPECT_STREQ(detections[0]->items[0].label, "cat");
  for (size_t index = 0; index < 2; ++index) {
    vaccel_depth_map_free(maps[index]);
    vaccel_detections_free(detections[index]);
  }
}

TEST_P(VisionApi, AModelThatDoesSomethingElse) {
  const auto found = given<PosesPtr>([&](vaccel_poses** place) {
    return vaccel_pose(session->get(), "mobilenet", cat.data(), cat.size(), nullptr, nullptr, place);
  });
  EXPECT_EQ(found.status, VACCEL_UNIMPLEMENTED);
  EXPECT_TRUE(found.says("mobilenet")) << found.text();
}

// A map in the window stays where the worker put it, once the library knows how much room such results take.
class VisionApiInAWindow : public VisionApi {};
TEST_P(VisionApiInAWindow, MapsAreNotCopied) {
  uint64_t copied = 0;
  for (int round = 0; round < 3; ++round) {
    const auto found = given<DepthMapPtr>([&](vaccel_depth_map** place) {
      return vaccel_depth(session->get(), "fastdepth", motorcycle.data(), motorcycle.size(), nullptr, place);
    });
    ASSERT_TRUE(found.ok()) << found.text();
    copied = found.value->copied_bytes;
  }
  // The photo, into the window and out of it before it is decoded.
  EXPECT_LT(copied, 2 * motorcycle.size() + 4096);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, VisionApi, testing::Values("window", "stream", "local"),
                         [](const auto& where) { return std::string(where.param); });

INSTANTIATE_TEST_SUITE_P(Everywhere, VisionApiInAWindow, testing::Values("window"));

}  // namespace
}  // namespace vaccel::integration
