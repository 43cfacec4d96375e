// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/picture_file.h"

#include <gtest/gtest.h>
#include <png.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace vaccel::tool {
namespace {

using File = std::vector<std::byte>;

File file_of(const void* data, size_t size) {
  const auto* bytes = static_cast<const std::byte*>(data);
  return {bytes, bytes + size};
}

std::vector<uint8_t> gradient(uint32_t width, uint32_t height, size_t channels) {
  std::vector<uint8_t> pixels;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      const uint8_t values[] = {static_cast<uint8_t>(x * 5), static_cast<uint8_t>(y * 5), 77, 51};
      pixels.insert(pixels.end(), values, values + channels);
    }
  }
  return pixels;
}

File png_with_alpha(uint32_t width, uint32_t height) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGBA;
  const std::vector<uint8_t> pixels = gradient(width, height, 4);
  File file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = file.size();
  EXPECT_NE(png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr), 0);
  file.resize(size);
  return file;
}

File jpeg_of(uint32_t width, uint32_t height, int format) {
  const std::vector<uint8_t> pixels = gradient(width, height, format == TJPF_CMYK ? 4 : 3);
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(handle, pixels.data(), static_cast<int>(width), 0, static_cast<int>(height), format,
                        &buffer, &size, TJSAMP_444, 95, 0),
            0);
  File file = file_of(buffer, size);
  tjFree(buffer);
  tjDestroy(handle);
  return file;
}

File webp_of(uint32_t width, uint32_t height) {
  const std::vector<uint8_t> pixels = gradient(width, height, 3);
  uint8_t* buffer = nullptr;
  const size_t size = WebPEncodeLosslessRGB(pixels.data(), static_cast<int>(width), static_cast<int>(height),
                                            static_cast<int>(width * 3), &buffer);
  File file = file_of(buffer, size);
  WebPFree(buffer);
  return file;
}

void expect_refused(const File& file, vaccel_status code, const char* part) {
  const auto canvas = read_picture(file);
  ASSERT_FALSE(canvas);
  EXPECT_EQ(canvas.error().code(), code);
  EXPECT_NE(canvas.error().message().find(part), std::string::npos) << canvas.error().message();
}

TEST(PictureFile, WhatIsWrittenIsReadAgain) {
  const std::vector<uint8_t> pixels = gradient(31, 17, 3);
  const auto file = png_of(Canvas(31, 17, pixels));
  ASSERT_TRUE(file);
  const auto back = read_picture(*file);
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->width(), 31u);
  EXPECT_EQ(back->height(), 17u);
  EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), back->pixels().begin(), back->pixels().end()));
}

TEST(PictureFile, ReadsWebpAndJpeg) {
  const std::vector<uint8_t> pixels = gradient(40, 30, 3);
  const auto webp = read_picture(webp_of(40, 30));
  ASSERT_TRUE(webp) << webp.error().message();
  EXPECT_TRUE(std::equal(pixels.begin(), pixels.end(), webp->pixels().begin(), webp->pixels().end()));
  const auto jpeg = read_picture(jpeg_of(40, 30, TJPF_RGB));
  ASSERT_TRUE(jpeg) << jpeg.error().message();
  EXPECT_EQ(jpeg->width(), 40u);
  EXPECT_EQ(jpeg->height(), 30u);
  for (size_t at = 0; at < pixels.size(); ++at)
    ASSERT_NEAR(jpeg->pixels()[at], pixels[at], 8) << at;
}

TEST(PictureFile, TransparentPixelsAreOverBlack) {
  const auto canvas = read_picture(png_with_alpha(20, 20));
  ASSERT_TRUE(canvas) << canvas.error().message();
  // An opacity of 51 / 255; the least significant step may be rounded either way.
  EXPECT_LT(canvas->at(19, 19).red, 95);
  EXPECT_LT(canvas->at(0, 0).blue, 77);
  EXPECT_EQ(canvas->at(0, 0).red, 0);
}

TEST(PictureFile, SaysWhatIsNoPicture) {
  expect_refused({}, VACCEL_INVALID_ARGUMENT, "0 bytes are no PNG, JPEG or WebP");
  expect_refused(file_of("GIF89a and more", 15), VACCEL_INVALID_ARGUMENT, "15 bytes are no PNG");
  expect_refused(jpeg_of(8, 8, TJPF_CMYK), VACCEL_INVALID_ARGUMENT, "four inks");
}

TEST(PictureFile, NeverDrawsOnHalfAPicture) {
  for (const File& whole : {png_with_alpha(60, 60), webp_of(60, 60)}) {
    for (size_t size = 1; size + 13 < whole.size(); size += 7)
      EXPECT_FALSE(read_picture(File(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)))) << size;
  }
  const File jpeg = jpeg_of(60, 60, TJPF_RGB);
  EXPECT_FALSE(read_picture(File(jpeg.begin(), jpeg.begin() + 100)));
}

TEST(PictureFile, RefusesMorePixelsThanAHostTakes) {
  File huge = png_with_alpha(8, 8);
  const uint8_t size[] = {0, 0, 0xEA, 0x60};  // 60000, with a checksum to match
  std::memcpy(huge.data() + 16, size, 4);
  std::memcpy(huge.data() + 20, size, 4);
  const uint32_t checksum =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const uint8_t*>(huge.data()) + 12, 17));
  for (size_t byte = 0; byte < 4; ++byte)
    huge[29 + byte] = static_cast<std::byte>(checksum >> (24 - 8 * byte));
  expect_refused(huge, VACCEL_RESOURCE_EXHAUSTED, "60000 x 60000 pixels");
}

}  // namespace
}  // namespace vaccel::tool
