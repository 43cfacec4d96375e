// SPDX-License-Identifier: Apache-2.0
//
// Image files to pixels: PNG, JPEG and WebP, told apart by their first bytes. The files come from guests:
// sizes are checked in their headers before any pixel memory is allocated, and a file that is cut off or
// damaged is an error, never half a picture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/status.h"
#include "runtime/runtime.h"
#include "runtime/scratch.h"

namespace vaccel::runtime {

/// A view of a decoded picture: 8-bit RGB, 3 bytes a pixel, rows from top to bottom without padding.
struct Picture {
  uint32_t width = 0;
  uint32_t height = 0;
  const uint8_t* pixels = nullptr;
};

/// Decodes a whole file. Grey, palette, 16-bit and CMYK pictures become 8-bit RGB; transparent pixels are
/// taken over black; of an animation the first frame counts; EXIF orientation and colour profiles are
/// ignored.
/// @param encoded  must be private memory: nobody changes it while it is read.
/// @param memory   takes the pixels.
/// @return INVALID_ARGUMENT: no such image, or a broken one; RESOURCE_EXHAUSTED: over the limits, or no
/// memory.
Result<Picture> decode_image(std::span<const std::byte> encoded, const ImageLimits& limits, Scratch& memory);

}  // namespace vaccel::runtime
