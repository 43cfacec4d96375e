// SPDX-License-Identifier: Apache-2.0
#include "core/tensor.h"

#include <bit>
#include <cstring>

namespace vaccel {
namespace {

static_assert(std::endian::native == std::endian::little, "vAccel's targets are little-endian");

constexpr uint64_t kMostElements = uint64_t{1} << 62;

const char* name_of(const vaccel_tensor& tensor) {
  return tensor.name != nullptr ? tensor.name : "(unnamed)";
}

// The bytes from `data` to the end of the furthest element; strides are >= 0.
Result<uint64_t> strided_bytes(const vaccel_tensor& tensor, size_t size) {
  uint64_t last = 0;
  for (size_t axis = 0; axis < static_cast<size_t>(tensor.rank); ++axis) {
    const int64_t stride = tensor.strides[axis];
    if (stride < 0) {
      return fail(VACCEL_INVALID_ARGUMENT,
                  "tensor '%s' has stride %lld at dimension %zu; strides must be >= 0", name_of(tensor),
                  static_cast<long long>(stride), axis);
    }
    uint64_t reach = 0;
    if (__builtin_mul_overflow(static_cast<uint64_t>(tensor.shape[axis] - 1), static_cast<uint64_t>(stride),
                               &reach) ||
        __builtin_add_overflow(last, reach, &last) || last > kMostElements) {
      return fail(VACCEL_INVALID_ARGUMENT, "tensor '%s': its strides reach beyond the address space",
                  name_of(tensor));
    }
  }
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(last + 1, static_cast<uint64_t>(size), &bytes)) {
    return fail(VACCEL_INVALID_ARGUMENT, "tensor '%s': its strides reach beyond the address space",
                name_of(tensor));
  }
  return bytes;
}

void pack_axis(const vaccel_tensor& tensor, size_t size, size_t axis, const std::byte* source,
               std::byte*& destination) {
  if (axis == static_cast<size_t>(tensor.rank)) {
    std::memcpy(destination, source, size);
    destination += size;
    return;
  }
  const bool innermost_dense = axis + 1 == static_cast<size_t>(tensor.rank) && tensor.strides[axis] == 1;
  if (innermost_dense) {
    const size_t bytes = static_cast<size_t>(tensor.shape[axis]) * size;
    std::memcpy(destination, source, bytes);
    destination += bytes;
    return;
  }
  const size_t step = static_cast<size_t>(tensor.strides[axis]) * size;
  for (int64_t index = 0; index < tensor.shape[axis]; ++index) {
    pack_axis(tensor, size, axis + 1, source + static_cast<size_t>(index) * step, destination);
  }
}

// Whether the view is of the usual kind (dense, elements of fixed size, none of its dimensions 0) and right. What is
// not is looked at closely, and maybe refused with a sentence.
bool is_plainly_right(const vaccel_tensor& tensor) {
  static constexpr uint8_t kSizes[] = {0, 4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8, 1, 0};
  const auto dtype = static_cast<uint32_t>(tensor.dtype);
  const auto rank = static_cast<uint32_t>(tensor.rank);
  if (dtype >= sizeof kSizes || rank > VACCEL_MAX_RANK || tensor.shape == nullptr || tensor.data == nullptr ||
      tensor.strides != nullptr || (tensor.reserved[0] | tensor.reserved[1]) != 0) {
    return false;
  }
  uint64_t bytes = kSizes[dtype];
  if (bytes == 0) return false;
  for (uint32_t axis = 0; axis < rank; ++axis) {
    const int64_t dimension = tensor.shape[axis];
    if (dimension <= 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(dimension), &bytes))
      return false;
  }
  return bytes <= tensor.bytes;
}

}  // namespace

size_t element_size(int dtype) {
  switch (dtype) {
    case VACCEL_INT8:
    case VACCEL_UINT8:
    case VACCEL_BOOL:
      return 1;
    case VACCEL_FLOAT16:
    case VACCEL_BFLOAT16:
    case VACCEL_INT16:
    case VACCEL_UINT16:
      return 2;
    case VACCEL_FLOAT32:
    case VACCEL_INT32:
    case VACCEL_UINT32:
      return 4;
    case VACCEL_FLOAT64:
    case VACCEL_INT64:
    case VACCEL_UINT64:
      return 8;
    default:
      return 0;
  }
}

bool is_known_dtype(int dtype) {
  return dtype >= VACCEL_FLOAT32 && dtype <= VACCEL_STRING;
}

bool is_usable_in_place(int dtype, uint64_t address) {
  const bool is_floating_point = dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64 ||
                                 dtype == VACCEL_FLOAT16 || dtype == VACCEL_BFLOAT16;
  return is_floating_point && address % element_size(dtype) == 0;
}

const char* dtype_name(int dtype) {
  static constexpr const char* kNames[] = {"unknown", "float32", "float64", "float16", "bfloat16",
                                           "int8",    "int16",   "int32",   "int64",   "uint8",
                                           "uint16",  "uint32",  "uint64",  "bool",    "string"};
  return is_known_dtype(dtype) ? kNames[dtype] : kNames[0];
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t dimension : shape) {
    if (text.size() > 1) text += ", ";
    text += dimension == -1 ? "?" : std::to_string(dimension);
  }
  return text + "]";
}

Result<uint64_t> element_count(std::span<const int64_t> shape) {
  if (shape.size() > VACCEL_MAX_RANK) {
    return fail(VACCEL_INVALID_ARGUMENT, "rank %zu is more than the %d dimensions that a tensor may have",
                shape.size(), VACCEL_MAX_RANK);
  }
  uint64_t count = 1;
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      return fail(VACCEL_INVALID_ARGUMENT, "shape %s has a negative dimension", shape_text(shape).c_str());
    }
    if (dimension == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(dimension), &count) || count > kMostElements) {
      return fail(VACCEL_INVALID_ARGUMENT, "shape %s has more than 2^62 elements", shape_text(shape).c_str());
    }
  }
  return empty ? 0 : count;
}

Result<uint64_t> dense_bytes(int dtype, std::span<const int64_t> shape) {
  const size_t size = element_size(dtype);
  if (size == 0) {
    return fail(VACCEL_INVALID_ARGUMENT, "elements of type %s (%d) have no fixed size", dtype_name(dtype),
                dtype);
  }
  const auto count = element_count(shape);
  if (!count) return Unexpected{count.error()};
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(*count, static_cast<uint64_t>(size), &bytes) || bytes > kMostElements) {
    return fail(VACCEL_INVALID_ARGUMENT, "shape %s of %s takes more than 2^62 bytes",
                shape_text(shape).c_str(), dtype_name(dtype));
  }
  return bytes;
}

Status check_strings(std::span<const std::byte> data, uint64_t count) {
  const uint64_t most = data.size() / sizeof(uint32_t);
  if (most == 0 || count > most - 1) {
    return failure(VACCEL_INVALID_ARGUMENT, "%zu bytes cannot hold the offsets of %llu strings", data.size(),
                   static_cast<unsigned long long>(count));
  }
  const auto offset_at = [&](uint64_t index) {
    uint32_t offset = 0;
    std::memcpy(&offset, data.data() + index * sizeof offset, sizeof offset);
    return offset;
  };
  uint64_t begin = (count + 1) * sizeof(uint32_t);
  if (offset_at(0) != begin) {
    return failure(VACCEL_INVALID_ARGUMENT, "the first string's offset is %u instead of %llu", offset_at(0),
                   static_cast<unsigned long long>(begin));
  }
  for (uint64_t index = 1; index <= count; ++index) {
    const uint64_t end = offset_at(index);
    if (end <= begin || end > data.size() || data[end - 1] != std::byte{0}) {
      return failure(VACCEL_INVALID_ARGUMENT, "string %llu does not end with a NUL within its tensor",
                     static_cast<unsigned long long>(index - 1));
    }
    begin = end;
  }
  return {};
}

Status check_view(const vaccel_tensor& tensor) {
  if (is_plainly_right(tensor)) return {};
  if (!is_known_dtype(tensor.dtype)) {
    return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s' has dtype %d, which is none", name_of(tensor),
                   tensor.dtype);
  }
  if (tensor.rank < 0 || tensor.rank > VACCEL_MAX_RANK) {
    return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s' has rank %d; it must be 0 to %d", name_of(tensor),
                   tensor.rank, VACCEL_MAX_RANK);
  }
  if (tensor.rank > 0 && tensor.shape == nullptr) {
    return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s' has rank %d and no shape", name_of(tensor),
                   tensor.rank);
  }
  if (tensor.reserved[0] != 0 || tensor.reserved[1] != 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s' has reserved fields that are not zero",
                   name_of(tensor));
  }
  if (tensor.data == nullptr && tensor.bytes > 0) {
    return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s' has %zu bytes and no data", name_of(tensor),
                   tensor.bytes);
  }
  const auto count = element_count(shape_of(tensor));
  if (!count) return count.error().within(std::string("tensor '") + name_of(tensor) + "'");
  if (tensor.dtype == VACCEL_STRING) {
    if (!is_dense(tensor)) {
      return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s': string tensors cannot be strided",
                     name_of(tensor));
    }
    return check_strings({static_cast<const std::byte*>(tensor.data), tensor.bytes}, *count);
  }
  if (*count == 0) return {};
  const auto needed = is_dense(tensor) ? dense_bytes(tensor.dtype, shape_of(tensor))
                                       : strided_bytes(tensor, element_size(tensor.dtype));
  if (!needed) return needed.error();
  if (*needed > tensor.bytes) {
    return failure(VACCEL_INVALID_ARGUMENT, "tensor '%s', %s %s, needs %llu bytes and has %zu",
                   name_of(tensor), dtype_name(tensor.dtype), shape_text(shape_of(tensor)).c_str(),
                   static_cast<unsigned long long>(*needed), tensor.bytes);
  }
  return {};
}

bool is_dense(const vaccel_tensor& tensor) {
  if (tensor.strides == nullptr) return true;
  int64_t expected = 1;
  for (int32_t axis = tensor.rank - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] == 0) return true;  // nothing to step over
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != expected) return false;
    if (__builtin_mul_overflow(expected, tensor.shape[axis], &expected)) return false;
  }
  return true;
}

void pack(const vaccel_tensor& tensor, std::byte* destination) {
  const auto* source = static_cast<const std::byte*>(tensor.data);
  const size_t size = element_size(tensor.dtype);
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    if (tensor.shape[axis] == 0) return;
  }
  if (is_dense(tensor)) {
    const auto bytes = dense_bytes(tensor.dtype, shape_of(tensor));
    std::memcpy(destination, source, bytes ? static_cast<size_t>(*bytes) : 0);
    return;
  }
  pack_axis(tensor, size, 0, source, destination);
}

}  // namespace vaccel
