// SPDX-License-Identifier: Apache-2.0
//
// vaccel.hpp, as a program uses it. (The internal names of this library are not included here: they share a
// namespace with it, and a program sees none of them.)
#include "vaccel/vaccel.hpp"

#include <gtest/gtest.h>

#include "client/cpp_api_testing.h"

namespace {

class CppApiTest : public testing::Test {
 protected:
  ServerForPrograms server_;
  vaccel::Session session_{server_.endpoint()};
};

TEST_F(CppApiTest, Classifies) {
  const std::string image(5000, 'x');
  vaccel_timings timings{};
  const auto classes =
      session_.classify("mobilenet", image, 5, {.timeout = std::chrono::seconds(10)}, &timings);
  ASSERT_EQ(classes.size(), 3u);
  EXPECT_EQ(classes[0].index, 5000);
  EXPECT_EQ(classes[0].label, "first");
  EXPECT_EQ(timings.infer_ns, 1234u);
}

TEST_F(CppApiTest, SeesOnePicture) {
  const std::string image(300, 'x');
  const vaccel::Detections found = session_.detect("m", image, {.min_score = 0.2F});
  ASSERT_EQ(found.items.size(), 2u);
  EXPECT_EQ(found.items[0].label, "thing");
  EXPECT_EQ(found.items[0].x, 300);
  EXPECT_EQ(found.items[1].height, 80);
  EXPECT_EQ(found.image_width, 640u);
  EXPECT_EQ(found.timings.infer_ns, 1234u);

  vaccel::Segmentation segmentation = session_.segment("large", image);
  const vaccel::Segmentation map = std::move(segmentation);
  EXPECT_EQ(map.width(), 4u);
  EXPECT_EQ(map.class_at(1, 0), 1u);
  EXPECT_EQ(map.class_at(3, 1), 299u);
  EXPECT_EQ(session_.segment("m", image).class_at(3, 1), 2u);
  EXPECT_EQ(map.label(299), "one of many");
  EXPECT_EQ(map.get().model_width, 2u);
  EXPECT_THROW((void)map.class_at(4, 0), std::out_of_range);
  EXPECT_THROW((void)map.label(300), std::out_of_range);

  const vaccel::Poses poses = session_.pose("m", image);
  ASSERT_EQ(poses.items.size(), 1u);
  EXPECT_EQ(poses.items[0].keypoints.at(1).name, "left knee");
  EXPECT_EQ(poses.items[0].keypoints.at(0).y, 20);

  const vaccel::DepthMap depth = session_.depth("m", image);
  EXPECT_EQ(depth.at(0, 0), 300);
  EXPECT_EQ(depth.depth()[5], 6);
  EXPECT_EQ(depth.kind(), VACCEL_DEPTH_RELATIVE);
  EXPECT_THROW((void)depth.at(0, 2), std::out_of_range);
}

TEST_F(CppApiTest, SeesSeveralPictures) {
  const std::string first(100, 'x');
  const std::vector<std::byte> second(200);
  const std::vector<vaccel::Image> images{first, second};
  const std::vector<vaccel::Classes> classes = session_.classify("m", images, 2);
  ASSERT_EQ(classes.size(), 2u);
  EXPECT_EQ(classes[1].at(0).index, 200);
  EXPECT_EQ(session_.detect("m", images).at(1).items.at(0).x, 200);
  EXPECT_EQ(session_.segment("m", images).at(1).label(1), "cat");
  EXPECT_EQ(session_.pose("m", images).size(), 2u);
  EXPECT_EQ(session_.depth("m", images).at(0).at(0, 0), 100);
  EXPECT_THROW((void)session_.depth("m", std::vector<vaccel::Image>{}), vaccel::Error);
  EXPECT_THROW((void)session_.detect("m", images, {.iou = 2}), vaccel::Error);

  EXPECT_EQ(session_.submit_vision("classify", "m", images, {.top = 1}).class_lists().at(1).at(0).index, 200);
  EXPECT_EQ(session_.submit_vision("detect", "m", images).detections().at(1).items.at(0).x, 200);
  EXPECT_EQ(session_.submit_vision("segment", "m", images).segmentations().at(0).height(), 2u);
  EXPECT_EQ(session_.submit_vision("pose", "m", images).poses().at(1).items.at(0).score, 0.5F);
  vaccel::Request request = session_.submit_vision("depth", "m", images);
  EXPECT_THROW((void)request.poses(), vaccel::Error);
  EXPECT_EQ(request.depth_maps().at(1).at(0, 0), 200);
  EXPECT_THROW((void)request.depth_maps(), vaccel::Error);
}

TEST_F(CppApiTest, Infers) {
  const std::vector<float> values{1, 2, 3, 4};
  std::array<int64_t, 2> integers{5, 6};
  const auto outputs =
      session_.infer("m", {vaccel::tensor("a", values, {2, 2}), vaccel::tensor("b", std::span(integers))});
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(outputs["a"].as<float>()[3], 4);
  EXPECT_EQ(outputs[0].shape()[1], 2);
  EXPECT_EQ(outputs["b"].as<int64_t>()[1], 6);
  EXPECT_GT(outputs.timings().total_ns, 0u);
  EXPECT_THROW((void)outputs["c"], vaccel::Error);
  EXPECT_THROW((void)outputs[2], std::out_of_range);
  EXPECT_THROW((void)outputs[0].as<double>(), vaccel::Error);
  EXPECT_THROW((void)outputs[0].strings(), vaccel::Error);
}

TEST_F(CppApiTest, CallsWithAttributesAndItsOwnMemory) {
  std::vector<uint8_t> memory(1000);
  vaccel::CallOptions options;
  options.outputs.push_back(vaccel::tensor("", memory));
  const auto outputs = session_.call("test.fill", "", {{"bytes", 1000}, {"value", 7}}, {}, options);
  EXPECT_EQ(memory, std::vector<uint8_t>(1000, 7));
  EXPECT_EQ(outputs[0].bytes().data(), reinterpret_cast<const std::byte*>(memory.data()));
  EXPECT_EQ(
      session_.call("classify", "m", {{"top", 3}}, {vaccel::tensor("image", memory)})["label"].strings(),
      (std::vector<std::string_view>{"first", "", "third"}));
}

TEST_F(CppApiTest, ThrowsWithCodeAndSentence) {
  try {
    session_.load("missing one");
    FAIL() << "it was loaded";
  } catch (const vaccel::Error& error) {
    EXPECT_EQ(error.code(), VACCEL_NOT_FOUND);
    EXPECT_STREQ(error.code_name(), "NOT_FOUND");
    EXPECT_STREQ(error.what(), "no model 'missing one'");
  }
  EXPECT_THROW(vaccel::Session("unix:/nonexistent/socket"), vaccel::Error);
  const std::vector<int64_t> nine(9, 1);
  EXPECT_THROW(vaccel::Tensor("x", VACCEL_INT8, nullptr, 0, nine), std::length_error);
}

TEST_F(CppApiTest, SubmitsAndPolls) {
  std::vector<uint8_t> memory(100);
  vaccel::CallOptions options;
  options.user_data = &memory;
  options.outputs.push_back(vaccel::tensor("data", memory));
  vaccel::Request fill = session_.submit_call("test.fill", "", {{"bytes", 100}, {"value", 3}}, {}, options);
  options = {};  // the request keeps what it needs of it
  EXPECT_EQ(fill.user_data(), &memory);
  vaccel::Request moved = std::move(fill);
  EXPECT_EQ(moved.outputs().size(), 1u);
  EXPECT_EQ(memory[99], 3);
  vaccel::Request classify = session_.submit_classify("m", memory, 2);
  EXPECT_GE(session_.descriptor(), 0);
  vaccel_request* completed = nullptr;
  while (completed == nullptr)
    completed = session_.poll();
  EXPECT_EQ(completed, classify.handle());
  EXPECT_TRUE(classify.done());
  EXPECT_EQ(classify.classes().size(), 2u);
  vaccel::Request hold = session_.submit_call("test.hold", "", {}, {});
  EXPECT_FALSE(hold.wait_for(std::chrono::milliseconds(1)));
  hold.cancel();
  EXPECT_THROW(hold.wait(), vaccel::Error);
  EXPECT_TRUE(hold.wait_for(std::chrono::milliseconds(1)));
}

// The server shares no memory; tests/integration/buffers_cpp_test.cpp has one that does.
TEST_F(CppApiTest, BuffersAreMemoryEvenWhereNoneIsShared) {
  vaccel::Buffer buffer = session_.allocate(4000, 4096);
  EXPECT_FALSE(buffer.shared());
  EXPECT_EQ(buffer.size(), 4000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0u);
  const std::span<float> values = buffer.as<float>();
  ASSERT_EQ(values.size(), 1000u);
  values[999] = 7;
  vaccel::Buffer moved = std::move(buffer);
  EXPECT_EQ(reinterpret_cast<float*>(moved.bytes().data())[999], 7);
  EXPECT_EQ(session_.infer("m", {vaccel::tensor("a", values)})["a"].as<float>()[999], 7);
  try {
    (void)session_.allocate(10, 0, true);
    FAIL() << "it was allocated";
  } catch (const vaccel::Error& error) {
    EXPECT_EQ(error.code(), VACCEL_UNIMPLEMENTED);
  }
  EXPECT_THROW((void)session_.allocate(0), vaccel::Error);
  EXPECT_THROW((void)session_.allocate(10, 3), vaccel::Error);
  static_assert(!std::is_copy_constructible_v<vaccel::Buffer>);
}

TEST_F(CppApiTest, Describes) {
  EXPECT_GT(session_.ping().count(), 0);
  EXPECT_EQ(session_.endpoint(), server_.endpoint());
  EXPECT_EQ(session_.models().size(), 3u);
  const vaccel::Model model = session_.model("m");
  EXPECT_EQ(model.inputs.at(0).shape, (std::vector<int64_t>{1, 3, -1, -1}));
  EXPECT_TRUE(model.outputs.at(0).any_rank);
  EXPECT_EQ(model.metadata.at(0).second, "a test");
  const vaccel::Agent agent = session_.agent();
  EXPECT_EQ(agent.version, "test server");
  EXPECT_EQ(agent.backends.at(1).problem, "its library is not here");
  EXPECT_TRUE(agent.window.starts_with("none: ")) << agent.window;
  EXPECT_EQ(agent.window_bytes, 0u);
  const std::vector<vaccel::Operator> operators = session_.operators();
  ASSERT_EQ(operators.size(), 2u);
  EXPECT_EQ(operators[1].name, "test.operator1");
  EXPECT_EQ(operators[1].parts.at(0).kind, VACCEL_OPERATOR_ATTRIBUTE);
  EXPECT_EQ(operators[1].parts.at(0).description, "how many");
  EXPECT_EQ(operators[1].backends.at(0).score, 80);
}

}  // namespace
