// SPDX-License-Identifier: Apache-2.0
//
// Element types and strings of vAccel and of TensorFlow Lite, which numbers its types in one way in files and in
// another in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "api.h"

namespace vaccel::tflite {

/// A type that both have.
struct ElementType {
  int32_t dtype;
  int8_t in_file;     ///< TensorType of TensorFlow Lite's schema.
  int32_t in_memory;  ///< TfLiteType
  size_t size;        ///< 0: strings.
};

/// nullptr for a type that vAccel has no name for.
const ElementType* type_in_file(int8_t type);
const ElementType* type_in_memory(TfLiteType type);
const ElementType* type_of_dtype(int32_t dtype);

/// How TensorFlow Lite keeps strings: their number, where each begins and where the last one ends, as int32; then the
/// characters. Whether `bytes` are so, with `count` strings.
bool are_strings(std::span<const std::byte> bytes, size_t count);

/// VACCEL_STRING with `count` strings, which the runtime has checked, to TensorFlow Lite's way. RESOURCE_EXHAUSTED
/// beyond 2 GiB.
std::string strings_to_tflite(const void* data, size_t count);
/// How many bytes VACCEL_STRING takes for strings that are_strings().
size_t vaccel_strings_size(std::span<const std::byte> strings);
/// And back, to memory of that size.
void strings_to_vaccel(std::span<const std::byte> strings, void* memory);

}  // namespace vaccel::tflite
