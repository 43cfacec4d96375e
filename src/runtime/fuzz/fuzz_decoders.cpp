// SPDX-License-Identifier: Apache-2.0
//
// Feeds arbitrary shapes and values to the decoders of a model's outputs. What a decoder accepts it must decode without
// leaving its outputs, and with finite results.
//
// An input is: the decoder, five bytes of parameters, a byte for each dimension of each output, then floats until there are
// no more, after which they repeat.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "runtime/vision/class_map.h"
#include "runtime/vision/class_scores.h"
#include "runtime/vision/depth_map.h"
#include "runtime/vision/detections.h"
#include "runtime/vision/poses.h"
#include "runtime/vision/segmentation.h"

namespace vaccel::runtime {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  // Everything that is left.
  [[nodiscard]] std::vector<float> floats() const {
    std::vector<float> values((size_ - at_) / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), data_ + at_, values.size() * sizeof(float));
    if (values.empty()) values.push_back(0.5F);
    return values;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

// The outputs, each in memory of exactly its size.
class Outputs {
 public:
  // Rank and dimensions come from the reader; small ones, since time goes with their product.
  Outputs(Reader& reader, size_t count) {
    for (size_t output = 0; output < count; ++output) {
      std::vector<int64_t>& shape = shapes_.emplace_back(reader.byte() % 4);
      for (int64_t& dimension : shape)
        dimension = reader.byte() % 24;
    }
    const std::vector<float> values = reader.floats();
    size_t next = 0;
    for (const std::vector<int64_t>& shape : shapes_) {
      size_t elements = 1;
      for (const int64_t dimension : shape)
        elements *= static_cast<size_t>(dimension);
      std::vector<float>& memory = memory_.emplace_back(elements);
      memory.shrink_to_fit();
      for (float& value : memory)
        value = values[next++ % values.size()];
      views_.push_back({{"output", shape, false}, memory});
    }
  }
  [[nodiscard]] std::span<const OutputView> views() const { return views_; }
  [[nodiscard]] bool accepted_by(const OutputDecoder& decoder) const {
    std::vector<OutputShape> shapes;
    for (const OutputView& view : views_)
      shapes.push_back(view.shape);
    return decoder.check(shapes, {}).ok();
  }

 private:
  std::deque<std::vector<int64_t>> shapes_;
  std::deque<std::vector<float>> memory_;
  std::vector<OutputView> views_;
};

struct Parameters {
  ImageInput input;
  ImageMapping mapping;
  Activation activation;
  Layout layout;
  uint8_t more;
};

Parameters read_parameters(Reader& reader) {
  Parameters parameters;
  parameters.input.width = 1 + reader.byte() % 40;
  parameters.input.height = 1 + reader.byte() % 40;
  const uint8_t modes = reader.byte();
  parameters.input.resize = static_cast<ResizeMode>(modes % 3);
  parameters.activation = static_cast<Activation>(modes / 3 % 3);
  parameters.layout = static_cast<Layout>(modes / 9 % 2);
  const uint8_t size = reader.byte();
  parameters.mapping = map_image(1 + size % 16, 1 + size / 16, parameters.input);
  parameters.more = reader.byte();
  return parameters;
}

void detect(Reader& reader, const Parameters& parameters, DetectOutput detect) {
  detect.first_class = parameters.more / 16 % 3;
  const auto decoder = make_detect_decoder(detect, parameters.input);
  const Outputs outputs(reader, decoder->outputs().size());
  if (!outputs.accepted_by(*decoder)) return;
  std::vector<Detection> found;
  decoder->decode(outputs.views(), 0.25F, found);
  for (const Detection& one :
       choose_detections(found, {0.5F, (parameters.more & 1) != 0, 20}, parameters.mapping)) {
    require(one.score >= 0.25F && std::isfinite(one.score) && one.index >= 0);
    require(one.left >= 0 && one.left < one.right &&
            one.right <= static_cast<float>(parameters.mapping.image_width));
    require(one.top >= 0 && one.top < one.bottom &&
            one.bottom <= static_cast<float>(parameters.mapping.image_height));
  }
}

SsdOutput ssd_of(const Parameters& parameters) {
  SsdOutput ssd;
  ssd.activation = parameters.activation;
  ssd.corners_begin_with_x = (parameters.more & 2) != 0;
  ssd.in_pixels = (parameters.more & 4) != 0;
  if ((parameters.more & 8) == 0) return ssd;
  ssd.anchors.emplace();
  ssd.anchors->maps = {2, 1};
  ssd.anchors->smallest = 0.2F;
  ssd.anchors->largest = 0.9F;
  ssd.anchors->aspect_ratios = {1, 2};
  ssd.anchors->scale = {10, 10, 5, 5};
  return ssd;
}

YoloOutput yolo_of(const Parameters& parameters) {
  YoloOutput yolo;
  yolo.in_columns = (parameters.more & 2) != 0;
  yolo.in_pixels = (parameters.more & 4) != 0;
  yolo.objectness = (parameters.more & 8) != 0;
  yolo.activation = parameters.activation;
  return yolo;
}

void classify(Reader& reader, const Parameters& parameters) {
  const ClassScoresDecoder decoder({"output", parameters.activation});
  const Outputs outputs(reader, 1);
  if (!outputs.accepted_by(decoder)) return;
  const auto classes = decoder.decode(outputs.views(), parameters.more);
  require(classes.size() <= parameters.more);
}

void segment(Reader& reader, const Parameters& parameters) {
  const SegmentDecoder decoder({"output", parameters.layout});
  const Outputs outputs(reader, 1);
  if (!outputs.accepted_by(decoder)) return;
  const ChannelMap scores = decoder.scores(outputs.views());
  std::vector<uint8_t> own(scores.width * scores.height);
  classes_of_model(scores, own.data());
  std::vector<uint8_t> classes(size_t{parameters.mapping.image_width} * parameters.mapping.image_height);
  classes_of_image(scores, own.data(), parameters.mapping, classes.data());
  for (const std::vector<uint8_t>* map : {&own, &classes}) {
    for (const uint8_t one : *map)
      require(one < scores.channels);
  }
}

void class_map(Reader& reader, const Parameters& parameters) {
  const ClassMapDecoder decoder({"output", size_t{1} + parameters.more});
  const Outputs outputs(reader, 1);
  if (!outputs.accepted_by(decoder)) return;
  const ChannelMap map = decoder.map(outputs.views());
  const size_t count = decoder.classes(0);
  std::vector<uint8_t> own(map.width * map.height);
  if (!classes_of_map(map, count, own.data()).ok()) return;
  std::vector<uint8_t> classes(size_t{parameters.mapping.image_width} * parameters.mapping.image_height);
  nearest_classes(map, own.data(), parameters.mapping, classes.data());
  for (const uint8_t one : classes)
    require(one < count);
}

void pose(Reader& reader, const Parameters& parameters) {
  PoseOutput output;
  output.layout = parameters.layout;
  output.activation =
      parameters.activation == Activation::kSoftmax ? Activation::kNone : parameters.activation;
  output.keypoints = {"head", "hand", "foot"};
  if ((parameters.more & 1) != 0) {
    output.forward = "forward";
    output.backward = "backward";
    output.skeleton = {{1, 0}, {0, 2}};
  }
  const PoseDecoder decoder(output, parameters.input);
  const Outputs outputs(reader, decoder.outputs().size());
  if (!outputs.accepted_by(decoder)) return;
  std::vector<Pose> poses = decoder.decode(outputs.views(), 0.1F, 10);
  require(poses.size() <= 10);
  for (const Pose& one : poses) {
    require(one.score >= 0.1F && one.score <= 1 && one.keypoints.size() == 3);
    for (const Keypoint& keypoint : one.keypoints)
      require(std::isfinite(keypoint.x) && std::isfinite(keypoint.y) && keypoint.score >= 0 &&
              keypoint.score <= 1);
  }
  to_image(poses, parameters.mapping);
}

void depth(Reader& reader, const Parameters& parameters) {
  const DepthDecoder decoder({"output", DepthKind::kRelative});
  const Outputs outputs(reader, 1);
  if (!outputs.accepted_by(decoder)) return;
  std::vector<float> map(size_t{parameters.mapping.image_width} * parameters.mapping.image_height);
  depth_of_image(decoder.map(outputs.views()), parameters.mapping, map.data());
}

}  // namespace
}  // namespace vaccel::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::runtime;
  Reader reader(data, size);
  const uint8_t decoder = reader.byte() % 8;
  const Parameters parameters = read_parameters(reader);
  if (decoder == 0) classify(reader, parameters);
  if (decoder == 1) detect(reader, parameters, {.decoder = ssd_of(parameters)});
  if (decoder == 2) detect(reader, parameters, {.decoder = SsdPostprocessedOutput{}});
  if (decoder == 3) detect(reader, parameters, {.decoder = yolo_of(parameters)});
  if (decoder == 4) segment(reader, parameters);
  if (decoder == 5) pose(reader, parameters);
  if (decoder == 6) depth(reader, parameters);
  if (decoder == 7) class_map(reader, parameters);
  return 0;
}
