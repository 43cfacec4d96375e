// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/image_prepare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace vaccel::runtime {
namespace {

// A pixel's three channels and one to spare: what one instruction works on. (Vector types as GCC and Clang have them, on
// every processor.)
using Pixel = float __attribute__((vector_size(16)));

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

// The pixel at `at`; reads one byte beyond it.
Pixel load_pixel(const uint8_t* at) {
  using Bytes = uint8_t __attribute__((vector_size(16)));
  using Halves = uint16_t __attribute__((vector_size(16)));
  using Integers = int32_t __attribute__((vector_size(16)));
  uint32_t four = 0;
  std::memcpy(&four, at, sizeof four);
  const Integers packed = {static_cast<int32_t>(four), 0, 0, 0};
  // Zeros in between widen bytes to 16 and then to 32 bits: two unpack instructions.
  const auto halves = reinterpret_cast<Halves>(__builtin_shufflevector(
      reinterpret_cast<Bytes>(packed), Bytes{}, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  const auto integers =
      reinterpret_cast<Integers>(__builtin_shufflevector(halves, Halves{}, 0, 8, 1, 9, 2, 10, 3, 11));
  return __builtin_convertvector(integers, Pixel);
}

// A row of the picture, resized to `columns`.
void resize_row(const uint8_t* row, const std::vector<Tap>& columns, Pixel* output) {
  for (const Tap& tap : columns) {
    const Pixel first = load_pixel(row + size_t{3} * tap.first);
    const Pixel second = load_pixel(row + size_t{3} * tap.second);
    *output++ = first + (second - first) * tap.weight;
  }
}

// The last two rows that were resized: most output rows share one or both with the row above.
class RowCache {
 public:
  RowCache(const Picture& picture, const std::vector<Tap>& columns) : picture_(picture), columns_(columns) {
    for (Row& row : rows_)
      row.pixels.resize(columns.size());
  }

  // Row y, valid until the call after the next.
  const Pixel* get(uint32_t y) {
    for (size_t index = 0; index < 2; ++index) {
      if (rows_[index].y != y) continue;
      oldest_ = 1 - index;
      return rows_[index].pixels.data();
    }
    Row& row = rows_[oldest_];
    oldest_ = 1 - oldest_;
    row.y = y;
    resize_row(source(y), columns_, row.pixels.data());
    return row.pixels.data();
  }

 private:
  struct Row {
    uint32_t y = UINT32_MAX;
    std::vector<Pixel> pixels;
  };

  // The picture's row; the last one with a byte behind it, for load_pixel().
  const uint8_t* source(uint32_t y) {
    const size_t bytes = size_t{3} * picture_.width;
    const uint8_t* row = picture_.pixels + bytes * y;
    if (y + 1 < picture_.height) return row;
    last_row_.assign(row, row + bytes);
    last_row_.push_back(0);
    return last_row_.data();
  }

  const Picture& picture_;
  const std::vector<Tap>& columns_;
  std::vector<uint8_t> last_row_;
  Row rows_[2];
  size_t oldest_ = 0;
};

// Which of red, green and blue a channel of the model is.
size_t colour_of(const ImageInput& input, size_t channel) {
  return input.colour == Colour::kRgb ? channel : 2 - channel;
}

// Resized pixels to a row of the model's input: (x - mean) / scale, in its order of colours and its layout.
class FloatWriter {
 public:
  explicit FloatWriter(const ImageInput& input) : plane_(size_t{input.width} * input.height) {
    for (size_t channel = 0; channel < 3; ++channel) {
      source_[channel] = colour_of(input, channel);
      factor_[source_[channel]] = 1.0F / input.scale[channel];
      offset_[source_[channel]] = -input.mean[channel] / input.scale[channel];
    }
  }

  // The value of black in the model's channel.
  [[nodiscard]] float black(size_t channel) const { return offset_[source_[channel]]; }

  // `output` is the row's first value in the first plane.
  void write_planes(const Pixel* above, const Pixel* below, float weight, size_t count, float* output) const {
    float* const planes[3] = {output, output + plane_, output + 2 * plane_};
    size_t index = 0;
    for (; index + 4 <= count; index += 4) {  // four pixels turned into four values of each channel
      const Pixel a = blend(above[index], below[index], weight);
      const Pixel b = blend(above[index + 1], below[index + 1], weight);
      const Pixel c = blend(above[index + 2], below[index + 2], weight);
      const Pixel d = blend(above[index + 3], below[index + 3], weight);
      const Pixel ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Pixel cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Pixel values[3] = {
          __builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
          __builtin_shufflevector(__builtin_shufflevector(a, b, 2, 6, 3, 7),
                                  __builtin_shufflevector(c, d, 2, 6, 3, 7), 0, 1, 4, 5)};
      for (size_t channel = 0; channel < 3; ++channel) {
        std::memcpy(planes[channel] + index, &values[source_[channel]], sizeof(Pixel));
      }
    }
    for (; index < count; ++index) {
      const Pixel pixel = blend(above[index], below[index], weight);
      for (size_t channel = 0; channel < 3; ++channel)
        planes[channel][index] = pixel[source_[channel]];
    }
  }

  void write_pixels(const Pixel* above, const Pixel* below, float weight, size_t count, float* output) const {
    for (size_t index = 0; index < count; ++index) {
      const Pixel pixel = blend(above[index], below[index], weight);
      for (size_t channel = 0; channel < 3; ++channel)
        *output++ = pixel[source_[channel]];
    }
  }

 private:
  [[nodiscard]] Pixel blend(Pixel above, Pixel below, float weight) const {
    return (above + (below - above) * weight) * factor_ + offset_;
  }

  size_t plane_;
  size_t source_[3];   // which of red, green and blue each of the model's channels is
  Pixel factor_ = {};  // of red, green and blue
  Pixel offset_ = {};
};

// What a channel of the model makes of a pixel's value, before it is rounded: value * factor + offset.
struct Encoding {
  double factor;
  double offset;
};

Encoding encoding_of(const ImageInput& input, const Quantisation& quantisation, size_t channel) {
  const double step = double{input.scale[channel]} * double{quantisation.scale};
  return {1 / step, static_cast<double>(quantisation.zero_point) - double{input.mean[channel]} / step};
}

// The same, of integers: what FloatWriter makes, divided by the quantisation's scale, plus its zero point, rounded half to
// even and saturated.
template <typename Stored>
class StoredWriter {
 public:
  StoredWriter(const ImageInput& input, const Quantisation& quantisation)
      : plane_(size_t{input.width} * input.height) {
    for (size_t channel = 0; channel < 3; ++channel) {
      const Encoding encoding = encoding_of(input, quantisation, channel);
      source_[channel] = colour_of(input, channel);
      factor_[source_[channel]] = static_cast<float>(encoding.factor);
      offset_[source_[channel]] = static_cast<float>(encoding.offset);
    }
  }

  [[nodiscard]] Stored black(size_t channel) const {
    return static_cast<Stored>(stored(Pixel{} * factor_ + offset_)[source_[channel]]);
  }

  void write_planes(const Pixel* above, const Pixel* below, float weight, size_t count,
                    Stored* output) const {
    write(above, below, weight, count, output, plane_, 1);
  }
  void write_pixels(const Pixel* above, const Pixel* below, float weight, size_t count,
                    Stored* output) const {
    write(above, below, weight, count, output, 1, 3);
  }

 private:
  using Integers = int32_t __attribute__((vector_size(16)));

  // Values to the integers that are stored for them; what is no number becomes the least one.
  [[nodiscard]] static Integers stored(Pixel values) {
    constexpr float kLeast = std::numeric_limits<Stored>::min();
    constexpr float kLargest = std::numeric_limits<Stored>::max();
    constexpr float kNoFraction = 0x1.8p23F;  // a float of this size has none: adding it rounds, half to even
    const Pixel least = Pixel{} + kLeast;
    const Pixel largest = Pixel{} + kLargest;
    values = values >= least ? values : least;
    values = values <= largest ? values : largest;
    return __builtin_convertvector((values + kNoFraction) - kNoFraction, Integers);
  }

  void write(const Pixel* above, const Pixel* below, float weight, size_t count, Stored* output,
             size_t channel, size_t step) const {
    for (size_t index = 0; index < count; ++index) {
      const Pixel pixel = above[index] + (below[index] - above[index]) * weight;
      const Integers integers = stored(pixel * factor_ + offset_);
      for (size_t one = 0; one < 3; ++one)
        output[index * step + one * channel] = static_cast<Stored>(integers[source_[one]]);
    }
  }

  size_t plane_;
  size_t source_[3];  // as in FloatWriter
  Pixel factor_ = {};
  Pixel offset_ = {};
};

// What is stored for each value of a pixel, for a picture that is not resized.
template <typename Stored>
struct StoredTables {
  std::array<std::array<Stored, 256>, 3> channels;  // of the model
  bool identity = std::is_same_v<Stored, uint8_t>;  // they are the pixel's own values

  StoredTables(const ImageInput& input, const Quantisation& quantisation) {
    for (size_t channel = 0; channel < 3; ++channel) {
      const Encoding encoding = encoding_of(input, quantisation, channel);
      for (size_t value = 0; value < 256; ++value) {
        const double exact = static_cast<double>(value) * encoding.factor + encoding.offset;
        const double limited = exact >= double{std::numeric_limits<Stored>::min()}
                                   ? std::min(exact, double{std::numeric_limits<Stored>::max()})
                                   : double{std::numeric_limits<Stored>::min()};
        channels[channel][value] = static_cast<Stored>(std::nearbyint(limited));
        identity = identity && static_cast<size_t>(channels[channel][value]) == value;
      }
    }
  }
};

// Rows of pixels that are not resized, to where they lie in the input.
template <typename Stored>
void store_pixels(const Picture& picture, const ImageMapping& at, const ImageInput& input,
                  const Quantisation& quantisation, Stored* tensor) {
  const StoredTables<Stored> tables(input, quantisation);
  const auto left = static_cast<size_t>(at.source_x);
  const auto top = static_cast<size_t>(at.source_y);
  const bool planes = input.layout == Layout::kNchw;
  const size_t next_channel = planes ? size_t{input.width} * input.height : 1;
  const size_t next_pixel = planes ? 1 : 3;
  for (size_t y = 0; y < at.height; ++y) {
    const uint8_t* row = picture.pixels + 3 * ((top + y) * picture.width + left);
    Stored* output = tensor + ((at.top + y) * input.width + at.left) * next_pixel;
    if (tables.identity && !planes && input.colour == Colour::kRgb) {
      std::memcpy(output, row, 3 * at.width);
      continue;
    }
    for (size_t channel = 0; channel < 3; ++channel) {
      const std::array<Stored, 256>& table = tables.channels[channel];
      const uint8_t* source = row + colour_of(input, channel);
      for (size_t x = 0; x < at.width; ++x)
        output[channel * next_channel + x * next_pixel] = table[source[3 * x]];
    }
  }
}

// Whether each pixel of the input is one of the picture's.
bool is_unscaled(const ImageMapping& at) {
  return at.source_width == static_cast<double>(at.width) &&
         at.source_height == static_cast<double>(at.height) && at.source_x == std::floor(at.source_x) &&
         at.source_y == std::floor(at.source_y);
}

// The values of black, everywhere.
template <typename Writer, typename Value>
void fill_black(const ImageInput& input, const Writer& writer, Value* tensor) {
  const size_t pixels = size_t{input.width} * input.height;
  for (size_t index = 0; index < 3 * pixels; ++index) {
    tensor[index] = writer.black(input.layout == Layout::kNchw ? index / pixels : index % 3);
  }
}

}  // namespace

ImageMapping map_image(uint32_t image_width, uint32_t image_height, const ImageInput& input) {
  const double width = image_width;
  const double height = image_height;
  ImageMapping mapping;
  mapping.image_width = image_width;
  mapping.image_height = image_height;
  mapping.input_width = input.width;
  mapping.input_height = input.height;
  mapping.source_width = width;
  mapping.source_height = height;
  mapping.width = input.width;
  mapping.height = input.height;
  const double scale_x = input.width / width;
  const double scale_y = input.height / height;
  switch (input.resize) {
    case ResizeMode::kStretch:
      break;
    case ResizeMode::kCrop: {
      const double scale = std::max(scale_x, scale_y);
      mapping.source_width = input.width / scale;
      mapping.source_height = input.height / scale;
      mapping.source_x = (width - mapping.source_width) / 2;
      mapping.source_y = (height - mapping.source_height) / 2;
      break;
    }
    case ResizeMode::kLetterbox: {
      const double scale = std::min(scale_x, scale_y);
      const auto fit = [&](double length, uint32_t most) {
        return std::clamp<size_t>(static_cast<size_t>(std::lround(length * scale)), 1, most);
      };
      mapping.width = fit(width, input.width);
      mapping.height = fit(height, input.height);
      mapping.left = (input.width - mapping.width) / 2;
      mapping.top = (input.height - mapping.height) / 2;
      break;
    }
  }
  return mapping;
}

namespace {

template <typename Writer, typename Value>
void resize_into(const Picture& picture, const ImageMapping& at, const ImageInput& input,
                 const Writer& writer, Value* tensor) {
  const std::vector<Tap> columns = taps(at.width, at.source_x, at.source_width, picture.width);
  const std::vector<Tap> rows = taps(at.height, at.source_y, at.source_height, picture.height);
  RowCache cache(picture, columns);
  for (size_t y = 0; y < at.height; ++y) {
    const Pixel* above = cache.get(rows[y].first);
    const Pixel* below = cache.get(rows[y].second);
    const size_t pixel = (at.top + y) * input.width + at.left;
    if (input.layout == Layout::kNchw) {
      writer.write_planes(above, below, rows[y].weight, at.width, tensor + pixel);
    } else {
      writer.write_pixels(above, below, rows[y].weight, at.width, tensor + 3 * pixel);
    }
  }
}

template <typename Stored>
void prepare_stored(const Picture& picture, const ImageInput& input, const Quantisation& quantisation,
                    Stored* tensor) {
  const ImageMapping at = map_image(picture.width, picture.height, input);
  const StoredWriter<Stored> writer(input, quantisation);
  if (at.width != input.width || at.height != input.height) fill_black(input, writer, tensor);
  if (is_unscaled(at)) {
    store_pixels(picture, at, input, quantisation, tensor);
  } else {
    resize_into(picture, at, input, writer, tensor);
  }
}

}  // namespace

void prepare_image(const Picture& picture, const ImageInput& input, float* tensor) {
  const ImageMapping at = map_image(picture.width, picture.height, input);
  const FloatWriter writer(input);
  if (at.width != input.width || at.height != input.height) fill_black(input, writer, tensor);
  resize_into(picture, at, input, writer, tensor);
}

void prepare_image(const Picture& picture, const ImageInput& input, const Quantisation& quantisation,
                   uint8_t* tensor) {
  prepare_stored(picture, input, quantisation, tensor);
}

void prepare_image(const Picture& picture, const ImageInput& input, const Quantisation& quantisation,
                   int8_t* tensor) {
  prepare_stored(picture, input, quantisation, tensor);
}

}  // namespace vaccel::runtime
