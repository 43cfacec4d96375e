// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_description.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace vaccel::runtime {
namespace {

// A model.toml of that task, whose own tables begin in line 13.
std::string toml_of(const std::string& task, const std::string& tables) {
  return "name = \"m\"\ntask = \"" + task + "\"\n[model]\nfile = \"f\"\nformat = \"onnx\"\nsha256 = \"" +
         std::string(64, '0') +
         "\"\n[image]\ninput = \"x\"\nwidth = 8\nheight = 8\nlayout = \"nchw\"\nmean = [0, 0, 0]\nscale = "
         "[1, 1, 1]\n" +
         tables;
}

ModelDescription read(const std::string& task, const std::string& tables) {
  ModelDescription model;
  const Status status = parse_description(toml_of(task, tables), "m", model);
  EXPECT_TRUE(status.ok()) << status.message();
  return model;
}

std::string mistake(const std::string& task, const std::string& tables) {
  ModelDescription model;
  const Status status = parse_description(toml_of(task, tables), "m", model);
  if (status.ok()) return "";
  EXPECT_EQ(status.code(), VACCEL_INVALID_ARGUMENT);
  return status.message();
}

constexpr const char* kSsd = "[detect]\ndecoder = \"ssd\"\nboxes = \"b\"\nscores = \"s\"\n";
constexpr const char* kPose =
    "[pose]\ndecoder = \"posenet\"\nheatmaps = \"h\"\noffsets = \"o\"\nlayout = \"nhwc\"\n"
    "keypoints = [\"head\", \"hand\", \"foot\"]\n";

TEST(ModelDescription, EveryTaskHasItsName) {
  for (const char* task : {"classify", "detect", "segment", "pose", "depth", "infer"}) {
    ModelDescription model;
    (void)parse_description(toml_of(task, ""), "m", model);
    EXPECT_STREQ(task_name(model.task), task);
  }
}

TEST(ModelDescription, ReadsClassify) {
  const auto model =
      read("classify", "[classify]\noutput = \"y\"\nactivation = \"sigmoid\"\nlabels = \"l.txt\"\n");
  ASSERT_TRUE(model.classify);
  EXPECT_EQ(model.classify->output, "y");
  EXPECT_EQ(model.classify->activation, Activation::kSigmoid);
  EXPECT_EQ(model.labels.file, "l.txt");
  EXPECT_EQ(read("classify", "[classify]\noutput = \"y\"\n").classify->activation, Activation::kNone);
}

TEST(ModelDescription, ReadsAnSsdWithAnchors) {
  const auto model =
      read("detect", std::string(kSsd) +
                         "activation = \"softmax\"\nfirst_class = 1\nmin_score = 0.25\niou = 0.6\n"
                         "overlap = \"any\"\nlabels = \"labels.txt\"\nlabels_sha256 = \"" +
                         std::string(64, 'A') +
                         "\"\n[detect.anchors]\nmaps = [4, 2]\nsmallest = 0.1\nlargest = 0.8\n"
                         "aspect_ratios = [1, 0.5]\nbetween = false\nfewer_in_first = false\n"
                         "scale = [1, 2, 3, 4]\n");
  ASSERT_TRUE(model.detect);
  EXPECT_EQ(model.detect->first_class, 1);
  EXPECT_FLOAT_EQ(model.detect->min_score, 0.25F);
  EXPECT_FLOAT_EQ(model.detect->iou, 0.6F);
  EXPECT_TRUE(model.detect->across_classes);
  EXPECT_EQ(model.labels.file, "labels.txt");
  EXPECT_EQ(model.labels.sha256, std::string(64, 'a'));
  const auto* ssd = std::get_if<SsdOutput>(&model.detect->decoder);
  ASSERT_NE(ssd, nullptr);
  EXPECT_EQ(ssd->boxes, "b");
  EXPECT_EQ(ssd->scores, "s");
  EXPECT_EQ(ssd->activation, Activation::kSoftmax);
  ASSERT_TRUE(ssd->anchors);
  EXPECT_EQ(ssd->anchors->maps, (std::vector<uint32_t>{4, 2}));
  EXPECT_FLOAT_EQ(ssd->anchors->smallest, 0.1F);
  EXPECT_FLOAT_EQ(ssd->anchors->largest, 0.8F);
  EXPECT_EQ(ssd->anchors->aspect_ratios, (std::vector<float>{1, 0.5F}));
  EXPECT_FALSE(ssd->anchors->between);
  EXPECT_FALSE(ssd->anchors->fewer_in_first);
  EXPECT_EQ(ssd->anchors->scale, (std::array<float, 4>{1, 2, 3, 4}));
}

TEST(ModelDescription, ReadsAnSsdWithCorners) {
  const auto model = read("detect", std::string(kSsd) + "corners = \"xyxy\"\nunit = \"pixel\"\n");
  const auto& ssd = std::get<SsdOutput>(model.detect->decoder);
  EXPECT_FALSE(ssd.anchors);
  EXPECT_TRUE(ssd.corners_begin_with_x);
  EXPECT_TRUE(ssd.in_pixels);
  EXPECT_FLOAT_EQ(model.detect->min_score, 0.5F);
  EXPECT_FLOAT_EQ(model.detect->iou, 0.5F);
  EXPECT_FALSE(model.detect->across_classes);
  EXPECT_EQ(mistake("detect", std::string(kSsd) +
                                  "corners = \"xyxy\"\n[detect.anchors]\nmaps = [1]\naspect_ratios = [1]\n"),
            "model.toml:18:1: unknown key 'corners' in [detect]");
}

TEST(ModelDescription, ReadsTheOtherDetectors) {
  const auto processed = read("detect",
                              "[detect]\ndecoder = \"ssd-postprocessed\"\nboxes = \"b\"\nclasses = \"c\"\n"
                              "scores = \"s\"\ncount = \"n\"\nfirst_class = 1\n");
  const auto* list = std::get_if<SsdPostprocessedOutput>(&processed.detect->decoder);
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->boxes + list->classes + list->scores + list->count, "bcsn");
  const auto model =
      read("detect",
           "[detect]\ndecoder = \"yolo\"\noutput = \"o\"\nplaces = \"columns\"\nobjectness = true\n"
           "unit = \"part\"\nactivation = \"sigmoid\"\n");
  const auto* yolo = std::get_if<YoloOutput>(&model.detect->decoder);
  ASSERT_NE(yolo, nullptr);
  EXPECT_EQ(yolo->output, "o");
  EXPECT_TRUE(yolo->in_columns);
  EXPECT_TRUE(yolo->objectness);
  EXPECT_FALSE(yolo->in_pixels);
  EXPECT_EQ(yolo->activation, Activation::kSigmoid);
}

TEST(ModelDescription, ReadsSegmentPoseAndDepth) {
  const auto segment =
      read("segment", "[segment]\ndecoder = \"argmax\"\noutput = \"o\"\nlayout = \"nhwc\"\nlabels = \"l\"\n");
  ASSERT_TRUE(std::holds_alternative<SegmentScores>(*segment.segment));
  EXPECT_EQ(std::get<SegmentScores>(*segment.segment).output, "o");
  EXPECT_EQ(std::get<SegmentScores>(*segment.segment).layout, Layout::kNhwc);
  const auto classes = read("segment", "[segment]\ndecoder = \"classes\"\noutput = \"o\"\nclasses = 21\n");
  ASSERT_TRUE(std::holds_alternative<SegmentClasses>(*classes.segment));
  EXPECT_EQ(std::get<SegmentClasses>(*classes.segment).output, "o");
  EXPECT_EQ(std::get<SegmentClasses>(*classes.segment).classes, 21u);
  EXPECT_EQ(segment.labels.file, "l");
  const auto one = read("pose", kPose);
  EXPECT_EQ(one.pose->activation, Activation::kSigmoid);
  EXPECT_FLOAT_EQ(one.pose->min_score, 0.25F);
  EXPECT_TRUE(one.pose->skeleton.empty());
  const auto several =
      read("pose", std::string(kPose) +
                       "forward = \"f\"\nbackward = \"b\"\nactivation = \"none\"\nmin_score = 1\n"
                       "skeleton = [[\"hand\", \"head\"], [\"head\", \"foot\"]]\n");
  EXPECT_EQ(several.pose->forward + several.pose->backward, "fb");
  EXPECT_EQ(several.pose->skeleton, (std::vector<std::pair<size_t, size_t>>{{1, 0}, {0, 2}}));
  const auto depth = read("depth", "[depth]\noutput = \"o\"\nkind = \"inverse\"\n");
  EXPECT_EQ(depth.depth->kind, DepthKind::kInverse);
  EXPECT_STREQ(depth_kind_name(depth.depth->kind), "inverse");
}

TEST(ModelDescription, ReadsBatching) {
  const std::string classify = "[classify]\noutput = \"y\"\n";
  const BatchingSettings usual = read("classify", classify).batching;
  EXPECT_FALSE(usual.enabled);
  EXPECT_TRUE(usual.tuned);
  EXPECT_EQ(read("classify", classify + "[batching]\n").batching.max_size, usual.max_size);
  const BatchingSettings given =
      read("classify",
           classify +
               "[batching]\nenabled = true\nmax_size = 4096\nmax_delay_us = 1000000\ntuned = false\n"
               "runs = 64\n")
          .batching;
  EXPECT_EQ(given.enabled, true);
  EXPECT_EQ(given.max_size, 4096u);
  EXPECT_EQ(given.max_delay_us, 1'000'000u);
  EXPECT_FALSE(given.tuned);
  EXPECT_EQ(given.runs, 64u);
  EXPECT_EQ(
      read("classify", classify + "[batching]\nmax_size = 1\nmax_delay_us = 0\nruns = 1\n").batching.max_size,
      1u);
}

TEST(ModelDescription, MistakesInBatchingAreToldWithTheirPlace) {
  const auto place = [](const char* line) {
    const std::string words =
        mistake("classify", std::string("[classify]\noutput = \"y\"\n[batching]\n") + line + "\n");
    return words.substr(0, words.find(": "));
  };
  EXPECT_EQ(place("max_size = 0"), "model.toml:17:12");
  EXPECT_EQ(place("max_size = 4097"), "model.toml:17:12");
  EXPECT_EQ(place("max_delay_us = -1"), "model.toml:17:16");
  EXPECT_EQ(place("max_delay_us = 1000001"), "model.toml:17:16");
  EXPECT_EQ(place("runs = 0"), "model.toml:17:8");
  EXPECT_EQ(place("runs = 65"), "model.toml:17:8");
  EXPECT_EQ(place("tuned = 1"), "model.toml:17:9");
  EXPECT_EQ(place("enabled = \"yes\""), "model.toml:17:11");
  EXPECT_EQ(place("size = 4"), "model.toml:17:1");
}

TEST(ModelDescription, TablesGoWithTheirTask) {
  EXPECT_EQ(mistake("depth", ""), "model.toml:1:1: table [depth] is missing: task \"depth\" needs it");
  EXPECT_EQ(mistake("depth", "[depth]\noutput = \"o\"\nkind = \"metric\"\n[pose]\n"),
            "model.toml:17:1: table [pose] does not go with task \"depth\"");
  EXPECT_EQ(
      mistake("dance", "[depth]\noutput = \"o\"\nkind = \"metric\"\n"),
      "model.toml:2:8: 'task' is \"dance\"; it must be \"classify\", \"detect\", \"segment\", \"pose\", "
      "\"depth\" or \"infer\"");
}

TEST(ModelDescription, MistakesInDetectAreToldWithTheirPlace) {
  EXPECT_EQ(mistake("detect", "[detect]\nboxes = \"b\"\n"),
            "model.toml:14:1: key 'decoder' is missing in [detect]");
  EXPECT_EQ(mistake("detect", "[detect]\ndecoder = \"rcnn\"\n"),
            "model.toml:15:11: 'decoder' is \"rcnn\"; it must be \"ssd\", \"ssd-postprocessed\" or \"yolo\"");
  EXPECT_EQ(mistake("detect", std::string(kSsd) + "min_score = 2\n"),
            "model.toml:18:13: 'min_score' is 2; it must be 0 to 1");
  EXPECT_EQ(mistake("detect", std::string(kSsd) + "places = \"rows\"\n"),
            "model.toml:18:1: unknown key 'places' in [detect]");
  EXPECT_EQ(
      mistake("detect",
              "[detect]\ndecoder = \"yolo\"\noutput = \"o\"\nplaces = \"rows\"\nobjectness = true\n"
              "activation = \"softmax\"\n"),
      "model.toml:19:14: 'activation' is \"softmax\"; with decoder \"yolo\" it must be none or sigmoid");
  const auto anchors = [](const std::string& keys) {
    return mistake("detect", std::string(kSsd) + "[detect.anchors]\n" + keys);
  };
  EXPECT_EQ(anchors("maps = [2]\naspect_ratios = [1]\n"), "");
  EXPECT_EQ(anchors("aspect_ratios = [1]\n"), "model.toml:18:1: key 'maps' is missing in [detect.anchors]");
  EXPECT_EQ(
      anchors("maps = [2.5]\naspect_ratios = [1]\n"),
      "model.toml:19:8: 'maps' must hold whole numbers from 1 to 1024, the cells on a side of each map");
  EXPECT_EQ(anchors("maps = [2]\naspect_ratios = [1, 0]\n"),
            "model.toml:20:17: 'aspect_ratios' must hold numbers above 0 only");
  EXPECT_EQ(anchors("maps = [1024, 1024]\naspect_ratios = [1, 2, 3]\n"),
            "model.toml:19:8: 'maps' and 'aspect_ratios' make 8388608 boxes; at most 1048576 are supported");
  EXPECT_EQ(anchors("maps = [2]\naspect_ratios = [1]\nscale = [1, 1, 0, 1]\n"),
            "model.toml:21:9: 'scale' must hold numbers above 0: it divides boxes");
  EXPECT_EQ(anchors("maps = []\naspect_ratios = [1]\n"),
            "model.toml:19:8: 'maps' must be an array of 1 to 64 numbers, not of 0");
}

TEST(ModelDescription, MistakesInPoseAreToldWithTheirPlace) {
  const auto pose = [](const std::string& keys) { return mistake("pose", kPose + keys); };
  EXPECT_EQ(pose("forward = \"f\"\n"),
            "model.toml:20:11: 'forward' and 'backward' go together: without both, one pose is found");
  EXPECT_EQ(pose("forward = \"f\"\nbackward = \"b\"\n"),
            "model.toml:14:1: key 'skeleton' is missing in [pose]");
  EXPECT_EQ(pose("skeleton = [[\"head\", \"tail\"]]\n"),
            "model.toml:20:12: 'skeleton' names \"tail\", which is none of 'keypoints'");
  EXPECT_EQ(pose("skeleton = [[\"head\", \"hand\"]]\n"),
            "model.toml:20:12: 'skeleton' has 1 edges; a tree of 3 keypoints has 2");
  EXPECT_EQ(pose("skeleton = [[\"head\", \"hand\"], [\"hand\", \"head\"]]\n"),
            "model.toml:20:12: 'skeleton' is no tree that is written from its root on: [\"hand\", \"head\"] "
            "must lead "
            "from what was reached to what was not");
  EXPECT_EQ(pose("skeleton = [[\"head\"]]\n"),
            "model.toml:20:13: 'skeleton' must hold pairs of strings only");
  EXPECT_EQ(pose("skeleton = 5\n"),
            "model.toml:20:12: 'skeleton' must be an array of pairs of strings, not an integer");
  EXPECT_EQ(
      pose("activation = \"softmax\"\n"),
      "model.toml:20:14: 'activation' is \"softmax\"; with decoder \"posenet\" it must be none or sigmoid");
  EXPECT_EQ(mistake("pose",
                    "[pose]\ndecoder = \"posenet\"\nheatmaps = \"h\"\noffsets = \"o\"\nlayout = \"nhwc\"\n"
                    "keypoints = []\n"),
            "model.toml:19:13: 'keypoints' has 0 names; it must have 1 to 1024");
}

TEST(ModelDescription, MistakesInSegmentAndDepthAreToldWithTheirPlace) {
  EXPECT_EQ(mistake("segment", "[segment]\ndecoder = \"argmax\"\noutput = \"o\"\n"),
            "model.toml:14:1: key 'layout' is missing in [segment]");
  EXPECT_EQ(
      mistake("segment", "[segment]\ndecoder = \"classes\"\noutput = \"o\"\n"),
      "model.toml:14:1: 'classes', how many there are, is missing in [segment], and no 'labels' say it");
  EXPECT_EQ(mistake("segment", "[segment]\ndecoder = \"classes\"\noutput = \"o\"\nlabels = \"l\"\n"), "");
  EXPECT_EQ(mistake("segment", "[segment]\ndecoder = \"classes\"\noutput = \"o\"\nclasses = 65537\n"),
            "model.toml:17:11: 'classes' is 65537; it must be 1 to 65536");
  EXPECT_EQ(mistake("segment",
                    "[segment]\ndecoder = \"classes\"\noutput = \"o\"\nlabels = \"l\"\nlayout = \"nhwc\"\n"),
            "model.toml:18:1: unknown key 'layout' in [segment]");
  EXPECT_EQ(
      mistake("segment",
              "[segment]\ndecoder = \"argmax\"\noutput = \"o\"\nlayout = \"nhwc\"\nlabels = \"../l\"\n"),
      "model.toml:18:10: 'labels' is \"../l\"; it must name a file in the model's own folder");
  EXPECT_EQ(mistake("depth", "[depth]\noutput = \"o\"\nkind = \"far\"\n"),
            "model.toml:16:8: 'kind' is \"far\"; it must be \"metric\", \"relative\" or \"inverse\"");
  EXPECT_EQ(mistake("depth", "[depth]\noutput = \"o\"\nkind = \"metric\"\nlabels = \"l\"\n"),
            "model.toml:17:1: unknown key 'labels' in [depth]");
}

// The ```toml blocks of docs/operations.md that are about models: one whole, the others a task's table.
TEST(ModelDescription, TheDocumentationsExamplesAreRight) {
  std::ifstream file(std::string(VACCEL_SOURCE_DIR) + "/docs/operations.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::regex fence("```toml\n([^`]*)```");
  std::multiset<std::string> seen;
  for (auto match = std::sregex_iterator(text.begin(), text.end(), fence); match != std::sregex_iterator();
       ++match) {
    std::string block = std::regex_replace((*match)[1].str(), std::regex("\"\\.\\.\\.\""),
                                           "\"" + std::string(64, '0') + "\"");
    ModelDescription model;
    if (block.starts_with("name = ")) {
      const Status status = parse_description(block, "mobilenet", model);
      EXPECT_TRUE(status.ok()) << status.message();
      seen.insert("classify");
    }
    std::smatch found;
    if (!std::regex_search(block, found, std::regex("^\\[(detect|segment|pose|depth)\\]"))) continue;
    const std::string task = found[1];
    // Two keys go without [detect.anchors] only, as is said there.
    if (block.find("[detect.anchors]") != std::string::npos)
      block = std::regex_replace(block, std::regex("(corners|unit) = .*\n"), "");
    EXPECT_EQ(mistake(task, block), "") << block;
    seen.insert(task);
  }
  EXPECT_EQ(seen, (std::multiset<std::string>{"classify", "depth", "detect", "detect", "detect", "pose",
                                              "segment", "segment"}));
}

}  // namespace
}  // namespace vaccel::runtime
