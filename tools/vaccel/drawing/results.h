// SPDX-License-Identifier: Apache-2.0
//
// What was found in a picture, drawn on it. Sizes of letters and lines follow the picture's. Numbers and texts come from an
// agent: nothing here trusts them to lie within the picture, or to be numbers at all.
#pragma once

#include "core/status.h"
#include "tools/vaccel/drawing/canvas.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

// Each draws what was found on the picture in which it was found. INTERNAL: it was found in one of another size.

/// A box around each object, with its label and score.
Status draw(const vaccel_detections& detections, Canvas& canvas);

/// Each class in a colour of its own over the picture, but for the background, and a legend of the largest.
Status draw(const vaccel_segmentation& segmentation, Canvas& canvas);

/// A skeleton for each body: left in one colour, right in another. Keypoints with a score below kLeastKeypointScore are left
/// out, since the model only guesses them.
Status draw(const vaccel_poses& poses, Canvas& canvas);
inline constexpr float kLeastKeypointScore = 0.3F;

/// Depth in colours instead of the picture, near is light, and a legend.
Status draw(const vaccel_depth_map& map, Canvas& canvas);

}  // namespace vaccel::tool
