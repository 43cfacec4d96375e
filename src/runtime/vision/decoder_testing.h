// SPDX-License-Identifier: Apache-2.0
//
// What the decoders' tests share: outputs of models that never were.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime::testing {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Outputs for one image, each in memory of exactly its size, so that AddressSanitizer sees a value too many.
class TestOutputs {
 public:
  TestOutputs& add(std::string name, std::vector<int64_t> shape, std::vector<float> values) {
    int64_t count = 1;
    for (const int64_t dimension : shape)
      count *= dimension;
    EXPECT_EQ(static_cast<size_t>(count), values.size()) << name;
    const Owned& owned = owned_.emplace_back(std::move(name), std::move(shape), std::move(values));
    views_.push_back({{owned.name, owned.shape, false}, owned.values});
    return *this;
  }
  [[nodiscard]] std::span<const OutputView> views() const { return views_; }

  /// What the decoder says of them, as it is asked before decode().
  [[nodiscard]] std::string problem_for(const OutputDecoder& decoder, const LabelFacts& labels = {}) const {
    std::vector<OutputShape> shapes;
    for (const OutputView& view : views_)
      shapes.push_back(view.shape);
    return decoder.check(shapes, labels).message();
  }

 private:
  struct Owned {
    Owned(std::string name_, std::vector<int64_t> shape_, std::vector<float> values_)
        : name(std::move(name_)), shape(std::move(shape_)), values(std::move(values_)) {}
    std::string name;
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  std::deque<Owned> owned_;
  std::vector<OutputView> views_;
};

/// What a decoder says of shapes alone, -1 being unknown.
inline std::string problem_of(const OutputDecoder& decoder, const std::vector<std::vector<int64_t>>& shapes,
                              const LabelFacts& labels = {}) {
  static const std::string names[] = {"a", "b", "c", "d"};
  std::vector<OutputShape> views;
  for (size_t index = 0; index < shapes.size(); ++index)
    views.push_back({names[index], shapes[index], false});
  return decoder.check(views, labels).message();
}

inline std::vector<float> random_values(size_t count, uint32_t seed, float low = -4, float high = 4) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float& value : values)
    value = uniform(random);
  return values;
}

inline ImageInput image_input(uint32_t width, uint32_t height, ResizeMode resize = ResizeMode::kStretch) {
  ImageInput input;
  input.width = width;
  input.height = height;
  input.resize = resize;
  return input;
}

}  // namespace vaccel::runtime::testing
