// SPDX-License-Identifier: Apache-2.0
//
// How a product is cut into blocks that a device can hold and whose elements CLBlast's kernels can count.
#pragma once

#include <cstddef>

namespace vaccel::opencl {

/// c is m x n, the inner size is k; `count` such products at once.
struct ProductSize {
  size_t m;
  size_t n;
  size_t k;
  size_t count;
};

/// The largest block of `whole` of which each operand, of elements of `element_size`, takes at most `most_bytes`, and
/// whose matrices, filled up to whole tiles, stay countable in int. Blocks of a product that is cut have count 1.
/// Every size is at least 1, and at most that of `whole`.
ProductSize block_of(const ProductSize& whole, size_t element_size, size_t most_bytes);

}  // namespace vaccel::opencl
