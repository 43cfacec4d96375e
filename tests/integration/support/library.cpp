// SPDX-License-Identifier: Apache-2.0
#include "support/library.h"

#include <gtest/gtest.h>
#include <spng.h>
#include <turbojpeg.h>
#include <webp/encode.h>

#include "support/agent_process.h"

namespace vaccel::integration {
namespace {

std::vector<vaccel_tensor> views(const std::vector<Tensor>& tensors) {
  std::vector<vaccel_tensor> result;
  for (const Tensor& tensor : tensors)
    result.push_back(tensor.view());
  return result;
}

struct Pixels {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> rgb;
};

Pixels pixels_of(const std::vector<std::byte>& png) {
  const std::unique_ptr<spng_ctx, FreeWith<spng_ctx_free>> context(spng_ctx_new(0));
  Pixels pixels;
  spng_ihdr header{};
  size_t size = 0;
  EXPECT_EQ(spng_set_png_buffer(context.get(), png.data(), png.size()), 0);
  EXPECT_EQ(spng_get_ihdr(context.get(), &header), 0);
  EXPECT_EQ(spng_decoded_image_size(context.get(), SPNG_FMT_RGB8, &size), 0);
  pixels.width = header.width;
  pixels.height = header.height;
  pixels.rgb.resize(size);
  EXPECT_EQ(spng_decode_image(context.get(), pixels.rgb.data(), size, SPNG_FMT_RGB8, 0), 0);
  return pixels;
}

std::vector<std::byte> copy_of(const uint8_t* bytes, size_t size) {
  const auto* begin = reinterpret_cast<const std::byte*>(bytes);
  return {begin, begin + size};
}

}  // namespace

vaccel_tensor Tensor::view() const {
  vaccel_tensor tensor{};
  tensor.name = name.empty() ? nullptr : name.c_str();
  tensor.data = const_cast<std::byte*>(bytes.data());
  tensor.bytes = bytes.size();
  tensor.shape = shape.data();
  tensor.rank = static_cast<int32_t>(shape.size());
  tensor.dtype = dtype;
  return tensor;
}

Tensor bytes_tensor(std::vector<std::byte> bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  return {"data", VACCEL_UINT8, {size}, std::move(bytes)};
}

vaccel_attribute int_attribute(const char* name, int64_t value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = value;
  return attribute;
}

vaccel_attribute text_attribute(const char* name, const char* value) {
  vaccel_attribute attribute{};
  attribute.name = name;
  attribute.type = VACCEL_ATTRIBUTE_STRING;
  attribute.value.string = value;
  return attribute;
}

vaccel_call_options within_us(uint64_t microseconds) {
  auto options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(microseconds);
  return options;
}

Given<std::unique_ptr<vaccel_session, FreeWith<vaccel_close>>> open_session(const std::string& endpoint,
                                                                            uint32_t timeout_ms,
                                                                            uint32_t flags) {
  auto options = VACCEL_INIT(vaccel_open_options);
  options.connect_timeout_ms = timeout_ms;
  options.client_name = "integration";
  options.flags = flags;
  return given<std::unique_ptr<vaccel_session, FreeWith<vaccel_close>>>(
      [&](vaccel_session** session) { return vaccel_open(endpoint.c_str(), &options, session); });
}

Session::Session(const std::string& endpoint, uint32_t flags) {
  auto opened = open_session(endpoint, 20'000, flags);
  EXPECT_TRUE(opened.ok()) << opened.text();
  session_ = opened.value.release();
}

Given<OutputsPtr> Session::call(const char* name, std::vector<vaccel_attribute> attributes,
                                const std::vector<Tensor>& inputs, const vaccel_call_options* options,
                                const char* model) const {
  const auto tensors = views(inputs);
  return given<OutputsPtr>([&](vaccel_outputs** outputs) {
    return vaccel_call(session_, name, model, attributes.data(), attributes.size(), tensors.data(),
                       tensors.size(), options, outputs);
  });
}

Given<RequestPtr> Session::submit(const char* name, std::vector<vaccel_attribute> attributes,
                                  const std::vector<Tensor>& inputs,
                                  const vaccel_call_options* options) const {
  const auto tensors = views(inputs);
  return given<RequestPtr>([&](vaccel_request** request) {
    return vaccel_submit_call(session_, name, nullptr, attributes.data(), attributes.size(), tensors.data(),
                              tensors.size(), options, request);
  });
}

Given<OutputsPtr> Session::infer(const char* model, const std::vector<Tensor>& inputs) const {
  const auto tensors = views(inputs);
  return given<OutputsPtr>([&](vaccel_outputs** outputs) {
    return vaccel_infer(session_, model, tensors.data(), tensors.size(), nullptr, outputs);
  });
}

Given<ClassesPtr> Session::classify(const char* model, std::span<const std::byte> image, uint32_t top,
                                    const vaccel_call_options* options) const {
  return given<ClassesPtr>([&](vaccel_classes** classes) {
    return vaccel_classify(session_, model, image.data(), image.size(), top, options, classes);
  });
}

Given<RequestPtr> Session::submit_classify(const char* model, std::span<const std::byte> image) const {
  return given<RequestPtr>([&](vaccel_request** request) {
    return vaccel_submit_classify(session_, model, image.data(), image.size(), 5, nullptr, request);
  });
}

Given<OutputsPtr> Session::call_views(const char* name, std::span<const vaccel_tensor> inputs,
                                      const vaccel_call_options* options, const char* model) const {
  return given<OutputsPtr>([&](vaccel_outputs** outputs) {
    return vaccel_call(session_, name, model, nullptr, 0, inputs.data(), inputs.size(), options, outputs);
  });
}

Given<RequestPtr> Session::submit_views(const char* name, std::span<const vaccel_tensor> inputs,
                                        const vaccel_call_options* options) const {
  return given<RequestPtr>([&](vaccel_request** request) {
    return vaccel_submit_call(session_, name, nullptr, nullptr, 0, inputs.data(), inputs.size(), options,
                              request);
  });
}

Given<BufferPtr> Session::allocate(size_t bytes, const vaccel_buffer_options* options) const {
  return given<BufferPtr>(
      [&](vaccel_buffer** buffer) { return vaccel_buffer_alloc(session_, bytes, options, buffer); });
}

std::span<std::byte> memory_of(const BufferPtr& buffer) {
  void* data = nullptr;
  const vaccel_status status = vaccel_buffer_map(buffer.get(), &data);
  EXPECT_EQ(status, VACCEL_OK) << vaccel_error_message();
  return {static_cast<std::byte*>(data), status == VACCEL_OK ? vaccel_buffer_size(buffer.get()) : 0};
}

std::span<const std::byte> data_of(const vaccel_tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.data), tensor.bytes};
}

uint64_t sum_in(const vaccel_outputs& outputs) {
  uint64_t sum = 0;
  EXPECT_EQ(outputs.count, 1u);
  if (outputs.count == 1 && outputs.tensors[0].bytes == sizeof sum)
    std::memcpy(&sum, outputs.tensors[0].data, sizeof sum);
  return sum;
}

std::vector<std::byte> file_bytes(const std::string& file) {
  const std::string text = read_file(file);
  return copy_of(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

std::vector<std::byte> png_as_jpeg(const std::vector<std::byte>& png) {
  const Pixels pixels = pixels_of(png);
  void* compressor = tjInitCompress();
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(compressor, pixels.rgb.data(), static_cast<int>(pixels.width), 0,
                        static_cast<int>(pixels.height), TJPF_RGB, &memory, &size, TJSAMP_444, 95, 0),
            0);
  auto bytes = copy_of(memory, size);
  tjFree(memory);
  tjDestroy(compressor);
  return bytes;
}

std::vector<std::byte> png_as_webp(const std::vector<std::byte>& png) {
  const Pixels pixels = pixels_of(png);
  uint8_t* memory = nullptr;
  const size_t size =
      WebPEncodeLosslessRGB(pixels.rgb.data(), static_cast<int>(pixels.width),
                            static_cast<int>(pixels.height), static_cast<int>(pixels.width) * 3, &memory);
  EXPECT_GT(size, 0u);
  auto bytes = copy_of(memory, size);
  WebPFree(memory);
  return bytes;
}

std::vector<std::byte> png_that_claims(uint32_t width, uint32_t height) {
  // A real one-pixel PNG in which the size, and the checksum over it, are replaced.
  std::vector<uint8_t> pixel(3, 200);
  const std::unique_ptr<spng_ctx, FreeWith<spng_ctx_free>> context(spng_ctx_new(SPNG_CTX_ENCODER));
  spng_ihdr header{};
  header.width = 1;
  header.height = 1;
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  EXPECT_EQ(spng_set_ihdr(context.get(), &header), 0);
  EXPECT_EQ(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1), 0);
  EXPECT_EQ(spng_encode_image(context.get(), pixel.data(), pixel.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE),
            0);
  size_t size = 0;
  int error = 0;
  auto* memory = static_cast<uint8_t*>(spng_get_png_buffer(context.get(), &size, &error));
  EXPECT_NE(memory, nullptr);
  for (size_t index = 0; index < 4; ++index) {
    memory[16 + index] = static_cast<uint8_t>(width >> (24 - 8 * index));
    memory[20 + index] = static_cast<uint8_t>(height >> (24 - 8 * index));
  }
  uint32_t crc = 0xffffffff;  // of the chunk's type and data, as PNG has it
  for (size_t index = 12; index < 29; ++index) {
    crc ^= memory[index];
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
  }
  for (size_t index = 0; index < 4; ++index)
    memory[29 + index] = static_cast<uint8_t>(~crc >> (24 - 8 * index));
  auto bytes = copy_of(memory, size);
  std::free(memory);
  return bytes;
}

}  // namespace vaccel::integration
