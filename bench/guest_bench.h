// SPDX-License-Identifier: Apache-2.0
//
// What the benchmark's two halves on the sides of a guest agree on: guest_bench.cpp prints, section_vm.cpp reads.
#pragma once

#include <cstddef>

namespace vaccel::bench {

/// How a tensor gets to the host: it lies in a buffer in the window; the library copies it there; over vsock. And, beside
/// each size, a tensor of kGuestSmall bytes that lies in the window.
inline constexpr const char* kGuestPaths[] = {"window", "copied", "inline", "small"};
inline constexpr size_t kGuestSmall = 64;

inline constexpr size_t kGuestPayloads[] = {kGuestSmall, 4'000, 150'000, 600'000, 5'000'000};

}  // namespace vaccel::bench
