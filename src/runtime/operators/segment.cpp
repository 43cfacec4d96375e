// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/segment.h"

#include <cstring>
#include <vector>

#include "runtime/operators/attributes.h"
#include "runtime/vision/class_map.h"
#include "runtime/vision/segmentation.h"

namespace vaccel::runtime {
namespace {

// What the two decoders have: a map, and how many classes there are.
struct SegmentMap {
  ChannelMap map;
  size_t classes;
  bool has_scores;  // else it has class numbers
};

SegmentMap map_of(const VisionImage& image) {
  if (const auto* numbers = dynamic_cast<const ClassMapDecoder*>(&image.decoder))
    return {numbers->map(image.outputs), numbers->classes(image.model.labels().size()), false};
  const ChannelMap scores = static_cast<const SegmentDecoder&>(image.decoder).scores(image.outputs);
  return {scores, scores.channels, true};
}

template <typename Class>
Status decode_classes(const SegmentMap& segment, const VisionImage& image, Class* model_classes,
                      Class* classes) {
  if (segment.has_scores) {
    classes_of_model(segment.map, model_classes);
    classes_of_image(segment.map, model_classes, image.mapping, classes);
    return {};
  }
  const Status status = classes_of_map(segment.map, segment.classes, model_classes);
  if (!status.ok()) {
    return failure(VACCEL_INTERNAL, "model '%s' gave what its model.toml does not describe: %s",
                   image.model.description().name.c_str(), status.message().c_str());
  }
  nearest_classes(segment.map, model_classes, image.mapping, classes);
  return {};
}

template <typename Class>
Status write_classes(const SegmentMap& segment, const VisionImage& image, ResultWriter& results) {
  const ImageMapping& mapping = image.mapping;
  const ChannelMap& map = segment.map;
  const auto classes = results.tensor<Class>("classes", {mapping.image_height, mapping.image_width});
  if (!classes) return classes.error();
  const auto model_classes = results.tensor<Class>("model_classes", {map.height, map.width});
  if (!model_classes) return model_classes.error();
  // They are read again, which results are not.
  const size_t bytes = map.height * map.width * sizeof(Class);
  auto* own = reinterpret_cast<Class*>(image.scratch.take(bytes));
  if (own == nullptr) return failure(VACCEL_RESOURCE_EXHAUSTED, "no memory for a map of %zu bytes", bytes);
  if (Status status = decode_classes(segment, image, own, *classes); !status.ok()) return status;
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
  const SegmentMap segment = map_of(image);
  Status status = segment.classes <= 256 ? write_classes<uint8_t>(segment, image, results)
                                         : write_classes<uint16_t>(segment, image, results);
  if (!status.ok()) return status;
  std::vector<std::string_view> labels(segment.classes);
  for (size_t index = 0; index < labels.size(); ++index)
    labels[index] = label_of(image.model.labels(), static_cast<int32_t>(index));
  return results.strings("label", labels);
}

}  // namespace vaccel::runtime
