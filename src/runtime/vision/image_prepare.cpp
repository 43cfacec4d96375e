// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/image_prepare.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace vaccel::runtime {
namespace {

// Which part of the picture goes where in the input.
struct Placement {
  double source_x = 0;
  double source_y = 0;
  double source_width = 0;
  double source_height = 0;
  size_t left = 0;
  size_t top = 0;
  size_t width = 0;
  size_t height = 0;
};

Placement place(const Picture& picture, const ImageInput& input) {
  const double width = picture.width;
  const double height = picture.height;
  Placement placement{0, 0, width, height, 0, 0, input.width, input.height};
  const double scale_x = input.width / width;
  const double scale_y = input.height / height;
  switch (input.resize) {
    case ResizeMode::kStretch:
      break;
    case ResizeMode::kCrop: {
      const double scale = std::max(scale_x, scale_y);
      placement.source_width = input.width / scale;
      placement.source_height = input.height / scale;
      placement.source_x = (width - placement.source_width) / 2;
      placement.source_y = (height - placement.source_height) / 2;
      break;
    }
    case ResizeMode::kLetterbox: {
      const double scale = std::min(scale_x, scale_y);
      const auto fit = [&](double length, uint32_t most) {
        return std::clamp<size_t>(static_cast<size_t>(std::lround(length * scale)), 1, most);
      };
      placement.width = fit(width, input.width);
      placement.height = fit(height, input.height);
      placement.left = (input.width - placement.width) / 2;
      placement.top = (input.height - placement.height) / 2;
      break;
    }
  }
  return placement;
}

// Two neighbours on one axis and how much the second counts.
struct Tap {
  uint32_t first;
  uint32_t second;
  float weight;
};

std::vector<Tap> taps(size_t count, double begin, double length, uint32_t size) {
  std::vector<Tap> result(count);
  const double step = length / static_cast<double>(count);
  const double last = size - 1;
  for (size_t index = 0; index < count; ++index) {
    const double at = std::clamp(begin + (static_cast<double>(index) + 0.5) * step - 0.5, 0.0, last);
    const auto first = static_cast<uint32_t>(at);
    result[index] = {first, std::min(first + 1, size - 1), static_cast<float>(at - first)};
  }
  return result;
}

// Where a resized row's values go: channels in the model's order, plane by plane or pixel by pixel.
struct RowLayout {
  size_t source[3];  // which of red, green, blue each channel is
  size_t pixel_step;
  size_t channel_step;
};

RowLayout row_layout(const ImageInput& input, size_t width) {
  RowLayout layout{{0, 1, 2}, 1, width};
  if (input.colour == Colour::kBgr) std::swap(layout.source[0], layout.source[2]);
  if (input.layout == Layout::kNhwc) {
    layout.pixel_step = 3;
    layout.channel_step = 1;
  }
  return layout;
}

void resize_row(const uint8_t* row, const std::vector<Tap>& columns, const RowLayout& layout, float* output) {
  for (size_t channel = 0; channel < 3; ++channel) {
    const uint8_t* source = row + layout.source[channel];
    float* target = output + channel * layout.channel_step;
    for (const Tap& tap : columns) {
      const float first = source[size_t{3} * tap.first];
      const float second = source[size_t{3} * tap.second];
      *target = first + (second - first) * tap.weight;
      target += layout.pixel_step;
    }
  }
}

// The last two rows that were resized: most output rows share one or both with the row above.
class RowCache {
 public:
  RowCache(const Picture& picture, const std::vector<Tap>& columns, const RowLayout& layout)
      : picture_(picture), columns_(columns), layout_(layout) {
    for (Row& row : rows_)
      row.values.resize(3 * columns.size());
  }

  // Rows y and y + 1 are asked for in this order; the second request must not displace the first.
  const float* get(uint32_t y) {
    for (Row& row : rows_) {
      if (row.y == y) return row.values.data();
    }
    Row& oldest = rows_[next_];
    next_ ^= 1;
    oldest.y = y;
    const uint8_t* source = picture_.pixels + size_t{3} * picture_.width * y;
    resize_row(source, columns_, layout_, oldest.values.data());
    return oldest.values.data();
  }

  void keep(uint32_t y) { next_ = rows_[0].y == y ? 1 : 0; }

 private:
  struct Row {
    uint32_t y = UINT32_MAX;
    std::vector<float> values;
  };
  const Picture& picture_;
  const std::vector<Tap>& columns_;
  const RowLayout& layout_;
  Row rows_[2];
  size_t next_ = 0;
};

// output = (a + (b - a) * weight) * factor + offset, where factor and offset have a value for each element.
void blend(const float* __restrict a, const float* __restrict b, float weight, const float* __restrict factor,
           const float* __restrict offset, size_t count, float* __restrict output) {
  for (size_t index = 0; index < count; ++index) {
    output[index] = (a[index] + (b[index] - a[index]) * weight) * factor[index] + offset[index];
  }
}

// The values of black, everywhere.
void fill_black(const ImageInput& input, const float (&offset)[3], float* tensor) {
  const size_t pixels = size_t{input.width} * input.height;
  for (size_t index = 0; index < 3 * pixels; ++index) {
    tensor[index] = offset[input.layout == Layout::kNchw ? index / pixels : index % 3];
  }
}

}  // namespace

void prepare_image(const Picture& picture, const ImageInput& input, float* tensor) {
  const Placement at = place(picture, input);
  const bool planes = input.layout == Layout::kNchw;
  float factor[3];
  float offset[3];
  for (size_t channel = 0; channel < 3; ++channel) {
    factor[channel] = 1.0F / input.scale[channel];
    offset[channel] = -input.mean[channel] / input.scale[channel];
  }
  if (at.width != input.width || at.height != input.height) fill_black(input, offset, tensor);

  // factor and offset of each element of a row
  std::vector<float> factors(3 * at.width);
  std::vector<float> offsets(3 * at.width);
  for (size_t index = 0; index < factors.size(); ++index) {
    const size_t channel = planes ? index / at.width : index % 3;
    factors[index] = factor[channel];
    offsets[index] = offset[channel];
  }
  const RowLayout layout = row_layout(input, at.width);
  const std::vector<Tap> columns = taps(at.width, at.source_x, at.source_width, picture.width);
  const std::vector<Tap> rows = taps(at.height, at.source_y, at.source_height, picture.height);
  RowCache cache(picture, columns, layout);
  const size_t plane = size_t{input.width} * input.height;
  for (size_t y = 0; y < at.height; ++y) {
    const Tap tap = rows[y];
    const float* first = cache.get(tap.first);
    cache.keep(tap.first);
    const float* second = cache.get(tap.second);
    const size_t pixel = (at.top + y) * input.width + at.left;
    if (planes) {
      for (size_t channel = 0; channel < 3; ++channel) {
        const size_t begin = channel * at.width;
        blend(first + begin, second + begin, tap.weight, factors.data() + begin, offsets.data() + begin,
              at.width, tensor + channel * plane + pixel);
      }
    } else {
      blend(first, second, tap.weight, factors.data(), offsets.data(), 3 * at.width, tensor + 3 * pixel);
    }
  }
}

}  // namespace vaccel::runtime
