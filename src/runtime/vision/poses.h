// SPDX-License-Identifier: Apache-2.0
//
// [pose] decoder = "posenet": heat maps that say for each place of a coarse map and each keypoint how likely it is there;
// offsets that say where exactly; and, for pictures with several people, displacements that lead from a keypoint to its
// neighbours in the skeleton.
//
// With displacements the poses are found one after the other, as the authors of PoseNet describe it: start at the most
// likely keypoint that belongs to no pose yet, follow the skeleton from there, and let what is close to an earlier pose's
// same keypoint not start one. Without, each keypoint is where its heat map is hottest, and there is one pose.
#pragma once

#include <vector>

#include "runtime/vision/channel_map.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

/// In pixels of the model's input, or of the image once mapped there.
struct Keypoint {
  float x;
  float y;
  float score;  ///< 0..1
};

struct Pose {
  std::vector<Keypoint> keypoints;  ///< As model.toml names them.
  float score;                      ///< The mean of those that no better pose has; 0..1.
};

class PoseDecoder final : public OutputDecoder {
 public:
  PoseDecoder(PoseOutput output, const ImageInput& image);

  [[nodiscard]] std::vector<Wanted> outputs() const override;
  [[nodiscard]] Status check(std::span<const OutputShape> shapes, const LabelFacts& labels) const override;

  /// The `top` best poses with a score of at least `min_score`, best first, in pixels of the input.
  [[nodiscard]] std::vector<Pose> decode(std::span<const OutputView> outputs, float min_score,
                                         size_t top) const;

 private:
  const PoseOutput output_;
  const uint32_t input_width_;
  const uint32_t input_height_;
};

/// Moves the keypoints from the input to the image; some may then lie outside of it.
void to_image(std::vector<Pose>& poses, const ImageMapping& mapping);

}  // namespace vaccel::runtime
