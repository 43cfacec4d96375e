// SPDX-License-Identifier: Apache-2.0
#include "runtime/operators/classify.h"

#include <limits>
#include <vector>

#include "runtime/operators/attributes.h"
#include "runtime/vision/class_scores.h"

namespace vaccel::runtime {

OperatorFacts ClassifyOperator::facts() const {
  return vision_facts(
      "Says what a picture shows, with a model of task classify",
      {{VACCEL_OPERATOR_OUTPUT, "index", "int32 [k]", "class numbers, best first"},
       {VACCEL_OPERATOR_OUTPUT, "score", "float32 [k]", "as the model says it"},
       {VACCEL_OPERATOR_OUTPUT, "label", "string [k]", "the classes' names"},
       {VACCEL_OPERATOR_ATTRIBUTE, "top", "integer >= 1, required", "how many classes at most"}});
}

Result<VisionSettings> ClassifyOperator::read_settings(std::span<const vaccel_attribute> attributes,
                                                       const ModelDescription& /*model*/) const {
  if (Status status = refuse_unknown("classify", attributes, {"top"}); !status.ok())
    return Unexpected{status};
  const auto top = integer_attribute("classify", attributes, "top", 1, std::numeric_limits<uint32_t>::max());
  if (!top) return fail(VACCEL_INVALID_ARGUMENT, "%s", top.error().message().c_str());
  VisionSettings settings;
  settings.top = static_cast<size_t>(*top);
  return settings;
}

Status ClassifyOperator::write_results(const VisionImage& image, ResultWriter& results) const {
  const auto& decoder = static_cast<const ClassScoresDecoder&>(image.decoder);
  const std::vector<ClassScore> classes = decoder.decode(image.outputs, image.settings.top);
  const auto indices = results.tensor<int32_t>("index", {classes.size()});
  if (!indices) return indices.error();
  const auto scores = results.tensor<float>("score", {classes.size()});
  if (!scores) return scores.error();
  std::vector<std::string_view> labels(classes.size());
  for (size_t one = 0; one < classes.size(); ++one) {
    (*indices)[one] = classes[one].index;
    (*scores)[one] = classes[one].score;
    labels[one] = label_of(image.model.labels(), classes[one].index);
  }
  return results.strings("label", labels);
}

}  // namespace vaccel::runtime
