// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/depth.h"

#include <algorithm>

#include "runtime/operators/attributes.h"
#include "runtime/vision/depth_map.h"

namespace vaccel::runtime {

OperatorFacts DepthOperator::facts() const {
  return vision_facts(
      "Says how far away what a picture shows is, with a model of task depth",
      {{VACCEL_OPERATOR_OUTPUT, "depth", "float32 [height, width]", "of each pixel of the image"},
       {VACCEL_OPERATOR_OUTPUT, "model_depth", "float32 [h, w]", "the same at the model's own size"},
       {VACCEL_OPERATOR_OUTPUT, "kind", "string [1]",
        "\"metric\" (metres), \"relative\" (larger is farther) or \"inverse\" (larger is nearer)"}});
}

Result<VisionSettings> DepthOperator::read_settings(std::span<const vaccel_attribute> attributes,
                                                    const ModelDescription& /*model*/) const {
  if (Status status = refuse_unknown("depth", attributes, {}); !status.ok()) return Unexpected{status};
  return VisionSettings{};
}

Status DepthOperator::write_results(const VisionImage& image, ResultWriter& results) const {
  const ChannelMap map = static_cast<const DepthDecoder&>(image.decoder).map(image.outputs);
  const auto depth = results.tensor<float>("depth", {image.mapping.image_height, image.mapping.image_width});
  if (!depth) return depth.error();
  const auto model_depth = results.tensor<float>("model_depth", {map.height, map.width});
  if (!model_depth) return model_depth.error();
  depth_of_image(map, image.mapping, *depth);
  std::copy_n(map.values, map.height * map.width, *model_depth);
  const std::string_view kind[] = {depth_kind_name(image.model.description().depth->kind)};
  return results.strings("kind", kind);
}

}  // namespace vaccel::runtime
