// SPDX-License-Identifier: Apache-2.0
//
// The operators on pictures through agent and worker: what comes out is what local mode gives, byte for byte, and what the
// photos show.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

Tensor image_of(const char* file) {
  auto bytes = file_bytes(photo(file));
  const auto size = static_cast<int64_t>(bytes.size());
  return {"", VACCEL_UINT8, {size}, std::move(bytes)};
}

// The result of that name; fails the test when there is none.
const vaccel_tensor& result(const OutputsPtr& outputs, const std::string& name) {
  for (size_t index = 0; index < outputs->count; ++index) {
    if (outputs->tensors[index].name == name) return outputs->tensors[index];
  }
  ADD_FAILURE() << "there is no result '" << name << "'";
  static const vaccel_tensor none{};
  return none;
}

template <typename T>
std::vector<T> values_of(const vaccel_tensor& tensor) {
  std::vector<T> values(tensor.bytes / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.data, values.size() * sizeof(T));
  return values;
}

std::string string_in(const vaccel_tensor& tensor, size_t index) {
  uint32_t offset = 0;
  std::memcpy(&offset, static_cast<const char*>(tensor.data) + index * sizeof offset, sizeof offset);
  return static_cast<const char*>(tensor.data) + offset;
}

double share_of(const vaccel_tensor& classes, uint8_t wanted) {
  const auto values = values_of<uint8_t>(classes);
  return static_cast<double>(std::count(values.begin(), values.end(), wanted)) /
         static_cast<double>(values.size());
}

void sees_the_cat(const OutputsPtr& outputs) {
  EXPECT_EQ(values_of<int32_t>(result(outputs, "index")).at(0), 286);
  EXPECT_EQ(string_in(result(outputs, "label"), 0), "Egyptian cat");
}
void sees_a_person(const OutputsPtr& outputs) {
  EXPECT_EQ(values_of<int32_t>(result(outputs, "index")).at(0), 1);
  EXPECT_EQ(string_in(result(outputs, "label"), 0), "person");
  EXPECT_NEAR(values_of<float>(result(outputs, "score")).at(0), 0.65, 0.03);
}
void sees_the_shape_of_the_cat(const OutputsPtr& outputs) {
  EXPECT_EQ(result(outputs, "classes").shape[0], 300);
  EXPECT_EQ(result(outputs, "classes").shape[1], 451);
  EXPECT_GT(share_of(result(outputs, "classes"), 8), 0.6);
  EXPECT_EQ(string_in(result(outputs, "label"), 8), "cat");
}
void finds_the_nose(const OutputsPtr& outputs) {
  EXPECT_EQ(string_in(result(outputs, "name"), 0), "nose");
  const auto points = values_of<float>(result(outputs, "keypoint"));
  ASSERT_GE(points.size(), 3u);
  EXPECT_NEAR(points[0] / 512, 0.44, 0.03);
  EXPECT_NEAR(points[1] / 512, 0.25, 0.03);
}
void sees_how_far_it_is(const OutputsPtr& outputs) {
  EXPECT_EQ(string_in(result(outputs, "kind"), 0), "metric");
  EXPECT_EQ(result(outputs, "depth").shape[0], 500);
  EXPECT_EQ(result(outputs, "depth").shape[1], 741);
  // The motorcycle stands in front of the wall that the upper edge shows.
  const auto depth = values_of<float>(result(outputs, "depth"));
  const auto row = [&](size_t y) {
    double sum = 0;
    for (size_t x = 0; x < 741; ++x)
      sum += depth[y * 741 + x];
    return sum / 741;
  };
  EXPECT_GT(row(20), row(420) + 0.5);
}

struct VisionCase {
  const char* operator_name;
  const char* model;
  const char* file;
  void (*look)(const OutputsPtr& outputs);
};

class Vision : public testing::TestWithParam<VisionCase> {
 protected:
  void SetUp() override {
    VACCEL_NEEDS(real_catalogue() / GetParam().model / "model.toml");
    VACCEL_NEEDS(photo(GetParam().file));
    VACCEL_NEEDS(photo("coffee.png"));
    agent_.emplace(AgentSetup{.catalogue = real_catalogue(), .all_backends = true});
  }
  // What the operator needs of attributes: classify, and no other, must be told how many.
  [[nodiscard]] std::vector<vaccel_attribute> attributes() const {
    return std::string(GetParam().operator_name) == "classify"
               ? std::vector<vaccel_attribute>{int_attribute("top", 5)}
               : std::vector<vaccel_attribute>{};
  }
  Given<OutputsPtr> call(const Session& session, const std::vector<Tensor>& images) const {
    auto options = VACCEL_INIT(vaccel_call_options);
    options.flags = VACCEL_CALL_TIMINGS;
    return session.call(GetParam().operator_name, attributes(), images, &options, GetParam().model);
  }
  std::optional<AgentProcess> agent_;
};

TEST_P(Vision, GivesWhatLocalModeGives) {
  const Session remote(agent_->endpoint());
  const Session local("local:" + (agent_->folder() / "vaccel.toml").string());
  const std::vector<Tensor> image{image_of(GetParam().file)};
  const auto there = call(remote, image);
  ASSERT_TRUE(there.ok()) << there.text();
  GetParam().look(there.value);
  const auto here = call(local, image);
  ASSERT_TRUE(here.ok()) << here.text();
  ASSERT_EQ(there.value->count, here.value->count);
  for (size_t index = 0; index < here.value->count; ++index) {
    const vaccel_tensor& ours = there.value->tensors[index];
    const vaccel_tensor& theirs = here.value->tensors[index];
    EXPECT_STREQ(ours.name, theirs.name);
    EXPECT_EQ(ours.dtype, theirs.dtype);
    EXPECT_EQ(std::vector(ours.shape, ours.shape + ours.rank),
              std::vector(theirs.shape, theirs.shape + theirs.rank));
    EXPECT_TRUE(std::ranges::equal(data_of(ours), data_of(theirs))) << ours.name;
  }
  EXPECT_GT(there.value->timings.decode_ns, 0u);
  EXPECT_GT(there.value->timings.postprocess_ns, 0u);
}

TEST_P(Vision, TakesSeveralImages) {
  const Session session(agent_->endpoint());
  const auto both = call(session, {image_of("coffee.png"), image_of(GetParam().file)});
  ASSERT_TRUE(both.ok()) << both.text();
  const auto alone = call(session, {image_of(GetParam().file)});
  ASSERT_TRUE(alone.ok()) << alone.text();
  ASSERT_EQ(both.value->count, 2 * alone.value->count);
  for (size_t index = 0; index < alone.value->count; ++index) {
    const vaccel_tensor& one = alone.value->tensors[index];
    EXPECT_TRUE(std::ranges::equal(data_of(result(both.value, "1." + std::string(one.name))), data_of(one)))
        << one.name;
  }
}

TEST_P(Vision, ABadImageIsToldAndTheNextCallWorks) {
  const Session session(agent_->endpoint());
  const auto refused = call(session, {{"", VACCEL_UINT8, {5}, some_bytes(5, 1)}});
  EXPECT_EQ(refused.status, VACCEL_INVALID_ARGUMENT) << refused.text();
  EXPECT_TRUE(refused.says("no PNG, JPEG or WebP image")) << refused.text();
  const auto cut = call(session, {image_of("coffee.png"), {"", VACCEL_UINT8, {5}, some_bytes(5, 1)}});
  EXPECT_EQ(cut.status, VACCEL_INVALID_ARGUMENT) << cut.text();
  EXPECT_TRUE(cut.says("image 1: ")) << cut.text();
  const auto good = call(session, {image_of(GetParam().file)});
  ASSERT_TRUE(good.ok()) << good.text();
  GetParam().look(good.value);
}

INSTANTIATE_TEST_SUITE_P(
    Operators, Vision,
    testing::Values(VisionCase{"classify", "mobilenet", "chelsea.png", sees_the_cat},
                    VisionCase{"detect", "ssd-mobilenet", "astronaut.png", sees_a_person},
                    VisionCase{"segment", "deeplabv3", "chelsea.png", sees_the_shape_of_the_cat},
                    VisionCase{"pose", "posenet", "astronaut.png", finds_the_nose},
                    VisionCase{"depth", "fastdepth", "motorcycle_left.png", sees_how_far_it_is}),
    [](const auto& one) { return std::string(one.param.operator_name); });

// The most images that a call may have, with the most results: the frames hold them.
TEST(VisionLimits, SixtyFourImagesFitIntoACall) {
  VACCEL_NEEDS(real_catalogue() / "ssd-mobilenet" / "model.toml");
  VACCEL_NEEDS(photo("chelsea.png"));
  const AgentProcess agent({.catalogue = real_catalogue(), .all_backends = true});
  const Session session(agent.endpoint());
  const auto jpeg = png_as_jpeg(file_bytes(photo("chelsea.png")));
  const std::vector<Tensor> images(64, {"", VACCEL_UINT8, {static_cast<int64_t>(jpeg.size())}, jpeg});
  const auto outputs = session.call("detect", {}, images, nullptr, "ssd-mobilenet");
  ASSERT_TRUE(outputs.ok()) << outputs.text();
  ASSERT_EQ(outputs.value->count, 5u * 64);
  EXPECT_EQ(values_of<int32_t>(result(outputs.value, "63.size")), (std::vector<int32_t>{451, 300}));
  EXPECT_EQ(values_of<float>(result(outputs.value, "63.box")),
            values_of<float>(result(outputs.value, "box")));
}

}  // namespace
}  // namespace vaccel::integration
