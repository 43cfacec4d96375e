// SPDX-License-Identifier: Apache-2.0
//
// The floor for a call that runs a model: ONNX Runtime called directly, in this process, on the same library file, with
// the same session options as the worker's; for pictures, after the same decoding and preparing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/scratch.h"
#include "section.h"
#include "session.h"

namespace vaccel::bench {

class DirectModel {
 public:
  /// Loads a model of the catalogue that takes a picture; its input and its outputs have fixed shapes, but
  /// for a first dimension that may be open: that is `rows`.
  explicit DirectModel(const Setting& setting, const char* model = kModel, int64_t rows = 1);
  ~DirectModel();
  DirectModel(const DirectModel&) = delete;
  DirectModel& operator=(const DirectModel&) = delete;

  /// Decodes, prepares, infers, ranks. @return the number of the best class.
  int32_t classify(std::span<const std::byte> image);
  /// Runs the model on its input's memory. @return the first value of its first output.
  float infer();

  /// The memory of the model's input, and what describes it.
  [[nodiscard]] std::span<float> input() { return input_; }
  [[nodiscard]] const std::vector<int64_t>& input_shape() const { return input_shape_; }
  [[nodiscard]] const char* input_name() const;
  [[nodiscard]] size_t output_bytes() const { return outputs_.front().size() * sizeof(float); }

 private:
  struct Framework;
  std::unique_ptr<Framework> framework_;
  std::vector<int64_t> input_shape_;
  std::vector<float> input_;
  std::vector<std::vector<float>> outputs_;
  runtime::Scratch pixels_;
};

}  // namespace vaccel::bench
