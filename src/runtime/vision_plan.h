// SPDX-License-Identifier: Apache-2.0
//
// What a model of a vision task has to do with its model.toml: which of its outputs are read and by which decoder, and what
// shape its input has. Made when the model is loaded, so that what does not fit is told then and not to each caller.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/status.h"
#include "runtime/model_description.h"
#include "runtime/tensor_facts.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

struct VisionPlan {
  std::vector<int64_t> shape;  ///< Of the input tensor for one image; the first dimension is the batch's.
  int32_t dtype = 0;           ///< Of the input tensor: float32, uint8 or int8.
  Quantisation quantisation;   ///< Of the input tensor, where it is of integers.
  bool batches = false;        ///< Any number of images may go into one run.
  /// What the decoder reads: an index of the model's outputs, and what the integers in it stand for.
  struct Output {
    size_t index;
    Quantisation quantisation;
  };
  std::vector<Output> outputs;
  std::unique_ptr<const OutputDecoder> decoder;  ///< Of the class that the task's operator knows.
};

/// `model`'s task is one of vision's. INVALID_ARGUMENT: what in its model.toml does not fit its inputs, outputs or labels.
Result<VisionPlan> plan_vision(const ModelDescription& model, std::span<const TensorFacts> inputs,
                               std::span<const TensorFacts> outputs, size_t label_count);

/// The dimensions that one image's share of an output has: without the first, where that is the batch's.
std::span<const int64_t> without_batch(std::span<const int64_t> shape, int64_t images);

}  // namespace vaccel::runtime
