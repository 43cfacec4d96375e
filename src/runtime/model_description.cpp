// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_description.h"

#include <algorithm>
#include <cstdio>

#include "runtime/toml_reader.h"

namespace vaccel::runtime {
namespace {

constexpr int64_t kMostSide = 8192;          // pixels of a model's input
constexpr uint64_t kMostAnchors = 1u << 20;  // of an SSD; they take 16 bytes each
constexpr double kMostCellsOnASide = 1024;
constexpr size_t kMostKeypoints = 1024;
constexpr int64_t kMostMapClasses = 65536;  // of a class map: they are numbered in 16 bits

constexpr std::array<const char*, 6> kTaskNames = {"classify", "detect", "segment", "pose", "depth", "infer"};
constexpr std::array<const char*, 3> kDepthKindNames = {"metric", "relative", "inverse"};

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char digit) {
           return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') ||
                  (digit >= 'A' && digit <= 'F');
         });
}

std::string lower_case(std::string text) {
  for (char& digit : text) {
    if (digit >= 'A' && digit <= 'F') digit = static_cast<char>(digit - 'A' + 'a');
  }
  return text;
}

std::string read_sha256(TomlTable& table, const char* key, bool required) {
  const auto value = table.string(key);
  if (!value && required) table.required<std::string>(key, std::nullopt);
  if (value && !is_sha256(*value)) {
    table.mistake(
        key, std::string("'") + key + "' must be 64 hexadecimal digits, not \"" + printable(*value) + "\"");
  }
  return lower_case(value.value_or(""));
}

// A file of the model's own folder: no way out of it, neither by "..", by "/" nor by a symbolic link (which
// read_own_file() in catalogue.cpp sees).
std::string read_file_name(TomlTable& table, const char* key, std::optional<std::string> value) {
  if (!value) return {};
  if (value->empty() || *value == "." || *value == ".." || value->find('/') != std::string::npos ||
      value->find('\0') != std::string::npos) {
    table.mistake(key, std::string("'") + key + "' is \"" + printable(*value) +
                           "\"; it must name a file in the model's own folder");
  }
  return *value;
}

std::string read_output_name(TomlTable& table, const char* key) {
  return table.required(key, table.string(key));
}

LabelFile read_label_file(TomlTable& table) {
  LabelFile labels;
  labels.file = read_file_name(table, "labels", table.string("labels"));
  labels.sha256 = read_sha256(table, "labels_sha256", false);
  return labels;
}

std::array<float, 3> read_channels(TomlTable& table, const char* key) {
  const auto values = table.required(key, table.numbers(key, 3));
  std::array<float, 3> channels{};
  for (size_t index = 0; index < values.size(); ++index)
    channels[index] = static_cast<float>(values[index]);
  return channels;
}

// A number within [least, most]; `otherwise` where there is none.
float read_number(TomlTable& table, const char* key, double least, double most, double otherwise) {
  const double value = table.number(key).value_or(otherwise);
  if (value < least || value > most) {
    char limits[64];
    std::snprintf(limits, sizeof limits, "%g to %g", least, most);
    char seen[32];
    std::snprintf(seen, sizeof seen, "%g", value);
    table.mistake(key, std::string("'") + key + "' is " + seen + "; it must be " + limits);
  }
  return static_cast<float>(value);
}

Layout read_layout(TomlTable& table) {
  return static_cast<Layout>(table.required("layout", table.choice("layout", {"nchw", "nhwc"})));
}

Activation read_activation(TomlTable& table, Activation otherwise) {
  const auto choice = table.choice("activation", {"none", "softmax", "sigmoid"});
  return choice ? static_cast<Activation>(*choice) : otherwise;
}

ImageInput read_image(TomlTable table) {
  ImageInput image;
  image.input = table.required("input", table.string("input"));
  image.width = static_cast<uint32_t>(table.required("width", table.integer("width", 1, kMostSide)));
  image.height = static_cast<uint32_t>(table.required("height", table.integer("height", 1, kMostSide)));
  image.layout = read_layout(table);
  image.colour = static_cast<Colour>(table.choice("colour", {"rgb", "bgr"}).value_or(0));
  image.resize =
      static_cast<ResizeMode>(table.choice("resize", {"stretch", "crop", "letterbox"}).value_or(0));
  (void)table.choice("filter", {"bilinear"});
  image.mean = read_channels(table, "mean");
  image.scale = read_channels(table, "scale");
  const bool zero =
      std::any_of(image.scale.begin(), image.scale.end(), [](float scale) { return scale == 0; });
  if (zero && table.has("scale")) table.mistake("scale", "'scale' must not hold 0: pixels are divided by it");
  return image;
}

ClassifyOutput read_classify(TomlTable& table) {
  ClassifyOutput classify;
  classify.output = read_output_name(table, "output");
  classify.activation = read_activation(table, Activation::kNone);
  return classify;
}

// The sides of an SSD's feature maps: whole numbers, and all in all not too many boxes.
std::vector<uint32_t> read_maps(TomlTable& table, const SsdAnchors& anchors) {
  std::vector<uint32_t> maps;
  uint64_t boxes = 0;
  for (const double side : table.required("maps", table.numbers("maps", 1, 64))) {
    if (!(side >= 1 && side <= kMostCellsOnASide) ||
        side != static_cast<double>(static_cast<uint32_t>(side))) {
      table.mistake("maps", "'maps' must hold whole numbers from 1 to 1024, the cells on a side of each map");
      return {};
    }
    maps.push_back(static_cast<uint32_t>(side));
    boxes += uint64_t{maps.back()} * maps.back() * (anchors.aspect_ratios.size() + 1);
  }
  if (boxes <= kMostAnchors) return maps;
  table.mistake("maps", "'maps' and 'aspect_ratios' make " + std::to_string(boxes) + " boxes; at most " +
                            std::to_string(kMostAnchors) + " are supported");
  return {};
}

SsdAnchors read_anchors(TomlTable table) {
  SsdAnchors anchors;
  for (const double ratio : table.required("aspect_ratios", table.numbers("aspect_ratios", 1, 64))) {
    if (!(ratio > 0)) table.mistake("aspect_ratios", "'aspect_ratios' must hold numbers above 0 only");
    anchors.aspect_ratios.push_back(static_cast<float>(ratio));
  }
  anchors.maps = read_maps(table, anchors);
  anchors.smallest = read_number(table, "smallest", 0.001, 10, 0.2);
  anchors.largest = read_number(table, "largest", 0.001, 10, 0.95);
  anchors.between = table.boolean("between").value_or(true);
  anchors.fewer_in_first = table.boolean("fewer_in_first").value_or(true);
  const auto scale = table.numbers("scale", 4).value_or(std::vector<double>{10, 10, 5, 5});
  for (size_t index = 0; index < scale.size(); ++index) {
    if (!(scale[index] > 0)) table.mistake("scale", "'scale' must hold numbers above 0: it divides boxes");
    anchors.scale[index] = static_cast<float>(scale[index]);
  }
  return anchors;
}

SsdOutput read_ssd(TomlTable& table) {
  SsdOutput ssd;
  ssd.boxes = read_output_name(table, "boxes");
  ssd.scores = read_output_name(table, "scores");
  ssd.activation = read_activation(table, Activation::kNone);
  if (auto anchors = table.table("anchors")) {
    ssd.anchors = read_anchors(*anchors);
  } else {
    ssd.corners_begin_with_x = table.choice("corners", {"yxyx", "xyxy"}).value_or(0) == 1;
    ssd.in_pixels = table.choice("unit", {"part", "pixel"}).value_or(0) == 1;
  }
  return ssd;
}

SsdPostprocessedOutput read_ssd_postprocessed(TomlTable& table) {
  SsdPostprocessedOutput ssd;
  ssd.boxes = read_output_name(table, "boxes");
  ssd.classes = read_output_name(table, "classes");
  ssd.scores = read_output_name(table, "scores");
  ssd.count = read_output_name(table, "count");
  return ssd;
}

YoloOutput read_yolo(TomlTable& table) {
  YoloOutput yolo;
  yolo.output = read_output_name(table, "output");
  yolo.in_columns = table.required("places", table.choice("places", {"rows", "columns"})) == 1;
  yolo.objectness = table.required("objectness", table.boolean("objectness"));
  yolo.in_pixels = table.choice("unit", {"part", "pixel"}).value_or(1) == 1;
  yolo.activation = read_activation(table, Activation::kNone);
  if (yolo.activation == Activation::kSoftmax) {
    table.mistake("activation",
                  "'activation' is \"softmax\"; with decoder \"yolo\" it must be none or sigmoid");
  }
  return yolo;
}

DetectOutput read_detect(TomlTable& table) {
  DetectOutput detect;
  const auto decoder = table.choice("decoder", {"ssd", "ssd-postprocessed", "yolo"});
  if (!decoder) {
    // Which keys are right depends on it, so none is called unknown.
    table.required("decoder", decoder);
    (void)table.options();
    return detect;
  }
  if (*decoder == 0) detect.decoder = read_ssd(table);
  if (*decoder == 1) detect.decoder = read_ssd_postprocessed(table);
  if (*decoder == 2) detect.decoder = read_yolo(table);
  constexpr int64_t kMostClasses = 1 << 20;
  detect.first_class = static_cast<int32_t>(table.integer("first_class", 0, kMostClasses).value_or(0));
  detect.min_score = read_number(table, "min_score", 0, 1, 0.5);
  detect.iou = read_number(table, "iou", 0, 1, 0.5);
  detect.across_classes = table.choice("overlap", {"class", "any"}).value_or(0) == 1;
  return detect;
}

SegmentOutput read_segment(TomlTable& table) {
  const size_t decoder = table.required("decoder", table.choice("decoder", {"argmax", "classes"}));
  if (decoder == 0) {
    SegmentScores scores;
    scores.output = read_output_name(table, "output");
    scores.layout = read_layout(table);
    return scores;
  }
  SegmentClasses map;
  map.output = read_output_name(table, "output");
  const auto classes = table.integer("classes", 1, kMostMapClasses);
  if (!table.has("classes") && !table.has("labels")) {
    table.mistake("classes",
                  "'classes', how many there are, is missing in [segment], and no 'labels' say it");
  }
  map.classes = static_cast<size_t>(classes.value_or(0));
  return map;
}

// Edges between keypoints, as pairs of their names: a tree, written from its root on, so that whoever follows the edges
// in their order (or backwards) always comes from where it has been.
std::vector<std::pair<size_t, size_t>> read_skeleton(TomlTable& table,
                                                     const std::vector<std::string>& keypoints) {
  std::vector<std::pair<size_t, size_t>> edges;
  std::vector<bool> reached(keypoints.size(), false);
  for (const auto& [from, to] : table.string_pairs("skeleton").value_or(std::vector<StringPair>{})) {
    size_t ends[2];
    for (size_t end = 0; end < 2; ++end) {
      const std::string& name = end == 0 ? from : to;
      ends[end] =
          static_cast<size_t>(std::find(keypoints.begin(), keypoints.end(), name) - keypoints.begin());
      if (ends[end] < keypoints.size()) continue;
      table.mistake("skeleton", "'skeleton' names \"" + printable(name) + "\", which is none of 'keypoints'");
      return {};
    }
    if (edges.empty()) reached[ends[0]] = true;
    if (!reached[ends[0]] || reached[ends[1]]) {
      table.mistake("skeleton", "'skeleton' is no tree that is written from its root on: [\"" +
                                    printable(from) + "\", \"" + printable(to) +
                                    "\"] must lead from what was reached to what was not");
      return {};
    }
    reached[ends[1]] = true;
    edges.emplace_back(ends[0], ends[1]);
  }
  if (!edges.empty() && edges.size() + 1 != keypoints.size()) {
    table.mistake("skeleton", "'skeleton' has " + std::to_string(edges.size()) + " edges; a tree of " +
                                  std::to_string(keypoints.size()) + " keypoints has " +
                                  std::to_string(keypoints.size() - 1));
  }
  return edges;
}

PoseOutput read_pose(TomlTable& table) {
  PoseOutput pose;
  table.required("decoder", table.choice("decoder", {"posenet"}));
  pose.heatmaps = read_output_name(table, "heatmaps");
  pose.offsets = read_output_name(table, "offsets");
  pose.layout = read_layout(table);
  pose.activation = read_activation(table, Activation::kSigmoid);
  if (pose.activation == Activation::kSoftmax) {
    table.mistake("activation",
                  "'activation' is \"softmax\"; with decoder \"posenet\" it must be none or sigmoid");
  }
  pose.min_score = read_number(table, "min_score", 0, 1, 0.25);
  pose.keypoints = table.required("keypoints", table.strings("keypoints"));
  if (table.has("keypoints") && (pose.keypoints.empty() || pose.keypoints.size() > kMostKeypoints)) {
    table.mistake("keypoints", "'keypoints' has " + std::to_string(pose.keypoints.size()) +
                                   " names; it must have 1 to " + std::to_string(kMostKeypoints));
    pose.keypoints.clear();
  }
  pose.forward = table.string("forward").value_or("");
  pose.backward = table.string("backward").value_or("");
  if (pose.forward.empty() != pose.backward.empty()) {
    table.mistake(pose.forward.empty() ? "backward" : "forward",
                  "'forward' and 'backward' go together: without both, one pose is found");
  }
  pose.skeleton = read_skeleton(table, pose.keypoints);
  if (!pose.forward.empty() && !pose.backward.empty())
    table.required("skeleton", table.string_pairs("skeleton"));
  return pose;
}

DepthOutput read_depth(TomlTable& table) {
  DepthOutput depth;
  depth.output = read_output_name(table, "output");
  const auto kind = table.choice("kind", {kDepthKindNames.begin(), kDepthKindNames.end()});
  depth.kind = static_cast<DepthKind>(table.required("kind", kind));
  return depth;
}

void read_model_table(TomlTable table, ModelDescription& model) {
  model.file = read_file_name(table, "file", table.required("file", table.string("file")));
  model.format = table.required("format", table.string("format"));
  model.sha256 = read_sha256(table, "sha256", true);
  model.backends = table.strings("backends").value_or(std::vector<std::string>{});
}

// The table that is called as the task is: how its outputs are decoded.
void read_task_table(TomlTable table, ModelDescription& model) {
  switch (model.task) {
    case Task::kClassify:
      model.classify = read_classify(table);
      break;
    case Task::kDetect:
      model.detect = read_detect(table);
      break;
    case Task::kSegment:
      model.segment = read_segment(table);
      break;
    case Task::kPose:
      model.pose = read_pose(table);
      return;
    case Task::kDepth:
      model.depth = read_depth(table);
      return;
    case Task::kInfer:
      return;
  }
  model.labels = read_label_file(table);
}

void read_task(TomlTable& root, ModelDescription& model) {
  const auto task = root.choice("task", {kTaskNames.begin(), kTaskNames.end()});
  root.required("task", task);
  for (size_t other = 0; other < kTaskNames.size(); ++other) {
    const char* name = kTaskNames[other];
    if (other == static_cast<size_t>(Task::kInfer) || !root.has(name)) continue;
    if (!task || other == *task) continue;
    root.skip(name);
    root.mistake(name,
                 std::string("table [") + name + "] does not go with task \"" + kTaskNames[*task] + "\"");
  }
  if (!task) {
    for (const char* name : kTaskNames)
      root.skip(name);  // which of them is right depends on it
    return;
  }
  model.task = static_cast<Task>(*task);
  if (model.task == Task::kInfer) return;
  const std::string name = task_name(model.task);
  for (const std::string& needed : {std::string("image"), name}) {
    if (root.has(needed)) continue;
    root.mistake(needed, "table [" + needed + "] is missing: task \"" + name + "\" needs it");
  }
  if (auto table = root.table(name)) read_task_table(*table, model);
}

Status read_document(TomlDocument& document, const std::string& expected_name, ModelDescription& model) {
  TomlTable root = document.root();
  // A model that somebody has brought is called as he said then.
  const bool any_name = expected_name.empty();
  const std::string name =
      any_name ? root.string("name").value_or("") : root.required("name", root.string("name"));
  if (!any_name && root.has("name") && name != expected_name) {
    root.mistake("name", "'name' is \"" + printable(name) + "\" and its folder is \"" + expected_name +
                             "\"; they must be the same");
  }
  model.description = root.string("description").value_or("");
  model.license = root.string("license").value_or("");
  model.version = root.string("version").value_or("");
  if (auto table = root.table("model")) {
    read_model_table(*table, model);
  } else if (!root.has("model")) {
    root.mistake("model", "table [model] is missing");
  }
  if (auto table = root.table("image")) model.image = read_image(*table);
  if (auto table = root.table("batching")) model.batching = read_batching(*table);
  read_task(root, model);
  model.inputs = read_tensor_declarations(root, "inputs");
  model.outputs = read_tensor_declarations(root, "outputs");
  return document.finish();
}

}  // namespace

const char* task_name(Task task) {
  return kTaskNames[static_cast<size_t>(task)];
}

const char* depth_kind_name(DepthKind kind) {
  return kDepthKindNames[static_cast<size_t>(kind)];
}

Status parse_description(std::string_view text, const std::string& name, ModelDescription& model) {
  auto document = TomlDocument::parse(text, "model.toml");
  if (!document) return document.error();
  return read_document(*document, name, model);
}

Status read_description(const std::filesystem::path& file, const std::string& name, ModelDescription& model) {
  auto document = TomlDocument::read(file, "model.toml");
  if (!document) return document.error();
  return read_document(*document, name, model);
}

}  // namespace vaccel::runtime
