// SPDX-License-Identifier: Apache-2.0
//
// Pixels to a model's input: resized, normalised and laid out in one pass.
//
// Resizing is bilinear between the four nearest pixels, with pixel centres at half coordinates and without
// smoothing when it shrinks: what OpenCV calls INTER_LINEAR, and TensorFlow and PyTorch resize with
// antialias=False.
#pragma once

#include "runtime/catalogue.h"
#include "runtime/vision/image_decode.h"

namespace vaccel::runtime {

/// Fills `tensor`, which has room for 3 x width x height values of `input`'s layout.
///   stretch    the whole picture, each axis scaled on its own
///   crop       the largest centred part of the picture that has the input's aspect ratio
///   letterbox  the whole picture at its own aspect ratio, centred over black
void prepare_image(const Picture& picture, const ImageInput& input, float* tensor);

}  // namespace vaccel::runtime
