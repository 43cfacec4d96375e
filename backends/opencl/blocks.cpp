// SPDX-License-Identifier: Apache-2.0
#include "blocks.h"

#include <algorithm>

namespace vaccel::opencl {
namespace {

// CLBlast fills matrices up to whole tiles, of at most 128, and indexes them with int.
constexpr size_t kTile = 128;
constexpr size_t kMostElements = size_t{1} << 30;
// Where a block begins, its address stays aligned as well as the whole's.
constexpr size_t kGrain = 64;

size_t filled_up(size_t size) {
  return (size + kTile - 1) / kTile * kTile;
}

bool matrix_fits(size_t rows, size_t columns, size_t count, size_t element_size, size_t most_bytes) {
  // Each factor alone first, so that no product overflows.
  if (rows > kMostElements || columns > kMostElements || count > kMostElements) return false;
  const size_t elements = filled_up(rows) * filled_up(columns);
  if (elements > kMostElements || elements * count > kMostElements) return false;
  return rows * columns * count * element_size <= most_bytes;
}

bool fits(const ProductSize& size, size_t element_size, size_t most_bytes) {
  return matrix_fits(size.m, size.k, size.count, element_size, most_bytes) &&
         matrix_fits(size.k, size.n, size.count, element_size, most_bytes) &&
         matrix_fits(size.m, size.n, size.count, element_size, most_bytes);
}

size_t half_of(size_t size) {
  const size_t half = (size + 1) / 2;
  return half > kGrain ? (half + kGrain - 1) / kGrain * kGrain : half;
}

}  // namespace

ProductSize block_of(const ProductSize& whole, size_t element_size, size_t most_bytes) {
  ProductSize block = whole;
  while (block.count > 1 && !fits(block, element_size, most_bytes))
    block.count = (block.count + 1) / 2;
  while (!fits(block, element_size, most_bytes)) {
    size_t& largest = block.m >= block.n && block.m >= block.k ? block.m
                      : block.n >= block.k                     ? block.n
                                                               : block.k;
    if (largest == 1) break;
    largest = half_of(largest);
  }
  return block;
}

}  // namespace vaccel::opencl
