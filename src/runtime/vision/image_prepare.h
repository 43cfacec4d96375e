// SPDX-License-Identifier: Apache-2.0
//
// Pixels to a model's input: resized, normalised and laid out in one pass.
//
// Resizing is bilinear between the four nearest pixels, with pixel centres at half coordinates and without
// smoothing when it shrinks: what OpenCV calls INTER_LINEAR, and TensorFlow and PyTorch resize with
// antialias=False.
#pragma once

#include "runtime/model_description.h"
#include "runtime/quantisation.h"
#include "runtime/vision/image_decode.h"

namespace vaccel::runtime {

/// Which part of a picture went where in a model's input. Coordinates are continuous: 0 is the left (top) edge of the first
/// pixel, whose centre is at 0.5.
struct ImageMapping {
  uint32_t image_width = 0;  ///< In pixels.
  uint32_t image_height = 0;
  uint32_t input_width = 0;
  uint32_t input_height = 0;
  double source_x = 0;  ///< The part of the picture that was taken,
  double source_y = 0;
  double source_width = 0;
  double source_height = 0;
  size_t left = 0;  ///< and where it lies in the input.
  size_t top = 0;
  size_t width = 0;
  size_t height = 0;

  /// From the input's coordinates to the picture's, which may lie outside of it, and back.
  [[nodiscard]] double image_x(double input_x) const {
    return source_x + (input_x - static_cast<double>(left)) * source_width / static_cast<double>(width);
  }
  [[nodiscard]] double image_y(double input_y) const {
    return source_y + (input_y - static_cast<double>(top)) * source_height / static_cast<double>(height);
  }
  [[nodiscard]] double input_x(double image_x) const {
    return static_cast<double>(left) + (image_x - source_x) * static_cast<double>(width) / source_width;
  }
  [[nodiscard]] double input_y(double image_y) const {
    return static_cast<double>(top) + (image_y - source_y) * static_cast<double>(height) / source_height;
  }
};

/// How a picture of that size is mapped: `input` alone says it.
ImageMapping map_image(uint32_t width, uint32_t height, const ImageInput& input);

/// Fills `tensor`, which has room for 3 x width x height values of `input`'s layout.
///   stretch    the whole picture, each axis scaled on its own
///   crop       the largest centred part of the picture that has the input's aspect ratio
///   letterbox  the whole picture at its own aspect ratio, centred over black
void prepare_image(const Picture& picture, const ImageInput& input, float* tensor);

/// The same for an input of integers: what they stand for is what the other has, rounded (half to even) to what there are
/// integers for, and limited to the least and the largest of them. A picture that needs no resizing is exact, and only
/// copied where the integers are the pixels' own.
void prepare_image(const Picture& picture, const ImageInput& input, const Quantisation& quantisation,
                   uint8_t* tensor);
void prepare_image(const Picture& picture, const ImageInput& input, const Quantisation& quantisation,
                   int8_t* tensor);

}  // namespace vaccel::runtime
