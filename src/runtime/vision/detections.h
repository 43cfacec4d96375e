// SPDX-License-Identifier: Apache-2.0
//
// From the many boxes that a detector proposes to the few that are told: what every family of detectors shares.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/model_description.h"
#include "runtime/vision/image_prepare.h"
#include "runtime/vision/output_decoder.h"

namespace vaccel::runtime {

/// A box and what is in it. Edges are in parts of the model's input as long as they are candidates, and in pixels of the
/// image once chosen.
struct Detection {
  float left;
  float top;
  float right;
  float bottom;
  float score;
  int32_t index;  ///< Of the class.
};

class DetectDecoder : public OutputDecoder {
 public:
  /// Adds to `found` what is in the outputs with a score of at least `min_score`, at most one for each place: finite
  /// numbers, right >= left, bottom >= top; in no particular order, overlapping as they may.
  virtual void decode(std::span<const OutputView> outputs, float min_score,
                      std::vector<Detection>& found) const = 0;
};

/// The decoder that `detect` asks for.
std::unique_ptr<DetectDecoder> make_detect_decoder(const DetectOutput& detect, const ImageInput& image);

/// How detections are chosen.
struct DetectionRules {
  float iou = 0.5F;
  bool across_classes = false;
  size_t top = 100;
};

/// The best of `candidates`, best first: without those that overlap a better one by more than rules.iou (intersection
/// over union), with edges in pixels of the image and clipped to it; what lies outside of it is left out.
std::vector<Detection> choose_detections(const std::vector<Detection>& candidates,
                                         const DetectionRules& rules, const ImageMapping& mapping);

/// Adds a candidate, if its numbers are numbers and its score is high enough.
void add_candidate(std::vector<Detection>& found, const Detection& candidate, float min_score);

}  // namespace vaccel::runtime
