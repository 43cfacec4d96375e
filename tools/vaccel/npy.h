// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy files, as arrays that a call takes and makes. Reads versions 1 to 3, both byte orders, C and Fortran order;
// writes version 1 in C order. A file may come from anywhere: its header is parsed, never evaluated, and nothing is allocated
// that the file's own size does not justify.
//
//   vaccel              .npy
//   float16/32/64       f2 f4 f8
//   int8..64, uint8..64 i1 i2 i4 i8, u1 u2 u4 u8
//   bool                b1
//   bfloat16            V2 (NumPy has no bfloat16; this is what its extension types save)
//   string              U (UTF-32, what np.array(["text"]) is); S is read, too, if it holds UTF-8
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "vaccel/types.h"

namespace vaccel::tool {

/// An array in memory: dense, row-major, little-endian, as a vaccel_tensor without strides.
struct NpyArray {
  int32_t dtype = 0;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;

  /// A view that lives as long as this and `name`. Reading calls do not change the data.
  [[nodiscard]] vaccel_tensor view(const char* name) const;
};

/// Reads the bytes of a .npy file. INVALID_ARGUMENT: they are none, or hold elements that a tensor cannot have (objects,
/// complex numbers, dates, records), or more or fewer bytes than type and shape take.
Result<NpyArray> parse_npy(std::span<const std::byte> file);

/// Reads a .npy file; "-": standard input. The sentence names the file.
Result<NpyArray> read_npy(const std::string& path);

/// The bytes of the .npy file of a checked, dense tensor. RESOURCE_EXHAUSTED: strings that would take more than 4 GiB, since in
/// a .npy file each takes the room of the longest.
Result<std::vector<std::byte>> format_npy(const vaccel_tensor& tensor);

/// Makes or replaces a .npy file.
Status write_npy(const std::string& path, const vaccel_tensor& tensor);

}  // namespace vaccel::tool
