// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detect_ssd_postprocessed.h"

#include <gtest/gtest.h>

#include "runtime/vision/decoder_testing.h"

namespace vaccel::runtime {
namespace {

using testing::kInfinity;
using testing::kNan;
using testing::problem_of;
using testing::TestOutputs;

SsdPostprocessedDecoder make(int32_t first_class = 0) {
  return {{"boxes", "classes", "scores", "count"}, first_class};
}

std::vector<Detection> decoded(std::vector<float> classes, std::vector<float> scores, float count,
                               int32_t first_class = 0, float min_score = 0.1F) {
  const auto places = static_cast<int64_t>(classes.size());
  std::vector<float> boxes;
  for (int64_t place = 0; place < places; ++place) {
    const auto top = static_cast<float>(place) / 10;
    boxes.insert(boxes.end(), {top, 0.2F, top + 0.1F, 0.7F});
  }
  TestOutputs outputs;
  outputs.add("boxes", {places, 4}, boxes).add("classes", {places}, std::move(classes));
  outputs.add("scores", {places}, std::move(scores)).add("count", {}, {count});
  const SsdPostprocessedDecoder decoder = make(first_class);
  EXPECT_EQ(outputs.problem_for(decoder), "");
  std::vector<Detection> found;
  decoder.decode(outputs.views(), min_score, found);
  return found;
}

TEST(SsdPostprocessed, ReadsAsManyAsCount) {
  const auto found = decoded({0, 16, 3, 4}, {0.9F, 0.8F, 0.05F, 0.7F}, 3, 1);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].index, 1);
  EXPECT_EQ(found[0].score, 0.9F);
  EXPECT_EQ(found[1].index, 17);
  EXPECT_FLOAT_EQ(found[1].top, 0.1F);
  EXPECT_FLOAT_EQ(found[1].left, 0.2F);
  EXPECT_FLOAT_EQ(found[1].bottom, 0.2F);
  EXPECT_FLOAT_EQ(found[1].right, 0.7F);
}

TEST(SsdPostprocessed, ACountThatCannotBeIsCutOrNone) {
  EXPECT_EQ(decoded({1, 2}, {0.9F, 0.8F}, 1e30F).size(), 2u);
  EXPECT_EQ(decoded({1, 2}, {0.9F, 0.8F}, kInfinity).size(), 2u);
  EXPECT_EQ(decoded({1, 2}, {0.9F, 0.8F}, 0).size(), 0u);
  EXPECT_EQ(decoded({1, 2}, {0.9F, 0.8F}, -5).size(), 0u);
  EXPECT_EQ(decoded({1, 2}, {0.9F, 0.8F}, kNan).size(), 0u);
  EXPECT_EQ(decoded({}, {}, 10).size(), 0u);
}

TEST(SsdPostprocessed, ClassesAndScoresThatAreNoneAreLeftOut) {
  const auto found =
      decoded({kNan, -1, 1e30F, kInfinity, 5, 6, 7}, {0.9F, 0.9F, 0.9F, 0.9F, kNan, kInfinity, 0.9F}, 7);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].index, 7);
}

TEST(SsdPostprocessed, OutputsThatDoNotFitAreToldWithWhatWasSeen) {
  EXPECT_EQ(problem_of(make(), {{10, 4}, {10}, {10}, {}}), "");
  EXPECT_EQ(problem_of(make(), {{-1, 4}, {-1}, {-1}, {1}}), "");
  EXPECT_EQ(problem_of(make(), {{10, 3}, {10}, {10}, {}}),
            "its output 'a' [10, 3] holds no boxes: they must be [n, 4]");
  EXPECT_EQ(problem_of(make(), {{10, 4}, {9}, {10}, {}}),
            "its output 'b' [9] does not fit its output 'a' [10, 4]: it must be [n]");
  EXPECT_EQ(problem_of(make(), {{10, 4}, {10}, {10, 1}, {}}),
            "its output 'c' [10, 1] does not fit its output 'a' [10, 4]: it must be [n]");
  EXPECT_EQ(problem_of(make(), {{10, 4}, {10}, {10}, {2}}),
            "its output 'd' [2] must be one number, how many boxes there are");
  EXPECT_EQ(problem_of(make(3), {{10, 4}, {10}, {10}, {}}, {"labels.txt", 2}),
            "[detect] first_class is 3, and labels.txt has 2 labels");
}

}  // namespace
}  // namespace vaccel::runtime
