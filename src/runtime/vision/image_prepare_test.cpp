// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/image_prepare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace vaccel::runtime {
namespace {

struct OwnedPicture {
  uint32_t width;
  uint32_t height;
  std::vector<uint8_t> pixels;
  [[nodiscard]] Picture view() const { return {width, height, pixels.data()}; }
};

// Every channel of every pixel differs, and not linearly.
OwnedPicture make_picture(uint32_t width, uint32_t height) {
  OwnedPicture picture{width, height, {}};
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      for (uint32_t channel = 0; channel < 3; ++channel) {
        picture.pixels.push_back(static_cast<uint8_t>((x * 37 + y * 101 + channel * 59 + x * y) % 256));
      }
    }
  }
  return picture;
}

ImageInput make_input(uint32_t width, uint32_t height) {
  ImageInput input;
  input.width = width;
  input.height = height;
  input.mean = {10, 20, 30};
  input.scale = {2, 4, 8};
  return input;
}

// Bilinear resizing, written down as directly as can be: the value of `channel` at (x, y) of the output.
double sample(const OwnedPicture& picture, double left, double top, double width, double height,
              const ImageInput& input, uint32_t x, uint32_t y, size_t channel, uint32_t out_width,
              uint32_t out_height) {
  (void)input;
  const double at_x = std::clamp(left + (x + 0.5) * width / out_width - 0.5, 0.0, picture.width - 1.0);
  const double at_y = std::clamp(top + (y + 0.5) * height / out_height - 0.5, 0.0, picture.height - 1.0);
  const auto pixel = [&](double column, double row) {
    const auto px = static_cast<size_t>(std::min(column, picture.width - 1.0));
    const auto py = static_cast<size_t>(std::min(row, picture.height - 1.0));
    return static_cast<double>(picture.pixels[3 * (py * picture.width + px) + channel]);
  };
  const double x0 = std::floor(at_x);
  const double y0 = std::floor(at_y);
  const double wx = at_x - x0;
  const double wy = at_y - y0;
  return (pixel(x0, y0) * (1 - wx) + pixel(x0 + 1, y0) * wx) * (1 - wy) +
         (pixel(x0, y0 + 1) * (1 - wx) + pixel(x0 + 1, y0 + 1) * wx) * wy;
}

float tensor_at(const std::vector<float>& tensor, const ImageInput& input, uint32_t x, uint32_t y,
                size_t channel) {
  const size_t pixel = size_t{y} * input.width + x;
  return input.layout == Layout::kNchw ? tensor[channel * input.width * input.height + pixel]
                                       : tensor[3 * pixel + channel];
}

std::vector<float> prepare(const OwnedPicture& picture, const ImageInput& input) {
  std::vector<float> tensor(size_t{3} * input.width * input.height, -1e9F);
  prepare_image(picture.view(), input, tensor.data());
  return tensor;
}

TEST(PrepareImage, StretchesAsTheFormulaSays) {
  for (const auto& [from_x, from_y, to_x, to_y] : {std::array<uint32_t, 4>{31, 17, 12, 9},
                                                   {7, 5, 20, 23},
                                                   {1, 1, 4, 4},
                                                   {16, 16, 16, 16},
                                                   {3, 100, 50, 2}}) {
    const OwnedPicture picture = make_picture(from_x, from_y);
    ImageInput input = make_input(to_x, to_y);
    for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
      for (const Colour colour : {Colour::kRgb, Colour::kBgr}) {
        input.layout = layout;
        input.colour = colour;
        const std::vector<float> tensor = prepare(picture, input);
        for (uint32_t y = 0; y < to_y; ++y) {
          for (uint32_t x = 0; x < to_x; ++x) {
            for (size_t channel = 0; channel < 3; ++channel) {
              const size_t source = colour == Colour::kRgb ? channel : 2 - channel;
              const double value = sample(picture, 0, 0, from_x, from_y, input, x, y, source, to_x, to_y);
              const double wanted = (value - input.mean[channel]) / input.scale[channel];
              ASSERT_NEAR(tensor_at(tensor, input, x, y, channel), wanted, 1e-3)
                  << from_x << "x" << from_y << " to " << to_x << "x" << to_y << " at " << x << "," << y;
            }
          }
        }
      }
    }
  }
}

TEST(PrepareImage, TheSameSizeChangesNothing) {
  const OwnedPicture picture = make_picture(9, 6);
  ImageInput input = make_input(9, 6);
  input.mean = {0, 0, 0};
  input.scale = {1, 1, 1};
  input.layout = Layout::kNhwc;
  const std::vector<float> tensor = prepare(picture, input);
  for (size_t index = 0; index < tensor.size(); ++index)
    EXPECT_EQ(tensor[index], picture.pixels[index]);
}

TEST(PrepareImage, CropsTheMiddle) {
  const OwnedPicture picture = make_picture(40, 20);  // to a square: columns 10 to 30
  ImageInput input = make_input(10, 10);
  input.resize = ResizeMode::kCrop;
  const std::vector<float> tensor = prepare(picture, input);
  for (uint32_t y = 0; y < 10; ++y) {
    for (uint32_t x = 0; x < 10; ++x) {
      const double value = sample(picture, 10, 0, 20, 20, input, x, y, 0, 10, 10);
      EXPECT_NEAR(tensor_at(tensor, input, x, y, 0), (value - 10) / 2, 1e-3);
    }
  }
}

TEST(PrepareImage, LetterboxesOverBlack) {
  const OwnedPicture picture = make_picture(40, 20);
  ImageInput input = make_input(20, 20);  // the picture takes rows 5 to 15
  input.resize = ResizeMode::kLetterbox;
  for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
    input.layout = layout;
    const std::vector<float> tensor = prepare(picture, input);
    for (uint32_t x = 0; x < 20; ++x) {
      for (size_t channel = 0; channel < 3; ++channel) {
        const float black = -input.mean[channel] / input.scale[channel];
        EXPECT_EQ(tensor_at(tensor, input, x, 4, channel), black);
        EXPECT_EQ(tensor_at(tensor, input, x, 15, channel), black);
        const double value = sample(picture, 0, 0, 40, 20, input, x, 3, channel, 20, 10);
        EXPECT_NEAR(tensor_at(tensor, input, x, 8, channel),
                    (value - input.mean[channel]) / input.scale[channel], 1e-3);
      }
    }
  }
}

TEST(PrepareImage, ASliverKeepsAPixel) {
  const OwnedPicture picture = make_picture(1000, 1);
  ImageInput input = make_input(8, 8);
  input.resize = ResizeMode::kLetterbox;
  const std::vector<float> tensor = prepare(picture, input);
  EXPECT_TRUE(std::all_of(tensor.begin(), tensor.end(),
                          [](float value) { return std::isfinite(value) && value > -1e8F; }));
}

template <typename Stored>
std::vector<Stored> prepare_stored(const OwnedPicture& picture, const ImageInput& input,
                                   const Quantisation& quantisation) {
  std::vector<Stored> tensor(size_t{3} * input.width * input.height, Stored{77});
  prepare_image(picture.view(), input, quantisation, tensor.data());
  return tensor;
}

// Each stored number against the float that the same picture makes.
template <typename Stored>
void expect_rounded(const OwnedPicture& picture, const ImageInput& input, const Quantisation& quantisation) {
  const std::vector<float> floats = prepare(picture, input);
  const std::vector<Stored> stored = prepare_stored<Stored>(picture, input, quantisation);
  size_t inside = 0;
  for (size_t index = 0; index < stored.size(); ++index) {
    const double exact =
        double{floats[index]} / double{quantisation.scale} + static_cast<double>(quantisation.zero_point);
    const double limited = std::clamp(exact, double{std::numeric_limits<Stored>::min()},
                                      double{std::numeric_limits<Stored>::max()});
    ASSERT_LE(std::abs(stored[index] - limited), 0.5 + 1e-3) << index << ": " << exact;
    inside += exact == limited ? 1 : 0;
  }
  EXPECT_GT(inside, stored.size() / 2);
}

TEST(PrepareImage, IntegersAreTheFloatsRoundedAndLimited) {
  const OwnedPicture picture = make_picture(31, 17);
  for (const auto& [width, height] : {std::pair<uint32_t, uint32_t>{12, 9}, {50, 23}, {31, 17}}) {
    for (const ResizeMode resize : {ResizeMode::kStretch, ResizeMode::kCrop, ResizeMode::kLetterbox}) {
      for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
        for (const Colour colour : {Colour::kRgb, Colour::kBgr}) {
          ImageInput input = make_input(width, height);
          input.resize = resize;
          input.layout = layout;
          input.colour = colour;
          expect_rounded<uint8_t>(picture, input, {0.35F, 20});
          expect_rounded<int8_t>(picture, input, {0.35F, -100});
        }
      }
    }
  }
}

// (x - 128) / 128, stored as scale 1 / 128 and zero point 128, is x.
TEST(PrepareImage, PixelsThatAreTheIntegersStayAsTheyAre) {
  const OwnedPicture picture = make_picture(9, 6);
  ImageInput input = make_input(9, 6);
  input.mean = {128, 128, 128};
  input.scale = {128, 128, 128};
  for (const Layout layout : {Layout::kNchw, Layout::kNhwc}) {
    for (const Colour colour : {Colour::kRgb, Colour::kBgr}) {
      input.layout = layout;
      input.colour = colour;
      const auto bytes = prepare_stored<uint8_t>(picture, input, {1.0F / 128, 128});
      const auto shifted = prepare_stored<int8_t>(picture, input, {1.0F / 128, 0});
      for (size_t pixel = 0; pixel < 54; ++pixel) {
        for (size_t channel = 0; channel < 3; ++channel) {
          const size_t at = layout == Layout::kNchw ? channel * 54 + pixel : 3 * pixel + channel;
          const uint8_t value = picture.pixels[3 * pixel + (colour == Colour::kRgb ? channel : 2 - channel)];
          EXPECT_EQ(bytes[at], value);
          EXPECT_EQ(shifted[at], value - 128);
        }
      }
    }
  }
}

// In both ways: pixel by pixel, and where one pixel is resized to many.
TEST(PrepareImage, HalvesAreRoundedToEven) {
  for (const auto& [value, half] : {std::pair<int, int>{1, 0}, {2, 1}, {3, 2}, {5, 2}, {7, 4}, {255, 128}}) {
    const auto channel = static_cast<uint8_t>(value);
    const OwnedPicture picture{1, 1, {channel, channel, channel}};
    for (const uint32_t size : {1u, 4u}) {
      ImageInput input = make_input(size, size);
      input.mean = {0, 0, 0};
      input.scale = {2, 2, 2};
      EXPECT_EQ(prepare_stored<uint8_t>(picture, input, {}),
                std::vector<uint8_t>(size_t{3} * size * size, static_cast<uint8_t>(half)));
    }
  }
}

TEST(PrepareImage, WhatIsBeyondTheIntegersIsLimited) {
  for (const uint32_t size : {1u, 4u}) {
    ImageInput input = make_input(size, size);
    input.mean = {100, 100, 100};
    input.scale = {0.1F, -0.1F, 1e-38F};
    input.layout = Layout::kNhwc;
    const auto low = prepare_stored<uint8_t>({1, 1, {0, 0, 0}}, input, {});
    EXPECT_EQ((std::vector<uint8_t>(low.begin(), low.begin() + 3)), (std::vector<uint8_t>{0, 255, 0}));
    const auto high = prepare_stored<int8_t>({1, 1, {255, 255, 255}}, input, {1e-6F, 0});
    EXPECT_EQ(high[0], 127);
    EXPECT_EQ(high[1], -128);
  }
}

TEST(PrepareImage, ALetterboxOfIntegersIsBlack) {
  const OwnedPicture picture = make_picture(40, 20);
  ImageInput input = make_input(20, 20);
  input.mean = {128, 128, 128};
  input.scale = {128, 128, 128};
  input.resize = ResizeMode::kLetterbox;
  const auto tensor = prepare_stored<int8_t>(picture, input, {1.0F / 128, 0});
  for (size_t channel = 0; channel < 3; ++channel) {
    EXPECT_EQ(tensor[channel * 400 + 4 * 20], -128);
    EXPECT_EQ(tensor[channel * 400 + 15 * 20 + 19], -128);
  }
}

// What a model sees at a place of its input is what the picture has where map_image() says. The picture's red is its column
// and its green its row, so that each value tells where it comes from.
TEST(MapImage, LeadsToWhereThePixelsCameFrom) {
  constexpr uint32_t kWidth = 250;
  constexpr uint32_t kHeight = 120;
  OwnedPicture picture{kWidth, kHeight, {}};
  for (uint32_t y = 0; y < kHeight; ++y) {
    for (uint32_t x = 0; x < kWidth; ++x)
      picture.pixels.insert(picture.pixels.end(), {static_cast<uint8_t>(x), static_cast<uint8_t>(y), 200});
  }
  for (const ResizeMode resize : {ResizeMode::kStretch, ResizeMode::kCrop, ResizeMode::kLetterbox}) {
    ImageInput input = make_input(64, 48);
    input.layout = Layout::kNhwc;
    input.resize = resize;
    input.mean = {0, 0, 0};
    input.scale = {1, 1, 1};
    std::vector<float> tensor(size_t{3} * 64 * 48);
    prepare_image(picture.view(), input, tensor.data());
    const ImageMapping mapping = map_image(kWidth, kHeight, input);
    size_t compared = 0;
    for (size_t y = 0; y < 48; ++y) {
      for (size_t x = 0; x < 64; ++x) {
        const float* pixel = tensor.data() + (y * 64 + x) * 3;
        const double image_x = mapping.image_x(static_cast<double>(x) + 0.5);
        const double image_y = mapping.image_y(static_cast<double>(y) + 0.5);
        EXPECT_NEAR(mapping.input_x(image_x), static_cast<double>(x) + 0.5, 1e-9);
        EXPECT_NEAR(mapping.input_y(image_y), static_cast<double>(y) + 0.5, 1e-9);
        if (pixel[2] == 0) {  // a letterbox's bar
          EXPECT_TRUE(image_y < 0 || image_y > kHeight);
          continue;
        }
        EXPECT_NEAR(pixel[0] + 0.5, image_x, 0.5);
        EXPECT_NEAR(pixel[1] + 0.5, image_y, 0.5);
        ++compared;
      }
    }
    EXPECT_GT(compared, 64u * 24);
  }
}

}  // namespace
}  // namespace vaccel::runtime
