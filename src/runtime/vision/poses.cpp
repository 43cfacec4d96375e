// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/poses.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace vaccel::runtime {
namespace {

// Two keypoints of one kind that are closer than this, in pixels of the input, are one; PoseNet's authors' figure.
constexpr float kSamePlace = 20;
// How often a keypoint is looked up again where its offset led.
constexpr int kRefinements = 2;
// Places that are looked at as beginnings of poses; of a flat heat map each place is one.
constexpr size_t kMostRoots = 1024;

// A place in a heat map, as a beginning of a pose.
struct Root {
  float score;
  size_t keypoint;
  size_t y;
  size_t x;
};

// The outputs of one image, and the arithmetic between places of the map and pixels of the input.
class Maps {
 public:
  Maps(const PoseOutput& output, std::span<const OutputView> outputs, uint32_t width, uint32_t height)
      : output_(output),
        heat_(channel_map(outputs[0], output.layout)),
        offsets_(channel_map(outputs[1], output.layout)),
        stride_x_(stride(width, heat_.width)),
        stride_y_(stride(height, heat_.height)) {
    if (outputs.size() < 4) return;
    forward_ = channel_map(outputs[2], output.layout);
    backward_ = channel_map(outputs[3], output.layout);
  }

  [[nodiscard]] const ChannelMap& heat() const { return heat_; }
  [[nodiscard]] bool has_displacements() const { return forward_.values != nullptr; }

  [[nodiscard]] float score(size_t y, size_t x, size_t keypoint) const {
    const float value = heat_.at(y, x, keypoint);
    const float score = output_.activation == Activation::kSigmoid ? sigmoid(value) : value;
    return std::isfinite(score) ? std::clamp(score, 0.0F, 1.0F) : 0;
  }

  // Where exactly the keypoint of a place is.
  [[nodiscard]] Keypoint keypoint(size_t y, size_t x, size_t keypoint) const {
    const float offset_y = offsets_.at(y, x, keypoint);
    const float offset_x = offsets_.at(y, x, keypoint + heat_.channels);
    return {number(static_cast<float>(x) * stride_x_ + offset_x),
            number(static_cast<float>(y) * stride_y_ + offset_y), score(y, x, keypoint)};
  }

  // The keypoint at the other end of an edge.
  [[nodiscard]] Keypoint follow(const Keypoint& from, size_t edge, bool forward, size_t target) const {
    const ChannelMap& displacements = forward ? forward_ : backward_;
    const size_t y = place(from.y, stride_y_, heat_.height);
    const size_t x = place(from.x, stride_x_, heat_.width);
    Keypoint to{number(from.x + displacements.at(y, x, edge + output_.skeleton.size())),
                number(from.y + displacements.at(y, x, edge)), 0};
    for (int round = 0; round < kRefinements; ++round)
      to = keypoint(place(to.y, stride_y_, heat_.height), place(to.x, stride_x_, heat_.width), target);
    return to;
  }

 private:
  // The first and the last place lie on the first and the last pixel.
  static float stride(uint32_t pixels, size_t places) {
    return places < 2 ? 0 : static_cast<float>(pixels - 1) / static_cast<float>(places - 1);
  }
  static float number(float value) { return std::isfinite(value) ? value : 0; }
  // The place that is closest to a pixel.
  static size_t place(float pixel, float stride, size_t places) {
    if (stride == 0) return 0;
    const float nearest = std::clamp(std::round(pixel / stride), 0.0F, static_cast<float>(places - 1));
    return static_cast<size_t>(nearest);
  }

  const PoseOutput& output_;
  ChannelMap heat_;
  ChannelMap offsets_;
  ChannelMap forward_;
  ChannelMap backward_;
  float stride_x_;
  float stride_y_;
};

// The hottest place of a keypoint; the first one, should none have a number.
Root hottest(const Maps& maps, size_t keypoint) {
  Root best{-1, keypoint, 0, 0};
  for (size_t y = 0; y < maps.heat().height; ++y) {
    for (size_t x = 0; x < maps.heat().width; ++x) {
      const float score = maps.score(y, x, keypoint);
      if (score > best.score) best = {score, keypoint, y, x};
    }
  }
  return best;
}

std::vector<Pose> one_pose(const Maps& maps, float min_score) {
  Pose pose;
  float sum = 0;
  for (size_t keypoint = 0; keypoint < maps.heat().channels; ++keypoint) {
    const Root at = hottest(maps, keypoint);
    pose.keypoints.push_back(maps.keypoint(at.y, at.x, keypoint));
    sum += pose.keypoints.back().score;
  }
  pose.score = sum / static_cast<float>(pose.keypoints.size());
  return pose.score >= min_score ? std::vector<Pose>{std::move(pose)} : std::vector<Pose>{};
}

// Whether no place around has a higher score.
bool is_peak(const Maps& maps, const Root& root) {
  const ChannelMap& heat = maps.heat();
  for (size_t y = root.y - std::min<size_t>(root.y, 1); y < std::min(root.y + 2, heat.height); ++y) {
    for (size_t x = root.x - std::min<size_t>(root.x, 1); x < std::min(root.x + 2, heat.width); ++x) {
      if (maps.score(y, x, root.keypoint) > root.score) return false;
    }
  }
  return true;
}

// Where poses may begin, the most likely first.
std::vector<Root> roots_of(const Maps& maps, float min_score) {
  std::vector<Root> roots;
  const ChannelMap& heat = maps.heat();
  for (size_t keypoint = 0; keypoint < heat.channels; ++keypoint) {
    for (size_t y = 0; y < heat.height; ++y) {
      for (size_t x = 0; x < heat.width; ++x) {
        const Root root{maps.score(y, x, keypoint), keypoint, y, x};
        if (root.score >= min_score && is_peak(maps, root)) roots.push_back(root);
      }
    }
  }
  std::sort(roots.begin(), roots.end(), [](const Root& left, const Root& right) {
    if (left.score != right.score) return left.score > right.score;
    return std::tie(left.keypoint, left.y, left.x) < std::tie(right.keypoint, right.y, right.x);
  });
  if (roots.size() > kMostRoots) roots.resize(kMostRoots);
  return roots;
}

// Whether one of `poses` has that keypoint at that place already.
bool is_taken(const std::vector<Pose>& poses, size_t keypoint, const Keypoint& at) {
  return std::any_of(poses.begin(), poses.end(), [&](const Pose& pose) {
    const Keypoint& other = pose.keypoints[keypoint];
    return std::hypot(other.x - at.x, other.y - at.y) <= kSamePlace;
  });
}

// Follows the skeleton from the root: against the edges' directions up to its first keypoint, then down all of them.
Pose grow(const Maps& maps, const PoseOutput& output, const Root& root, const Keypoint& at) {
  Pose pose;
  pose.keypoints.resize(output.keypoints.size());
  std::vector<bool> known(output.keypoints.size(), false);
  pose.keypoints[root.keypoint] = at;
  known[root.keypoint] = true;
  const auto step = [&](size_t edge, bool forward) {
    const auto [first, second] = output.skeleton[edge];
    const size_t source = forward ? first : second;
    const size_t target = forward ? second : first;
    if (!known[source] || known[target]) return;
    pose.keypoints[target] = maps.follow(pose.keypoints[source], edge, forward, target);
    known[target] = true;
  };
  for (size_t edge = output.skeleton.size(); edge-- > 0;)
    step(edge, false);
  for (size_t edge = 0; edge < output.skeleton.size(); ++edge)
    step(edge, true);
  return pose;
}

// The mean score of its keypoints; those that an earlier pose has count 0.
float score_of(const Pose& pose, const std::vector<Pose>& earlier) {
  float sum = 0;
  for (size_t keypoint = 0; keypoint < pose.keypoints.size(); ++keypoint) {
    if (!is_taken(earlier, keypoint, pose.keypoints[keypoint])) sum += pose.keypoints[keypoint].score;
  }
  return sum / static_cast<float>(pose.keypoints.size());
}

std::vector<Pose> several_poses(const Maps& maps, const PoseOutput& output, float min_score, size_t top) {
  std::vector<Pose> poses;
  for (const Root& root : roots_of(maps, min_score)) {
    if (poses.size() == top) break;
    const Keypoint at = maps.keypoint(root.y, root.x, root.keypoint);
    if (is_taken(poses, root.keypoint, at)) continue;
    Pose pose = grow(maps, output, root, at);
    pose.score = score_of(pose, poses);
    if (!(pose.score >= min_score)) continue;
    const auto behind = std::upper_bound(poses.begin(), poses.end(), pose.score,
                                         [](float score, const Pose& other) { return score > other.score; });
    poses.insert(behind, std::move(pose));
  }
  return poses;
}

}  // namespace

PoseDecoder::PoseDecoder(PoseOutput output, const ImageInput& image)
    : output_(std::move(output)), input_width_(image.width), input_height_(image.height) {}

std::vector<OutputDecoder::Wanted> PoseDecoder::outputs() const {
  std::vector<Wanted> wanted{{"heatmaps", output_.heatmaps}, {"offsets", output_.offsets}};
  if (!output_.forward.empty()) {
    wanted.push_back({"forward", output_.forward});
    wanted.push_back({"backward", output_.backward});
  }
  return wanted;
}

Status PoseDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& /*labels*/) const {
  const OutputShape& heat = shapes[0];
  const auto keypoints = static_cast<int64_t>(output_.keypoints.size());
  const auto edges = static_cast<int64_t>(output_.skeleton.size());
  const bool channels_first = output_.layout == Layout::kNchw;
  const int64_t height = dimension_of(heat, channels_first ? 1 : 0);
  const int64_t width = dimension_of(heat, channels_first ? 2 : 1);
  const int64_t channels[] = {keypoints, 2 * keypoints, 2 * edges, 2 * edges};
  for (size_t index = 0; index < shapes.size(); ++index) {
    const int64_t right = channels[index];
    const bool fits = channels_first ? can_be(shapes[index], {right, height, width})
                                     : can_be(shapes[index], {height, width, right});
    if (fits) continue;
    return failure(
        VACCEL_INVALID_ARGUMENT,
        "its output %s does not fit the %lld keypoints and %lld edges of its model.toml: it must be %s "
        "with %lld channels, and of one size with the other maps",
        shapes[index].text().c_str(), static_cast<long long>(keypoints), static_cast<long long>(edges),
        channels_first ? "[channels, height, width]" : "[height, width, channels]",
        static_cast<long long>(right));
  }
  if (height == 0 || width == 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s is empty", heat.text().c_str());
  }
  return {};
}

std::vector<Pose> PoseDecoder::decode(std::span<const OutputView> outputs, float min_score,
                                      size_t top) const {
  const Maps maps(output_, outputs, input_width_, input_height_);
  if (!maps.has_displacements()) return one_pose(maps, min_score);
  return several_poses(maps, output_, min_score, top);
}

void to_image(std::vector<Pose>& poses, const ImageMapping& mapping) {
  for (Pose& pose : poses) {
    for (Keypoint& keypoint : pose.keypoints) {
      // PoseNet counts from the centre of the first pixel, where x is 0.5.
      keypoint.x = static_cast<float>(mapping.image_x(double{keypoint.x} + 0.5));
      keypoint.y = static_cast<float>(mapping.image_y(double{keypoint.y} + 0.5));
    }
  }
}

}  // namespace vaccel::runtime
