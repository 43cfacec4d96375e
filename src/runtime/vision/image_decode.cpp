// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/image_decode.h"

#include <spng.h>
#include <turbojpeg.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace vaccel::runtime {
namespace {

using Bytes = std::span<const std::byte>;

// Texts, profiles and the like in a PNG, together, once unpacked.
constexpr size_t kMostPngMetadata = size_t{8} << 20;

const uint8_t* octets(Bytes bytes) {
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

bool has_at(Bytes bytes, size_t offset, std::string_view magic) {
  return bytes.size() >= offset + magic.size() &&
         std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

using Size = unsigned long long;  // as printf has it

// Whether a picture whose header says width x height may be decoded.
Status check_size(const char* format, uint64_t width, uint64_t height, const ImageLimits& limits) {
  if (width == 0 || height == 0)
    return failure(VACCEL_INVALID_ARGUMENT, "the %s image has no pixels", format);
  if (width * height <= limits.max_pixels) return {};
  return failure(VACCEL_RESOURCE_EXHAUSTED,
                 "the %s image is %llu x %llu pixels, %llu in all; at most %llu are accepted", format,
                 Size{width}, Size{height}, Size{width * height}, Size{limits.max_pixels});
}

Result<uint8_t*> take_pixels(const char* format, uint64_t width, uint64_t height, uint64_t channels,
                             Scratch& memory) {
  std::byte* pixels = memory.take(static_cast<size_t>(width * height * channels));
  if (pixels != nullptr) return reinterpret_cast<uint8_t*>(pixels);
  return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for the %llu x %llu pixels of the %s image", Size{width},
              Size{height}, format);
}

// v * alpha / 255, rounded.
uint8_t scale_by(uint8_t value, uint8_t alpha) {
  return static_cast<uint8_t>((value * alpha + 127) / 255);
}

// Four channels to three in place: RGBA, over black.
void drop_alpha(uint8_t* pixels, size_t count) {
  for (size_t index = 0; index < count; ++index) {
    const uint8_t* from = pixels + 4 * index;
    uint8_t* to = pixels + 3 * index;
    const uint8_t alpha = from[3];
    to[0] = scale_by(from[0], alpha);
    to[1] = scale_by(from[1], alpha);
    to[2] = scale_by(from[2], alpha);
  }
}

// The same of RGBA that is multiplied by alpha already, which is what "over black" means.
void drop_premultiplied_alpha(const uint8_t* from, uint8_t* to, size_t count) {
  for (size_t index = 0; index < count; ++index) {
    const uint8_t pixel[3] = {from[4 * index], from[4 * index + 1], from[4 * index + 2]};
    std::memcpy(to + 3 * index, pixel, sizeof pixel);
  }
}

// ---- PNG

struct SpngFree {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};

Unexpected png_failure(int code) {
  if (code == SPNG_EMEM) return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for decoding the PNG image");
  if (code == SPNG_EOF || code == SPNG_IO_EOF)
    return fail(VACCEL_INVALID_ARGUMENT, "the PNG image is cut off");
  return fail(VACCEL_INVALID_ARGUMENT, "the PNG image is broken: %s", spng_strerror(code));
}

Result<Picture> decode_png(Bytes encoded, const ImageLimits& limits, Scratch& memory) {
  const std::unique_ptr<spng_ctx, SpngFree> context(spng_ctx_new(0));
  if (context == nullptr) return png_failure(SPNG_EMEM);
  int error = spng_set_chunk_limits(context.get(), std::max<size_t>(encoded.size(), 1), kMostPngMetadata);
  if (error == 0) error = spng_set_png_buffer(context.get(), encoded.data(), encoded.size());
  spng_ihdr header{};
  if (error == 0) error = spng_get_ihdr(context.get(), &header);
  if (error != 0) return png_failure(error);
  if (Status status = check_size("PNG", header.width, header.height, limits); !status.ok()) {
    return Unexpected{std::move(status)};
  }
  spng_trns transparent{};
  const bool has_trns = spng_get_trns(context.get(), &transparent) == 0;
  const bool has_alpha = has_trns || header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
                         header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
  const auto pixels = take_pixels("PNG", header.width, header.height, has_alpha ? 4 : 3, memory);
  if (!pixels) return Unexpected{pixels.error()};

  const int format = has_alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8;
  const size_t count = size_t{header.width} * header.height;
  error = spng_decode_image(context.get(), *pixels, count * (has_alpha ? 4 : 3), format, SPNG_DECODE_TRNS);
  if (error == 0) error = spng_decode_chunks(context.get());  // to its end: a file without one is cut off
  if (error != 0) return png_failure(error);
  if (has_alpha) drop_alpha(*pixels, count);
  return Picture{header.width, header.height, *pixels};
}

// ---- JPEG

struct JpegClose {
  void operator()(void* handle) const { tjDestroy(handle); }
};

Unexpected jpeg_failure(void* handle) {
  const char* words = tjGetErrorStr2(handle);
  if (std::strstr(words, "emature end") != nullptr) {
    return fail(VACCEL_INVALID_ARGUMENT, "the JPEG image is cut off: %s", words);
  }
  return fail(VACCEL_INVALID_ARGUMENT, "the JPEG image is broken: %s", words);
}

// Bytes between two markers that belong to neither are common in files from cameras, and harm nothing.
bool is_harmless(void* handle) {
  return tjGetErrorCode(handle) == TJERR_WARNING &&
         std::strstr(tjGetErrorStr2(handle), "extraneous bytes") != nullptr;
}

// In files of four inks 255 stands for no ink, as Adobe has it.
void inks_to_rgb(uint8_t* pixels, size_t count) {
  drop_alpha(pixels, count);
}

Result<Picture> decode_jpeg(Bytes encoded, const ImageLimits& limits, Scratch& memory) {
  const std::unique_ptr<void, JpegClose> handle(tjInitDecompress());
  if (handle == nullptr) return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for decoding the JPEG image");
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  if (tjDecompressHeader3(handle.get(), octets(encoded), encoded.size(), &width, &height, &subsampling,
                          &colours) != 0 &&
      !is_harmless(handle.get())) {
    return jpeg_failure(handle.get());
  }
  const bool inks = colours == TJCS_CMYK || colours == TJCS_YCCK;
  if (Status status = check_size("JPEG", static_cast<uint64_t>(width), static_cast<uint64_t>(height), limits);
      !status.ok()) {
    return Unexpected{std::move(status)};
  }
  const size_t count = static_cast<size_t>(width) * static_cast<size_t>(height);
  const auto pixels =
      take_pixels("JPEG", static_cast<uint64_t>(width), static_cast<uint64_t>(height), inks ? 4 : 3, memory);
  if (!pixels) return Unexpected{pixels.error()};
  // A progressive file of many scans takes time out of all proportion to its size.
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
  if (tjDecompress2(handle.get(), octets(encoded), encoded.size(), *pixels, width, 0, height,
                    inks ? TJPF_CMYK : TJPF_RGB, flags) != 0 &&
      !is_harmless(handle.get())) {
    return jpeg_failure(handle.get());
  }
  if (inks) inks_to_rgb(*pixels, count);
  return Picture{static_cast<uint32_t>(width), static_cast<uint32_t>(height), *pixels};
}

// ---- WebP

Unexpected webp_failure(VP8StatusCode code) {
  switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for decoding the WebP image");
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return fail(VACCEL_INVALID_ARGUMENT, "the WebP image is cut off");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return fail(VACCEL_INVALID_ARGUMENT, "the WebP image uses a feature that is not supported");
    default:
      return fail(VACCEL_INVALID_ARGUMENT, "the WebP image is broken (libwebp status %d)", code);
  }
}

struct WebpAnimationFree {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

Result<Picture> decode_first_frame(Bytes encoded, uint32_t width, uint32_t height, uint8_t* pixels) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0) return webp_failure(VP8_STATUS_INVALID_PARAM);
  options.color_mode = MODE_rgbA;
  options.use_threads = 0;
  const WebPData data{octets(encoded), encoded.size()};
  const std::unique_ptr<WebPAnimDecoder, WebpAnimationFree> decoder(WebPAnimDecoderNew(&data, &options));
  WebPAnimInfo info;
  if (decoder == nullptr || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0) {
    return webp_failure(VP8_STATUS_BITSTREAM_ERROR);
  }
  uint8_t* frame = nullptr;
  int timestamp = 0;
  const bool same_size = info.canvas_width == width && info.canvas_height == height;
  if (!same_size || WebPAnimDecoderGetNext(decoder.get(), &frame, &timestamp) == 0) {
    return webp_failure(VP8_STATUS_BITSTREAM_ERROR);
  }
  drop_premultiplied_alpha(frame, pixels, size_t{width} * height);
  return Picture{width, height, pixels};
}

Result<Picture> decode_webp(Bytes encoded, const ImageLimits& limits, Scratch& memory) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) return webp_failure(VP8_STATUS_INVALID_PARAM);
  const VP8StatusCode header = WebPGetFeatures(octets(encoded), encoded.size(), &config.input);
  if (header != VP8_STATUS_OK) return webp_failure(header);
  const auto width = static_cast<uint32_t>(config.input.width);
  const auto height = static_cast<uint32_t>(config.input.height);
  const bool has_alpha = config.input.has_alpha != 0;
  const size_t channels = has_alpha ? 4 : 3;
  if (Status status = check_size("WebP", width, height, limits); !status.ok())
    return Unexpected{std::move(status)};
  const auto pixels = take_pixels("WebP", width, height, channels, memory);
  if (!pixels) return Unexpected{pixels.error()};
  if (config.input.has_animation != 0) return decode_first_frame(encoded, width, height, *pixels);

  config.output.colorspace = has_alpha ? MODE_rgbA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = *pixels;
  config.output.u.RGBA.stride = static_cast<int>(channels * width);
  config.output.u.RGBA.size = channels * width * height;
  const VP8StatusCode code = WebPDecode(octets(encoded), encoded.size(), &config);
  WebPFreeDecBuffer(&config.output);
  // Of a file that ends early libwebp says that it is suspended.
  if (code != VP8_STATUS_OK)
    return webp_failure(code == VP8_STATUS_SUSPENDED ? VP8_STATUS_NOT_ENOUGH_DATA : code);
  if (has_alpha) drop_premultiplied_alpha(*pixels, *pixels, size_t{width} * height);
  return Picture{width, height, *pixels};
}

// What a file that is no image of ours looks like, for people.
std::string description_of(Bytes bytes) {
  if (has_at(bytes, 0, "GIF8")) return "it is a GIF";
  if (has_at(bytes, 0, "BM")) return "it looks like a BMP";
  if (has_at(bytes, 0, "II*") || has_at(bytes, 0, "MM\0*")) return "it looks like a TIFF";
  if (has_at(bytes, 4, "ftyp")) return "it looks like a HEIF, AVIF or video file";
  const bool text =
      std::all_of(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(std::min<size_t>(bytes.size(), 64)),
                  [](std::byte byte) {
                    const int character = std::to_integer<int>(byte);
                    return character == '\t' || character == '\n' || character == '\r' ||
                           (character >= 0x20 && character != 0x7f);
                  });
  if (text) return "it looks like text";
  std::string hex = "it begins with";
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const std::byte byte : bytes.first(std::min<size_t>(bytes.size(), 8))) {
    hex += {' ', kDigits[std::to_integer<size_t>(byte >> 4)],
            kDigits[std::to_integer<size_t>(byte & std::byte{15})]};
  }
  return hex;
}

}  // namespace

Result<Picture> decode_image(std::span<const std::byte> encoded, const ImageLimits& limits, Scratch& memory) {
  using namespace std::string_view_literals;
  if (encoded.empty()) return fail(VACCEL_INVALID_ARGUMENT, "the image is empty: it has 0 bytes");
  if (encoded.size() > limits.max_encoded_bytes) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "the image file has %zu bytes; at most %llu are accepted",
                encoded.size(), static_cast<unsigned long long>(limits.max_encoded_bytes));
  }
  if (has_at(encoded, 0, "\x89PNG\r\n\x1a\n"sv)) return decode_png(encoded, limits, memory);
  if (has_at(encoded, 0, "\xff\xd8\xff"sv)) return decode_jpeg(encoded, limits, memory);
  if (has_at(encoded, 0, "RIFF"sv) && has_at(encoded, 8, "WEBP"sv))
    return decode_webp(encoded, limits, memory);
  return fail(VACCEL_INVALID_ARGUMENT, "the %zu bytes are no PNG, JPEG or WebP image: %s", encoded.size(),
              description_of(encoded).c_str());
}

}  // namespace vaccel::runtime
