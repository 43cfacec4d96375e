// SPDX-License-Identifier: Apache-2.0
#include "runtime/vision/output_values.h"

#include "core/tensor.h"

namespace vaccel::runtime {
namespace {

// Differences of 8-bit numbers, and class numbers up to 2^24, are exact in a float; so is a product by a scale of 1.
template <typename Stored>
void read_as(std::span<const std::byte> bytes, const Quantisation& quantisation, float* values) {
  const auto* stored = reinterpret_cast<const Stored*>(bytes.data());
  const size_t count = bytes.size() / sizeof(Stored);
  const auto zero_point = static_cast<float>(quantisation.zero_point);
  const float scale = quantisation.scale;
  for (size_t index = 0; index < count; ++index)
    values[index] = scale * (static_cast<float>(stored[index]) - zero_point);
}

}  // namespace

Result<std::span<const float>> read_values(int dtype, std::span<const std::byte> bytes,
                                           const Quantisation& quantisation, Scratch& scratch) {
  if (dtype == VACCEL_FLOAT32) {
    return std::span<const float>{reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
  }
  const size_t count = bytes.size() / element_size(dtype);
  auto* values = reinterpret_cast<float*>(scratch.take(count * sizeof(float)));
  if (values == nullptr) {
    return fail(VACCEL_RESOURCE_EXHAUSTED, "no memory for %zu numbers of an output", count);
  }
  if (dtype == VACCEL_UINT8) read_as<uint8_t>(bytes, quantisation, values);
  if (dtype == VACCEL_INT8) read_as<int8_t>(bytes, quantisation, values);
  if (dtype == VACCEL_INT32) read_as<int32_t>(bytes, quantisation, values);
  if (dtype == VACCEL_INT64) read_as<int64_t>(bytes, quantisation, values);
  return std::span<const float>{values, count};
}

}  // namespace vaccel::runtime
