// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic on tensors' types and shapes, with every overflow checked: shapes come from guests, from model
// files and from callers, and a product that wraps around is how small buffers come to be read as large ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/status.h"
#include "vaccel/types.h"

namespace vaccel {

/// Bytes per element; 0 for VACCEL_STRING (no fixed size) and for numbers that are no dtype.
size_t element_size(int dtype);

/// Whether `dtype` is one of vaccel_dtype.
bool is_known_dtype(int dtype);

/// Whether a framework may use elements of this type where they lie, in memory that somebody else may write to
/// meanwhile: floating-point numbers, whatever they become, are numbers. Anything else (an integer that is used as an
/// index, a string's offset, an encoded image) has to be copied first and then checked, and so has what lies at an
/// address that its type does not allow.
bool is_usable_in_place(int dtype, uint64_t address);

/// "float32"; "unknown" for a number that is no dtype.
const char* dtype_name(int dtype);

/// "[1, 3, 224, 224]"; -1 (any size) as "?".
std::string shape_text(std::span<const int64_t> shape);

/// Number of elements of a shape; INVALID_ARGUMENT: a rank above VACCEL_MAX_RANK, a negative dimension, or a
/// product beyond 2^62.
Result<uint64_t> element_count(std::span<const int64_t> shape);

/// Bytes of a dense tensor of fixed-size elements; INVALID_ARGUMENT as element_count(), for an unknown dtype
/// and for VACCEL_STRING.
Result<uint64_t> dense_bytes(int dtype, std::span<const int64_t> shape);

/// Checks the offsets of a VACCEL_STRING tensor with `count` elements: within `data`, ascending, each string
/// ended by a NUL. `data` must be private memory: checked once, used later.
Status check_strings(std::span<const std::byte> data, uint64_t count);

/// The dimensions of a tensor view. Its rank must have been checked.
inline std::span<const int64_t> shape_of(const vaccel_tensor& tensor) {
  return {tensor.shape, static_cast<size_t>(tensor.rank)};
}

/// Checks a view from a caller: known dtype, rank and shape in range, data present, `bytes` enough (for a
/// dense tensor; for a strided one the bytes up to its last element), reserved fields zero. INVALID_ARGUMENT
/// names the tensor.
Status check_view(const vaccel_tensor& tensor);

/// Whether strides (if any) describe the dense row-major layout.
bool is_dense(const vaccel_tensor& tensor);

/// Copies a checked, possibly strided view to `destination`, dense and row-major. `destination` must hold
/// dense_bytes().
void pack(const vaccel_tensor& tensor, std::byte* destination);

}  // namespace vaccel
