// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/segment.h"

#include <cstring>
#include <vector>

#include "runtime/operators/attributes.h"
#include "runtime/vision/segmentation.h"

namespace vaccel::runtime {
namespace {

template <typename Class>
Status write_classes(const ChannelMap& scores, const VisionImage& image, ResultWriter& results) {
  const ImageMapping& mapping = image.mapping;
  const auto classes = results.tensor<Class>("classes", {mapping.image_height, mapping.image_width});
  if (!classes) return classes.error();
  const auto model_classes = results.tensor<Class>("model_classes", {scores.height, scores.width});
  if (!model_classes) return model_classes.error();
  // They are read again, which results are not.
  const size_t bytes = scores.height * scores.width * sizeof(Class);
  auto* own = reinterpret_cast<Class*>(image.scratch.take(bytes));
  if (own == nullptr) return failure(VACCEL_RESOURCE_EXHAUSTED, "no memory for a map of %zu bytes", bytes);
  classes_of_model(scores, own);
  classes_of_image(scores, own, mapping, *classes);
  std::memcpy(*model_classes, own, bytes);
  return {};
}

}  // namespace

OperatorFacts SegmentOperator::facts() const {
  return vision_facts(
      "Says what each pixel of a picture shows, with a model of task segment",
      {{VACCEL_OPERATOR_OUTPUT, "classes", "uint8 [height, width]",
        "the class of each pixel of the image; uint16 above 256 classes"},
       {VACCEL_OPERATOR_OUTPUT, "model_classes", "uint8 [h, w]", "the same at the model's own size"},
       {VACCEL_OPERATOR_OUTPUT, "label", "string [classes]", "the classes' names"}});
}

Result<VisionSettings> SegmentOperator::read_settings(std::span<const vaccel_attribute> attributes,
                                                      const ModelDescription& /*model*/) const {
  if (Status status = refuse_unknown("segment", attributes, {}); !status.ok()) return Unexpected{status};
  return VisionSettings{};
}

Status SegmentOperator::write_results(const VisionImage& image, ResultWriter& results) const {
  const ChannelMap scores = static_cast<const SegmentDecoder&>(image.decoder).scores(image.outputs);
  Status status = scores.channels <= 256 ? write_classes<uint8_t>(scores, image, results)
                                         : write_classes<uint16_t>(scores, image, results);
  if (!status.ok()) return status;
  std::vector<std::string_view> labels(scores.channels);
  for (size_t index = 0; index < labels.size(); ++index)
    labels[index] = label_of(image.model.labels(), static_cast<int32_t>(index));
  return results.strings("label", labels);
}

}  // namespace vaccel::runtime
