// SPDX-License-Identifier: Apache-2.0
//
// What the operators on pictures share: from image files to a model's outputs. Each call goes through the same stages -
// decode, prepare, infer, decode the outputs - as the model's model.toml says, and an operator adds what its attributes
// mean and what its results are. Nothing here knows what a model's outputs stand for.
//
//   inputs   1 to 64 images, each uint8 [n], a whole PNG, JPEG or WebP file; one may be named "image"
//   outputs  the operator's, for the first image under their names, for image I after it under "I.name"
//
// Where the model takes batches of any size, the images of a call are one, or several that fit in memory.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/cancel_watcher.h"
#include "runtime/model.h"
#include "runtime/operators/operator.h"
#include "runtime/operators/result_writer.h"
#include "runtime/runtime.h"
#include "runtime/scratch.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

inline constexpr size_t kMaxImages = 64;

/// What a call asks for: an operator's attributes, and the model's own values for those that are not there.
struct VisionSettings {
  size_t top = 0;
  float min_score = 0;
  float iou = 0;
};

/// One image, once its model has run.
struct VisionImage {
  const Model& model;
  const OutputDecoder& decoder;  ///< The task's; see vision_plan.cpp.
  const VisionSettings& settings;
  const ImageMapping& mapping;
  std::span<const OutputView> outputs;  ///< As the decoder wants them, checked.
  Scratch& scratch;                     ///< For the operator's own use until it returns.
};

/// Writes "size" int32 [2]: the image's width and height.
Status write_size(const ImageMapping& mapping, ResultWriter& results);

class VisionOperator : public Operator {
 public:
  VisionOperator(Task task, const ImageLimits& limits, CancelWatcher& watcher)
      : Operator(task_name(task)), task_(task), limits_(limits), watcher_(watcher) {}
  Status run(RuntimeCall& call) const final;

 protected:
  /// Reads the operator's attributes; sorted by name.
  [[nodiscard]] virtual Result<VisionSettings> read_settings(std::span<const vaccel_attribute> attributes,
                                                             const ModelDescription& model) const = 0;
  /// Decodes the outputs and writes the results of one image.
  [[nodiscard]] virtual Status write_results(const VisionImage& image, ResultWriter& results) const = 0;
  /// facts(): the input that all have, before an operator's own outputs and attributes.
  [[nodiscard]] OperatorFacts vision_facts(const char* description, std::vector<PartFacts> own) const;

 private:
  class Run;

  const Task task_;
  const ImageLimits limits_;
  CancelWatcher& watcher_;
};

/// Gives back the memory that calls have worked in, as far as none uses it now. The next ones take it anew.
void forget_vision_scratch();

}  // namespace vaccel::runtime
