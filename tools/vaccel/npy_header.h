// SPDX-License-Identifier: Apache-2.0
//
// The header of a .npy file: a Python dictionary literal, of which exactly the form that NumPy writes is understood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace vaccel::tool {

struct NpyHeader {
  std::string descr;  ///< "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;  ///< At most VACCEL_MAX_RANK numbers, each >= 0.
  size_t bytes = 0;            ///< Where the data begin.
};

/// The header at the start of a file. INVALID_ARGUMENT: there is none, it is cut off, longer than 64 KiB, of an unknown
/// version, or anything else than the three entries that a header has.
Result<NpyHeader> parse_npy_header(std::span<const std::byte> file);

/// A version 1 header, padded so that the data begin at a multiple of 64 bytes.
std::string format_npy_header(std::string_view descr, std::span<const int64_t> shape);

}  // namespace vaccel::tool
