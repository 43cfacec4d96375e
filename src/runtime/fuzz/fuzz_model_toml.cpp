// SPDX-License-Identifier: Apache-2.0
//
// Feeds arbitrary text to the reader of model.toml. What it accepts must keep what the header promises, since decoders
// are made from it and index by it.
#include <cstdlib>

#include "runtime/model_description.h"
#include "runtime/vision/detect_ssd.h"

namespace vaccel::runtime {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_pose(const PoseOutput& pose) {
  require(!pose.keypoints.empty());
  require(pose.skeleton.empty() || pose.skeleton.size() + 1 == pose.keypoints.size());
  for (const auto& [from, to] : pose.skeleton)
    require(from < pose.keypoints.size() && to < pose.keypoints.size() && from != to);
  require(pose.forward.empty() == pose.backward.empty());
  require(pose.forward.empty() || pose.keypoints.size() == pose.skeleton.size() + 1 || pose.skeleton.empty());
}

void check_detect(const DetectOutput& detect) {
  require(detect.first_class >= 0);
  require(detect.iou >= 0 && detect.iou <= 1 && detect.min_score >= 0 && detect.min_score <= 1);
  const auto* ssd = std::get_if<SsdOutput>(&detect.decoder);
  if (ssd == nullptr || !ssd->anchors) return;
  for (const float scale : ssd->anchors->scale)
    require(scale > 0);
  require(make_anchors(*ssd->anchors).size() <= (1u << 20));
}

void check_segment(const ModelDescription& model) {
  const auto* map = std::get_if<SegmentClasses>(&*model.segment);
  require(map == nullptr || map->classes <= 65536);
  require(map == nullptr || map->classes > 0 || !model.labels.file.empty());
}

// Pixels and scores are divided and multiplied by what is read here.
void check_quantisation_of(const std::vector<TensorDeclaration>& declarations) {
  for (const TensorDeclaration& one : declarations) {
    if (one.quantisation) require(check_quantisation(*one.quantisation, one.dtype).ok());
    require(!one.quantisation || is_quantised_dtype(one.dtype));
  }
}

}  // namespace
}  // namespace vaccel::runtime

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::runtime;
  ModelDescription model;
  const auto status = parse_description({reinterpret_cast<const char*>(data), size}, "m", model);
  if (!status.ok()) {
    require(!status.message().empty());
    return 0;
  }
  require(model.task == Task::kInfer || model.image.has_value());
  require(!model.image || (model.image->width > 0 && model.image->height > 0));
  require(model.classify.has_value() == (model.task == Task::kClassify));
  require(model.detect.has_value() == (model.task == Task::kDetect));
  require(model.segment.has_value() == (model.task == Task::kSegment));
  require(model.pose.has_value() == (model.task == Task::kPose));
  require(model.depth.has_value() == (model.task == Task::kDepth));
  if (model.pose) check_pose(*model.pose);
  if (model.detect) check_detect(*model.detect);
  if (model.segment) check_segment(model);
  check_quantisation_of(model.inputs);
  check_quantisation_of(model.outputs);
  return 0;
}
