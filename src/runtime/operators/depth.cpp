// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/depth.h"

#include <algorithm>

#include "runtime/operators/attributes.h"
#include "runtime/vision/depth_map.h"

namespace vaccel::runtime {

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
