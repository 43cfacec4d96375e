// SPDX-License-Identifier: Apache-2.0
//
// Decoding, on pictures that the libraries' own encoders made, whole and damaged.
#include "runtime/vision/image_decode.h"

#include <spng.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <array>
#include <functional>

#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

using Pixel = std::array<int, 3>;

struct Decoded {
  vaccel_status status;
  std::string sentence;
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> pixels;

  [[nodiscard]] Pixel at(uint32_t x, uint32_t y) const {
    const uint8_t* pixel = pixels.data() + 3 * (size_t{y} * width + x);
    return {pixel[0], pixel[1], pixel[2]};
  }
};

// Decodes from memory of exactly the file's size, so that AddressSanitizer sees a byte read too many.
Decoded decode(const std::string& file, ImageLimits limits = {}) {
  const std::vector<std::byte> exact(testing::as_bytes(file).begin(), testing::as_bytes(file).end());
  Scratch memory;
  const auto picture = decode_image(exact, limits, memory);
  if (!picture) return {picture.error().code(), picture.error().message(), 0, 0, {}};
  const size_t bytes = size_t{3} * picture->width * picture->height;
  return {VACCEL_OK, "", picture->width, picture->height, {picture->pixels, picture->pixels + bytes}};
}

void expect_near(const Pixel& seen, const Pixel& wanted, int tolerance) {
  for (size_t channel = 0; channel < 3; ++channel)
    EXPECT_NEAR(seen[channel], wanted[channel], tolerance);
}

// ---- Makers of files

struct PngExtras {
  const spng_plte* palette = nullptr;
  const spng_trns* transparent = nullptr;
  bool interlaced = false;
};

std::string make_png(uint32_t width, uint32_t height, spng_color_type type, uint8_t depth,
                     const std::vector<uint8_t>& data, const PngExtras& extras = {}) {
  spng_ctx* context = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{width,
                   height,
                   depth,
                   static_cast<uint8_t>(type),
                   0,
                   0,
                   static_cast<uint8_t>(extras.interlaced ? SPNG_INTERLACE_ADAM7 : SPNG_INTERLACE_NONE)};
  spng_set_ihdr(context, &header);
  if (extras.palette != nullptr) {
    spng_plte palette = *extras.palette;
    spng_set_plte(context, &palette);
  }
  if (extras.transparent != nullptr) {
    spng_trns transparent = *extras.transparent;
    spng_set_trns(context, &transparent);
  }
  EXPECT_EQ(spng_encode_image(context, data.data(), data.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
  size_t size = 0;
  int error = 0;
  void* buffer = spng_get_png_buffer(context, &size, &error);
  EXPECT_EQ(error, 0);
  std::string file(static_cast<const char*>(buffer), size);
  std::free(buffer);
  spng_ctx_free(context);
  return file;
}

std::vector<uint8_t> gradient(uint32_t width, uint32_t height, size_t channels) {
  std::vector<uint8_t> data;
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      const uint8_t values[] = {static_cast<uint8_t>(x * 4), static_cast<uint8_t>(y * 4), 128, 255};
      data.insert(data.end(), values, values + channels);
    }
  }
  return data;
}

std::string make_jpeg(int width, int height, int format, int subsampling, const std::vector<uint8_t>& data,
                      int flags = 0) {
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(
      tjCompress2(handle, data.data(), width, 0, height, format, &buffer, &size, subsampling, 95, flags), 0)
      << tjGetErrorStr2(handle);
  std::string file(reinterpret_cast<const char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return file;
}

std::string take(uint8_t* buffer, size_t size) {
  std::string file(reinterpret_cast<const char*>(buffer), size);
  WebPFree(buffer);
  return file;
}

std::string make_webp(int width, int height, const std::vector<uint8_t>& rgba) {
  uint8_t* buffer = nullptr;
  const size_t size = WebPEncodeLosslessRGBA(rgba.data(), width, height, 4 * width, &buffer);
  EXPECT_GT(size, 0u);
  return take(buffer, size);
}

std::string make_animation(int width, int height, const std::vector<std::vector<uint8_t>>& frames) {
  WebPAnimEncoderOptions options;
  WebPAnimEncoderOptionsInit(&options);
  WebPAnimEncoder* encoder = WebPAnimEncoderNew(width, height, &options);
  WebPConfig config;
  WebPConfigInit(&config);
  config.lossless = 1;
  int time = 0;
  for (const auto& frame : frames) {
    WebPPicture picture;
    WebPPictureInit(&picture);
    picture.use_argb = 1;
    picture.width = width;
    picture.height = height;
    EXPECT_NE(WebPPictureImportRGBA(&picture, frame.data(), 4 * width), 0);
    EXPECT_NE(WebPAnimEncoderAdd(encoder, &picture, time, &config), 0);
    WebPPictureFree(&picture);
    time += 100;
  }
  WebPAnimEncoderAdd(encoder, nullptr, time, nullptr);
  WebPData data;
  WebPDataInit(&data);
  EXPECT_NE(WebPAnimEncoderAssemble(encoder, &data), 0);
  std::string file(reinterpret_cast<const char*>(data.bytes), data.size);
  WebPDataClear(&data);
  WebPAnimEncoderDelete(encoder);
  return file;
}

std::vector<uint8_t> plain(size_t pixels, std::vector<uint8_t> one) {
  std::vector<uint8_t> data;
  for (size_t index = 0; index < pixels; ++index)
    data.insert(data.end(), one.begin(), one.end());
  return data;
}

uint32_t crc32_of(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

// Writes another size into a PNG's header, with the checksum that belongs to it.
std::string claim_size(std::string png, uint32_t width, uint32_t height) {
  png.replace(16, 8, big_endian(width) + big_endian(height));
  png.replace(29, 4, big_endian(crc32_of(std::string_view(png).substr(12, 17))));
  return png;
}

// ---- PNG

TEST(DecodePng, GivesExactPixelsOfEveryKind) {
  const auto rgb = gradient(32, 16, 3);
  for (const bool interlaced : {false, true}) {
    const auto colour =
        decode(make_png(32, 16, SPNG_COLOR_TYPE_TRUECOLOR, 8, rgb, {.interlaced = interlaced}));
    ASSERT_EQ(colour.status, VACCEL_OK) << colour.sentence;
    EXPECT_EQ(colour.width, 32u);
    EXPECT_EQ(colour.height, 16u);
    EXPECT_EQ(colour.pixels, rgb);
  }
  const auto grey = decode(make_png(2, 1, SPNG_COLOR_TYPE_GRAYSCALE, 8, {10, 200}));
  ASSERT_EQ(grey.status, VACCEL_OK) << grey.sentence;
  EXPECT_EQ(grey.at(0, 0), (Pixel{10, 10, 10}));
  EXPECT_EQ(grey.at(1, 0), (Pixel{200, 200, 200}));

  const auto bit = decode(make_png(8, 1, SPNG_COLOR_TYPE_GRAYSCALE, 1, {0b10000001}));
  ASSERT_EQ(bit.status, VACCEL_OK) << bit.sentence;
  EXPECT_EQ(bit.at(0, 0), (Pixel{255, 255, 255}));
  EXPECT_EQ(bit.at(1, 0), (Pixel{0, 0, 0}));
}

TEST(DecodePng, TakesTheUpperHalfOf16Bits) {
  const std::vector<uint16_t> values = {0x1234, 0x8000, 0xffff};
  std::vector<uint8_t> data(6);
  std::memcpy(data.data(), values.data(), 6);
  const auto decoded = decode(make_png(1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 16, data));
  ASSERT_EQ(decoded.status, VACCEL_OK) << decoded.sentence;
  expect_near(decoded.at(0, 0), {0x12, 0x80, 0xff}, 1);
  std::vector<uint8_t> one(2);
  std::memcpy(one.data(), values.data(), 2);
  const auto grey = decode(make_png(1, 1, SPNG_COLOR_TYPE_GRAYSCALE, 16, one));
  ASSERT_EQ(grey.status, VACCEL_OK) << grey.sentence;
  expect_near(grey.at(0, 0), {0x12, 0x12, 0x12}, 1);
}

TEST(DecodePng, PutsTransparentPixelsOverBlack) {
  const auto alpha = decode(make_png(3, 1, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8,
                                     {200, 100, 50, 255,  //
                                      200, 100, 50, 128,  //
                                      200, 100, 50, 0}));
  ASSERT_EQ(alpha.status, VACCEL_OK) << alpha.sentence;
  EXPECT_EQ(alpha.at(0, 0), (Pixel{200, 100, 50}));
  EXPECT_EQ(alpha.at(1, 0), (Pixel{100, 50, 25}));
  EXPECT_EQ(alpha.at(2, 0), (Pixel{0, 0, 0}));

  const auto grey = decode(make_png(2, 1, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8, {90, 255, 90, 0}));
  ASSERT_EQ(grey.status, VACCEL_OK) << grey.sentence;
  EXPECT_EQ(grey.at(0, 0), (Pixel{90, 90, 90}));
  EXPECT_EQ(grey.at(1, 0), (Pixel{0, 0, 0}));

  spng_plte palette{};
  palette.n_entries = 2;
  palette.entries[0] = {10, 20, 30, 255};
  palette.entries[1] = {40, 50, 60, 255};
  const auto indexed = decode(make_png(2, 1, SPNG_COLOR_TYPE_INDEXED, 8, {0, 1}, {.palette = &palette}));
  ASSERT_EQ(indexed.status, VACCEL_OK) << indexed.sentence;
  EXPECT_EQ(indexed.at(0, 0), (Pixel{10, 20, 30}));
  EXPECT_EQ(indexed.at(1, 0), (Pixel{40, 50, 60}));
  spng_trns transparent{};
  transparent.n_type3_entries = 1;
  transparent.type3_alpha[0] = 0;
  const auto holes = decode(
      make_png(2, 1, SPNG_COLOR_TYPE_INDEXED, 8, {0, 1}, {.palette = &palette, .transparent = &transparent}));
  ASSERT_EQ(holes.status, VACCEL_OK) << holes.sentence;
  EXPECT_EQ(holes.at(0, 0), (Pixel{0, 0, 0}));
  EXPECT_EQ(holes.at(1, 0), (Pixel{40, 50, 60}));
}

TEST(DecodePng, AClaimOf60000By60000IsRefusedByItsHeader) {
  const std::string png = make_png(8, 8, SPNG_COLOR_TYPE_TRUECOLOR, 8, gradient(8, 8, 3));
  const auto huge = decode(claim_size(png, 60000, 60000));
  EXPECT_EQ(huge.status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(huge.sentence,
            "the PNG image is 60000 x 60000 pixels, 3600000000 in all; at most 67108864 are accepted");
  EXPECT_EQ(decode(claim_size(png, 0, 8)).status, VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(decode(claim_size(png, 0x80000000, 1)).status, VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(decode(claim_size(png, 0x7fffffff, 0x7fffffff)).status, VACCEL_INVALID_ARGUMENT);
  // A little more than there is: the data run out.
  EXPECT_EQ(decode(claim_size(png, 8, 9)).status, VACCEL_INVALID_ARGUMENT);
}

TEST(DecodePng, AWrongChecksumIsRefused) {
  std::string png = make_png(8, 8, SPNG_COLOR_TYPE_TRUECOLOR, 8, gradient(8, 8, 3));
  png[17] = static_cast<char>(png[17] ^ 1);
  EXPECT_EQ(decode(png).status, VACCEL_INVALID_ARGUMENT);
}

// ---- JPEG

TEST(DecodeJpeg, ComesCloseInEverySubsampling) {
  const auto rgb = gradient(48, 32, 3);
  for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420}) {
    for (const int flags : {0, int{TJFLAG_PROGRESSIVE}}) {
      const auto decoded = decode(make_jpeg(48, 32, TJPF_RGB, subsampling, rgb, flags));
      ASSERT_EQ(decoded.status, VACCEL_OK) << decoded.sentence;
      ASSERT_EQ(decoded.width, 48u);
      ASSERT_EQ(decoded.height, 32u);
      expect_near(decoded.at(20, 10), {80, 40, 128}, 6);
      expect_near(decoded.at(40, 30), {160, 120, 128}, 6);
    }
  }
}

TEST(DecodeJpeg, TakesGreyAndFourInks) {
  const auto grey = decode(make_jpeg(16, 16, TJPF_GRAY, TJSAMP_GRAY, plain(256, {77})));
  ASSERT_EQ(grey.status, VACCEL_OK) << grey.sentence;
  expect_near(grey.at(8, 8), {77, 77, 77}, 2);
  // 255 is no ink: half of the cyan, and black at 200 of 255.
  const auto inks = decode(make_jpeg(16, 16, TJPF_CMYK, TJSAMP_444, plain(256, {128, 255, 255, 200})));
  ASSERT_EQ(inks.status, VACCEL_OK) << inks.sentence;
  expect_near(inks.at(8, 8), {100, 200, 200}, 4);
}

TEST(DecodeJpeg, BytesBetweenMarkersAreHarmless) {
  std::string jpeg = make_jpeg(16, 16, TJPF_RGB, TJSAMP_444, plain(256, {9, 9, 9}));
  const size_t tables = jpeg.find("\xff\xdb");
  ASSERT_NE(tables, std::string::npos);
  const auto decoded = decode(jpeg.insert(tables, "\x01\x02\x03"));
  ASSERT_EQ(decoded.status, VACCEL_OK) << decoded.sentence;
  expect_near(decoded.at(8, 8), {9, 9, 9}, 2);
}

TEST(DecodeJpeg, AnotherSizeInTheHeaderIsRefused) {
  std::string jpeg = make_jpeg(16, 16, TJPF_RGB, TJSAMP_444, plain(256, {9, 9, 9}));
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xea\x60\xea\x60");  // 60000 x 60000
  const auto decoded = decode(jpeg);
  EXPECT_EQ(decoded.status, VACCEL_RESOURCE_EXHAUSTED);
  EXPECT_EQ(decoded.sentence,
            "the JPEG image is 60000 x 60000 pixels, 3600000000 in all; at most 67108864 are accepted");
}

// ---- WebP

TEST(DecodeWebp, GivesExactPixelsOverBlack) {
  const auto rgba = gradient(32, 16, 4);
  const auto opaque = decode(make_webp(32, 16, rgba));
  ASSERT_EQ(opaque.status, VACCEL_OK) << opaque.sentence;
  EXPECT_EQ(opaque.pixels, gradient(32, 16, 3));
  auto half = plain(64, {200, 100, 50, 128});
  half[3] = 0;
  const auto transparent = decode(make_webp(8, 8, half));
  ASSERT_EQ(transparent.status, VACCEL_OK) << transparent.sentence;
  EXPECT_EQ(transparent.at(0, 0), (Pixel{0, 0, 0}));
  expect_near(transparent.at(1, 0), {100, 50, 25}, 1);
}

TEST(DecodeWebp, TakesTheFirstFrameOfAnAnimation) {
  const auto decoded =
      decode(make_animation(8, 8, {plain(64, {200, 100, 50, 255}), plain(64, {1, 2, 3, 255})}));
  ASSERT_EQ(decoded.status, VACCEL_OK) << decoded.sentence;
  EXPECT_EQ(decoded.at(3, 3), (Pixel{200, 100, 50}));
}

// ---- All of them

std::vector<std::string> one_of_each() {
  return {make_png(40, 40, SPNG_COLOR_TYPE_TRUECOLOR, 8, gradient(40, 40, 3)),
          make_jpeg(40, 40, TJPF_RGB, TJSAMP_420, gradient(40, 40, 3)),
          make_jpeg(40, 40, TJPF_RGB, TJSAMP_420, gradient(40, 40, 3), TJFLAG_PROGRESSIVE),
          make_webp(40, 40, gradient(40, 40, 4)),
          make_animation(8, 8, {plain(64, {200, 100, 50, 255}), plain(64, {1, 2, 3, 255})})};
}

TEST(DecodeImage, EveryTruncationIsAnError) {
  for (const std::string& file : one_of_each()) {
    ASSERT_EQ(decode(file).status, VACCEL_OK) << decode(file).sentence;
    for (size_t size = 0; size + 4 < file.size(); ++size) {
      const auto cut = decode(file.substr(0, size));
      ASSERT_EQ(cut.status, VACCEL_INVALID_ARGUMENT) << "cut to " << size << " of " << file.size();
      ASSERT_FALSE(cut.sentence.empty());
    }
  }
}

TEST(DecodeImage, DamageNeverDoesMoreThanFail) {
  uint32_t random = 12345;
  const auto next = [&] { return random = random * 1664525 + 1013904223; };
  for (const std::string& file : one_of_each()) {
    for (int round = 0; round < 400; ++round) {
      std::string damaged = file;
      for (int hit = 0; hit < 3; ++hit)
        damaged[next() % damaged.size()] = static_cast<char>(next() >> 24);
      const auto decoded = decode(damaged, {.max_encoded_bytes = 1 << 20, .max_pixels = 1 << 20});
      if (decoded.status == VACCEL_OK) {
        EXPECT_EQ(decoded.pixels.size(), size_t{3} * decoded.width * decoded.height);
      } else {
        EXPECT_FALSE(decoded.sentence.empty());
      }
    }
  }
}

TEST(DecodeImage, LimitsAreOfBytesAndPixels) {
  for (const std::string& file : one_of_each()) {
    const auto decoded = decode(file);
    ASSERT_EQ(decoded.status, VACCEL_OK);
    const uint64_t pixels = uint64_t{decoded.width} * decoded.height;
    EXPECT_EQ(decode(file, {.max_encoded_bytes = file.size(), .max_pixels = pixels}).status, VACCEL_OK);
    EXPECT_EQ(decode(file, {.max_encoded_bytes = file.size() - 1, .max_pixels = pixels}).status,
              VACCEL_RESOURCE_EXHAUSTED);
    EXPECT_EQ(decode(file, {.max_encoded_bytes = file.size(), .max_pixels = pixels - 1}).status,
              VACCEL_RESOURCE_EXHAUSTED);
  }
}

TEST(DecodeImage, WhatIsNoImageIsNamed) {
  EXPECT_EQ(decode("").sentence, "the image is empty: it has 0 bytes");
  EXPECT_EQ(decode("GIF89a....").sentence, "the 10 bytes are no PNG, JPEG or WebP image: it is a GIF");
  EXPECT_EQ(decode("just words").sentence, "the 10 bytes are no PNG, JPEG or WebP image: it looks like text");
  EXPECT_EQ(decode(std::string("\x00\x01\x02\xff", 4)).sentence,
            "the 4 bytes are no PNG, JPEG or WebP image: it begins with 00 01 02 ff");
}

TEST(DecodeImage, ReadsARealPhoto) {
  const auto file = testing::photo("chelsea.png");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "skipped: no " << file << "; scripts/setup fetches it";
  const auto decoded = decode(testing::read_text(file));
  ASSERT_EQ(decoded.status, VACCEL_OK) << decoded.sentence;
  EXPECT_EQ(decoded.width, 451u);
  EXPECT_EQ(decoded.height, 300u);
}

}  // namespace
}  // namespace vaccel::runtime
