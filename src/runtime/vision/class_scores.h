// SPDX-License-Identifier: Apache-2.0
//
// [classify]: an output with a score for each class.
#pragma once

#include "runtime/model_description.h"
#include "runtime/vision/output_decoder.h"
#include "runtime/vision/top_classes.h"

namespace vaccel::runtime {

class ClassScoresDecoder final : public OutputDecoder {
 public:
  explicit ClassScoresDecoder(ClassifyOutput output) : output_(std::move(output)) {}

  [[nodiscard]] std::vector<Wanted> outputs() const override { return {{"output", output_.output}}; }
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;

  /// The `top` best classes, best first.
  [[nodiscard]] std::vector<ClassScore> decode(std::span<const OutputView> outputs, size_t top) const {
    return top_classes(outputs[0].values, top, output_.activation);
  }

 private:
  const ClassifyOutput output_;
};

}  // namespace vaccel::runtime
