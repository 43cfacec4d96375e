// SPDX-License-Identifier: Apache-2.0
//
// What a model.toml says: which file the model is in, how a picture becomes its input, and how its outputs become an
// operator's results. Values only, checked as far as they can be without the model itself.
//
// Outputs are decoded by named parts ("ssd", "yolo", "posenet", ...) that a model.toml chooses and describes; no model is
// known by its name.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/status.h"
#include "runtime/batching_settings.h"
#include "runtime/tensor_declaration.h"

namespace vaccel::runtime {

enum class Task { kClassify, kDetect, kSegment, kPose, kDepth, kInfer };
enum class Layout { kNchw, kNhwc };
enum class Colour { kRgb, kBgr };
enum class ResizeMode { kStretch, kCrop, kLetterbox };
enum class Activation { kNone, kSoftmax, kSigmoid };

/// "classify", "detect", "segment", "pose", "depth", "infer".
const char* task_name(Task task);

/// [image]: how a picture becomes the input tensor.
struct ImageInput {
  std::string input;  ///< Name of the model's input.
  uint32_t width = 0;
  uint32_t height = 0;
  Layout layout = Layout::kNchw;
  Colour colour = Colour::kRgb;
  ResizeMode resize = ResizeMode::kStretch;
  std::array<float, 3> mean{};  ///< (x - mean) / scale per channel, in the order of `colour`; x is 0..255.
  std::array<float, 3> scale{};
};

/// A file with a label a line, line i for class i.
struct LabelFile {
  std::string file;    ///< Within the model's folder; "": none.
  std::string sha256;  ///< 64 hexadecimal digits; "": not checked.
};

/// [classify]: how the output tensor becomes classes.
struct ClassifyOutput {
  std::string output;  ///< Name of the model's output with a score per class.
  Activation activation = Activation::kNone;
};

/// [detect.anchors]: the boxes that an SSD's outputs are relative to. Each feature map is a grid over the picture, with
/// boxes of several shapes around the centre of every cell.
struct SsdAnchors {
  std::vector<uint32_t> maps;        ///< Cells on a side of each map, in the order of the output's boxes.
  float smallest = 0;                ///< Size of a box in the first map, in parts of the picture.
  float largest = 0;                 ///< In the last one; those between are evenly spaced.
  std::vector<float> aspect_ratios;  ///< Width over height of the boxes in a cell.
  bool between = true;  ///< One more square box in a cell, between this map's size and the next one's.
  bool fewer_in_first =
      true;  ///< The first map's cells: a square of 0.1 and the first ratios but 1, to three.
  std::array<float, 4> scale{1, 1, 1, 1};  ///< What the output's y, x, height and width are divided by.
};

/// decoder = "ssd": boxes and scores for each of many places, to be thinned out.
struct SsdOutput {
  std::string boxes;   ///< [places, 4]: relative to anchors (y, x, height, width), else corners.
  std::string scores;  ///< [places, classes]
  bool corners_begin_with_x = false;  ///< Corners are x, y, x, y; else y, x, y, x.
  bool in_pixels = false;             ///< Corners are in pixels of the input; else in parts of it.
  Activation activation = Activation::kNone;
  std::optional<SsdAnchors> anchors;
};

/// decoder = "ssd-postprocessed": what TFLite_Detection_PostProcess leaves, a short list.
struct SsdPostprocessedOutput {
  std::string boxes;    ///< [n, 4]: y, x, y, x, in parts of the input.
  std::string classes;  ///< [n]
  std::string scores;   ///< [n]
  std::string count;    ///< One number: how many of the n count.
};

/// decoder = "yolo": one output, for each place the centre, the size, perhaps whether anything is there, and a score per
/// class.
struct YoloOutput {
  std::string output;
  bool in_columns = false;  ///< [4 + classes, places] as from version 8 on; else [places, 4 + ...].
  bool objectness = false;  ///< A fifth value, by which the classes' scores are multiplied.
  bool in_pixels = true;    ///< Of the input; else in parts of it.
  Activation activation = Activation::kNone;
};

/// [detect]
struct DetectOutput {
  std::variant<SsdOutput, SsdPostprocessedOutput, YoloOutput> decoder;
  int32_t first_class =
      0;  ///< Index of the first class that is something; those before it are the background.
  float min_score = 0;
  float iou = 0;                ///< Of two boxes that overlap more than this the lesser goes.
  bool across_classes = false;  ///< Whatever their classes; else only of one class.
};

/// decoder = "argmax"
struct SegmentScores {
  std::string output;  ///< A score for each class and place.
  Layout layout = Layout::kNchw;
};

/// decoder = "classes"
struct SegmentClasses {
  std::string output;  ///< The number of a class for each place.
  size_t classes = 0;  ///< How many there are; 0: as many as labels.
};

/// [segment]
using SegmentOutput = std::variant<SegmentScores, SegmentClasses>;

/// [pose]: decoder = "posenet".
struct PoseOutput {
  std::string heatmaps;  ///< For each place and keypoint, how likely it is there.
  std::string offsets;   ///< From a place to the keypoint, in pixels of the input: all y, then all x.
  std::string
      forward;  ///< From each edge's first keypoint to its second one, likewise; "": one pose is found.
  std::string backward;  ///< And the other way.
  Layout layout = Layout::kNchw;
  Activation activation = Activation::kNone;
  std::vector<std::string> keypoints;               ///< Their names.
  std::vector<std::pair<size_t, size_t>> skeleton;  ///< Edges, as indices of keypoints: a tree.
  float min_score = 0;
};

enum class DepthKind { kMetric, kRelative, kInverse };

/// "metric", "relative", "inverse".
const char* depth_kind_name(DepthKind kind);

/// [depth]
struct DepthOutput {
  std::string output;
  DepthKind kind = DepthKind::kRelative;
};

/// What model.toml says.
struct ModelDescription {
  std::string name;
  Task task = Task::kInfer;
  std::string description;
  std::string license;
  std::string version;
  std::string file;  ///< Within the model's folder.
  std::string format;
  std::string sha256;                 ///< 64 lower-case hexadecimal digits.
  std::vector<std::string> backends;  ///< In order of preference; empty: any.
  std::optional<ImageInput> image;    ///< Of every task but infer; so is the task's own table.
  LabelFile labels;
  std::optional<ClassifyOutput> classify;
  std::optional<DetectOutput> detect;
  std::optional<SegmentOutput> segment;
  std::optional<PoseOutput> pose;
  std::optional<DepthOutput> depth;
  std::vector<TensorDeclaration> inputs;  ///< [[inputs]] and [[outputs]]: of formats that do not tell them.
  std::vector<TensorDeclaration> outputs;
  BatchingSettings batching;  ///< [batching]
};

/// Reads the text of a model.toml of the model `name` into `model`. INVALID_ARGUMENT: the first mistake, with its place;
/// then `model` has what could be read.
Status parse_description(std::string_view text, const std::string& name, ModelDescription& model);

/// The same, of a file.
Status read_description(const std::filesystem::path& file, const std::string& name, ModelDescription& model);

}  // namespace vaccel::runtime
