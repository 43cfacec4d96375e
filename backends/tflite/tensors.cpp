// SPDX-License-Identifier: Apache-2.0
#include "tensors.h"

#include <cstring>
#include <limits>

namespace vaccel::tflite {
namespace {

// The last two have no name in headers as old as the library may be.
constexpr ElementType kTypes[] = {
    {VACCEL_FLOAT32, 0, kTfLiteFloat32, 4},
    {VACCEL_FLOAT16, 1, kTfLiteFloat16, 2},
    {VACCEL_INT32, 2, kTfLiteInt32, 4},
    {VACCEL_UINT8, 3, kTfLiteUInt8, 1},
    {VACCEL_INT64, 4, kTfLiteInt64, 8},
    {VACCEL_STRING, 5, kTfLiteString, 0},
    {VACCEL_BOOL, 6, kTfLiteBool, 1},
    {VACCEL_INT16, 7, kTfLiteInt16, 2},
    {VACCEL_INT8, 9, kTfLiteInt8, 1},
    {VACCEL_FLOAT64, 10, kTfLiteFloat64, 8},
    {VACCEL_UINT64, 12, kTfLiteUInt64, 8},
    {VACCEL_UINT32, 15, kTfLiteUInt32, 4},
    {VACCEL_UINT16, 16, 17, 2},
    {VACCEL_BFLOAT16, 18, 19, 2},
};

constexpr size_t kLargest = std::numeric_limits<int32_t>::max();

template <typename T>
T number_at(const void* data, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof value, sizeof value);
  return value;
}

void put_number(char* data, size_t index, uint32_t value) {
  std::memcpy(data + index * sizeof value, &value, sizeof value);
}

size_t count_of(std::span<const std::byte> strings) {
  return number_at<uint32_t>(strings.data(), 0);
}

}  // namespace

const ElementType* type_in_file(int8_t type) {
  for (const ElementType& one : kTypes) {
    if (one.in_file == type) return &one;
  }
  return nullptr;
}

const ElementType* type_in_memory(TfLiteType type) {
  for (const ElementType& one : kTypes) {
    if (one.in_memory == static_cast<int32_t>(type)) return &one;
  }
  return nullptr;
}

const ElementType* type_of_dtype(int32_t dtype) {
  for (const ElementType& one : kTypes) {
    if (one.dtype == dtype) return &one;
  }
  return nullptr;
}

bool are_strings(std::span<const std::byte> bytes, size_t count) {
  if (bytes.size() > kLargest || count > kLargest / sizeof(int32_t) - 2) return false;
  const size_t head = (count + 2) * sizeof(int32_t);
  if (bytes.size() < head || count_of(bytes) != count) return false;
  size_t last = head;
  for (size_t index = 0; index <= count; ++index) {
    const size_t offset = number_at<uint32_t>(bytes.data(), index + 1);
    if (offset < last || offset > bytes.size()) return false;
    last = offset;
  }
  return true;
}

std::string strings_to_tflite(const void* data, size_t count) {
  const size_t head = (count + 2) * sizeof(int32_t);
  const size_t length = number_at<uint32_t>(data, count) - number_at<uint32_t>(data, 0) - count;
  if (head + length > kLargest) {
    refuse(VACCEL_RESOURCE_EXHAUSTED,
           "%zu strings of %zu bytes in all are given; TensorFlow Lite takes 2 GiB at most", count, length);
  }
  std::string made(head, '\0');
  made.reserve(head + length);
  put_number(made.data(), 0, static_cast<uint32_t>(count));
  for (size_t index = 0; index <= count; ++index) {
    put_number(made.data(), index + 1, static_cast<uint32_t>(made.size()));
    if (index == count) break;
    const auto begin = number_at<uint32_t>(data, index);
    made.append(static_cast<const char*>(data) + begin, number_at<uint32_t>(data, index + 1) - begin - 1);
  }
  return made;
}

size_t vaccel_strings_size(std::span<const std::byte> strings) {
  const size_t count = count_of(strings);
  const size_t characters =
      number_at<uint32_t>(strings.data(), count + 1) - number_at<uint32_t>(strings.data(), 1);
  return (count + 1) * sizeof(uint32_t) + characters + count;  // a NUL each
}

void strings_to_vaccel(std::span<const std::byte> strings, void* memory) {
  const size_t count = count_of(strings);
  auto* made = static_cast<char*>(memory);
  auto at = static_cast<uint32_t>((count + 1) * sizeof(uint32_t));
  put_number(made, 0, at);
  for (size_t index = 0; index < count; ++index) {
    const auto begin = number_at<uint32_t>(strings.data(), index + 1);
    const uint32_t size = number_at<uint32_t>(strings.data(), index + 2) - begin;
    std::memcpy(made + at, strings.data() + begin, size);
    made[at + size] = '\0';
    at += size + 1;
    put_number(made, index + 1, at);
  }
}

}  // namespace vaccel::tflite
