// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/drawing/picture_file.h"

#include <png.h>
#include <turbojpeg.h>
#include <webp/decode.h>

#include <cstring>
#include <memory>

namespace vaccel::tool {
namespace {

using Bytes = std::span<const std::byte>;

// As hosts have it by default: limits.max_pixels.
constexpr uint64_t kMostPixels = uint64_t{64} << 20;

const uint8_t* octets(Bytes bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

Unexpected broken(const char* format, const char* words) {
  return fail(VACCEL_INVALID_ARGUMENT, "the %s image cannot be drawn on: %s", format, words);
}

Result<std::vector<uint8_t>> room_for(uint64_t width, uint64_t height, uint64_t channels) {
  if (width == 0 || height == 0) return fail(VACCEL_INVALID_ARGUMENT, "the image has no pixels");
  if (width * height > kMostPixels) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "the image has %llu x %llu pixels; at most %llu can be drawn on",
                static_cast<unsigned long long>(width), static_cast<unsigned long long>(height),
                static_cast<unsigned long long>(kMostPixels));
  }
  return std::vector<uint8_t>(static_cast<size_t>(width * height * channels));
}

struct PngFree {
  void operator()(png_image* image) const { png_image_free(image); }
};

Result<Canvas> read_png(Bytes file) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, PngFree> owner(&image);
  if (png_image_begin_read_from_memory(&image, file.data(), file.size()) == 0)
    return broken("PNG", image.message);
  image.format = PNG_FORMAT_RGB;
  auto pixels = room_for(image.width, image.height, 3);
  if (!pixels) return Unexpected{pixels.error()};
  const png_color black{0, 0, 0};
  if (png_image_finish_read(&image, &black, pixels->data(), 0, nullptr) == 0)
    return broken("PNG", image.message);
  return Canvas(image.width, image.height, std::move(*pixels));
}

struct JpegClose {
  void operator()(void* handle) const { tjDestroy(handle); }
};

Result<Canvas> read_jpeg(Bytes file) {
  const std::unique_ptr<void, JpegClose> handle(tjInitDecompress());
  if (handle == nullptr) return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for decoding the JPEG image");
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  const auto failed = [&](int code) { return code != 0 && tjGetErrorCode(handle.get()) != TJERR_WARNING; };
  if (failed(tjDecompressHeader3(handle.get(), octets(file), file.size(), &width, &height, &subsampling,
                                 &colours)))
    return broken("JPEG", tjGetErrorStr2(handle.get()));
  if (colours == TJCS_CMYK || colours == TJCS_YCCK)
    return broken("JPEG", "it is for printing, with four inks");
  auto pixels = room_for(static_cast<uint64_t>(width), static_cast<uint64_t>(height), 3);
  if (!pixels) return Unexpected{pixels.error()};
  if (failed(tjDecompress2(handle.get(), octets(file), file.size(), pixels->data(), width, 0, height,
                           TJPF_RGB, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS)))
    return broken("JPEG", tjGetErrorStr2(handle.get()));
  return Canvas(static_cast<uint32_t>(width), static_cast<uint32_t>(height), std::move(*pixels));
}

Result<Canvas> read_webp(Bytes file) {
  int width = 0;
  int height = 0;
  if (WebPGetInfo(octets(file), file.size(), &width, &height) == 0)
    return broken("WebP", "its header is broken");
  auto pixels = room_for(static_cast<uint64_t>(width), static_cast<uint64_t>(height), 4);
  if (!pixels) return Unexpected{pixels.error()};
  if (WebPDecodeRGBAInto(octets(file), file.size(), pixels->data(), pixels->size(), 4 * width) == nullptr)
    return broken("WebP", "it is broken, or an animation");
  const size_t count = static_cast<size_t>(width) * static_cast<size_t>(height);
  for (size_t index = 0; index < count; ++index) {
    const uint8_t* from = pixels->data() + 4 * index;
    const unsigned alpha = from[3];
    for (size_t channel = 0; channel < 3; ++channel)
      (*pixels)[3 * index + channel] = static_cast<uint8_t>((from[channel] * alpha + 127) / 255);
  }
  pixels->resize(3 * count);
  return Canvas(static_cast<uint32_t>(width), static_cast<uint32_t>(height), std::move(*pixels));
}

bool begins_with(Bytes file, size_t offset, const char* magic, size_t size) {
  return file.size() >= offset + size && std::memcmp(file.data() + offset, magic, size) == 0;
}

}  // namespace

Result<Canvas> read_picture(Bytes file) {
  if (begins_with(file, 0, "\x89PNG", 4)) return read_png(file);
  if (begins_with(file, 0, "\xff\xd8\xff", 3)) return read_jpeg(file);
  if (begins_with(file, 0, "RIFF", 4) && begins_with(file, 8, "WEBP", 4)) return read_webp(file);
  return fail(VACCEL_INVALID_ARGUMENT, "the %zu bytes are no PNG, JPEG or WebP image", file.size());
}

Result<std::vector<std::byte>> png_of(const Canvas& canvas) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = canvas.width();
  image.height = canvas.height();
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<std::byte> file(size);
  if (png_image_write_to_memory(&image, file.data(), &size, 0, canvas.pixels().data(), 0, nullptr) == 0) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "the PNG image cannot be made: %s", image.message);
  }
  file.resize(size);
  return file;
}

}  // namespace vaccel::tool
