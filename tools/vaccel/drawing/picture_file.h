// SPDX-License-Identifier: Apache-2.0
//
// Photos to pixels and pictures to files: what drawing needs of PNG, JPEG and WebP. The host decodes a photo by itself; here
// it is only what is drawn on.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/status.h"
#include "tools/vaccel/drawing/canvas.h"

namespace vaccel::tool {

/// Decodes a PNG, JPEG or WebP file: as the host does, transparent pixels over black and EXIF orientation ignored, so that
/// results fit. INVALID_ARGUMENT: it is none, or broken; RESOURCE_EXHAUSTED: more pixels than a host takes.
Result<Canvas> read_picture(std::span<const std::byte> file);

/// The bytes of a PNG file. RESOURCE_EXHAUSTED: no memory.
Result<std::vector<std::byte>> png_of(const Canvas& canvas);

}  // namespace vaccel::tool
