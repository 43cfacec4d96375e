// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/detect_yolo.h"

#include <algorithm>
#include <array>
#include <limits>

namespace vaccel::runtime {
namespace {

// Places are looked at in blocks of this many: where they are columns, the rows of a block stay in the cache, and the
// loop over its places is one that the compiler vectorises.
constexpr size_t kBlock = 256;

struct Best {
  std::array<float, kBlock> score;
  std::array<int32_t, kBlock> index;
};

// The best class of each place in a block; -infinity where no score is a number.
void find_best(const float* first, size_t places, size_t place_step, size_t classes, size_t class_step,
               Best& best) {
  best.score.fill(-std::numeric_limits<float>::infinity());
  best.index.fill(0);
  for (size_t one = 0; one < classes; ++one) {
    const float* scores = first + one * class_step;
    const auto index = static_cast<int32_t>(one);
    for (size_t place = 0; place < places; ++place) {
      const float score = scores[place * place_step];
      const bool better = score > best.score[place];
      best.score[place] = better ? score : best.score[place];
      best.index[place] = better ? index : best.index[place];
    }
  }
}

}  // namespace

YoloDecoder::YoloDecoder(YoloOutput output, int32_t first_class, const ImageInput& image)
    : output_(std::move(output)),
      first_class_(static_cast<size_t>(first_class)),
      unit_x_(output_.in_pixels ? static_cast<float>(image.width) : 1.0F),
      unit_y_(output_.in_pixels ? static_cast<float>(image.height) : 1.0F) {}

Status YoloDecoder::check(std::span<const OutputShape> shapes, const LabelFacts& labels) const {
  const OutputShape& output = shapes[0];
  const char* right = output_.in_columns
                          ? (output_.objectness ? "[5 + classes, places]" : "[4 + classes, places]")
                          : (output_.objectness ? "[places, 5 + classes]" : "[places, 4 + classes]");
  if (!can_be(output, {-1, -1})) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s is none of decoder \"yolo\": it must be %s",
                   output.text().c_str(), right);
  }
  const int64_t values = dimension_of(output, output_.in_columns ? 0 : 1);
  if (values == -1) return {};
  const int64_t classes = values - (output_.objectness ? 5 : 4);
  if (classes <= static_cast<int64_t>(first_class_)) {
    return failure(VACCEL_INVALID_ARGUMENT, "its output %s has %lld values for a place: it must be %s%s",
                   output.text().c_str(), static_cast<long long>(values), right,
                   first_class_ == 0 ? "" : ", with more classes than first_class");
  }
  return check_labels(labels, output, classes);
}

void YoloDecoder::decode(std::span<const OutputView> outputs, float min_score,
                         std::vector<Detection>& found) const {
  const std::span<const int64_t> shape = outputs[0].shape.dimensions;
  const auto places = static_cast<size_t>(shape[output_.in_columns ? 1 : 0]);
  const auto values = static_cast<size_t>(shape[output_.in_columns ? 0 : 1]);
  const size_t place_step = output_.in_columns ? 1 : values;
  const size_t value_step = output_.in_columns ? places : 1;
  const size_t first_score = (output_.objectness ? 5 : 4) + first_class_;
  const auto activated = [&](float score) {
    return output_.activation == Activation::kSigmoid ? sigmoid(score) : score;
  };
  Best best;
  for (size_t begin = 0; begin < places; begin += kBlock) {
    const size_t count = std::min(kBlock, places - begin);
    const float* block = outputs[0].values.data() + begin * place_step;
    find_best(block + first_score * value_step, count, place_step, values - first_score, value_step, best);
    for (size_t place = 0; place < count; ++place) {
      if (best.score[place] == -std::numeric_limits<float>::infinity()) continue;
      const float* at = block + place * place_step;
      float score = activated(best.score[place]);
      if (output_.objectness) score *= activated(at[4 * value_step]);
      if (!(score >= min_score)) continue;
      const float x = at[0] / unit_x_;
      const float y = at[value_step] / unit_y_;
      const float half_width = at[2 * value_step] / unit_x_ / 2;
      const float half_height = at[3 * value_step] / unit_y_ / 2;
      add_candidate(found,
                    {x - half_width, y - half_height, x + half_width, y + half_height, score,
                     best.index[place] + static_cast<int32_t>(first_class_)},
                    min_score);
    }
  }
}

}  // namespace vaccel::runtime
