// SPDX-License-Identifier: Apache-2.0
//
// Products for backends whose device has memory of its own: gemm and gemv in one form, and how they are cut into blocks
// that the device can hold and whose elements its kernels can count.
#pragma once

#include <cstddef>

#include "vaccel/backend.h"

namespace vaccel::product {

/// Matrices of one size in the caller's memory, column-major; a vector is a column. Sizes are in elements, and at
/// least 1.
struct HostMatrices {
  std::byte* data;  ///< Never written where they are an input.
  size_t rows;
  size_t columns;
  size_t leading;  ///< From one column to the next.
  size_t stride;   ///< From one matrix to the next.
  size_t count;

  [[nodiscard]] size_t elements() const { return rows * columns * count; }
  /// From the first element to the last, gaps included.
  [[nodiscard]] size_t span() const { return (count - 1) * stride + (columns - 1) * leading + rows; }
  [[nodiscard]] bool dense() const {
    return (columns == 1 || leading == rows) && (count == 1 || stride == rows * columns);
  }
};

/// A vector from element `first` on.
HostMatrices vector_at(const void* vector, size_t first, size_t count, size_t element_size);

/// c is m x n, the inner size is k; `count` such products at once.
struct ProductSize {
  size_t m;
  size_t n;
  size_t k;
  size_t count;
};

/// One matrix of a product, or one for each of the batch.
struct Operand {
  std::byte* data;
  bool transposed;
  size_t leading;
  size_t stride;  ///< 0: it is shared by the batch.
};

/// c = alpha op(a) op(b) + beta c
struct Product {
  vaccel_dtype dtype;
  ProductSize size;
  double alpha;
  double beta;
  Operand a;       ///< op() of it is m x k.
  Operand b;       ///< k x n
  Operand c;       ///< m x n, never transposed
  bool is_vector;  ///< A gemv: n is 1, and there is no batch.

  /// There is nothing to compute.
  [[nodiscard]] bool is_empty() const { return size.m == 0 || size.n == 0 || size.count == 0; }
  /// c = beta c; a and b are not read, as in BLAS.
  [[nodiscard]] bool only_scales() const { return alpha == 0 || size.k == 0; }
};

Product product_of(const vaccel_backend_gemm& problem);
Product product_of(const vaccel_backend_gemv& problem);

/// 2, 4 or 8, of a floating-point type.
size_t element_size(vaccel_dtype dtype);

/// A part of op(operand), as it lies in memory.
struct Part {
  size_t row;
  size_t column;
  size_t rows;
  size_t columns;
  size_t batch;
  size_t count;
};
HostMatrices part_of(const Operand& operand, const Part& part, size_t element_size);

/// The largest block of `whole` of which each operand, of elements of `element_size`, takes at most `most_bytes`, and
/// whose matrices, filled up to whole tiles, stay countable in int. Blocks of a product that is cut have count 1.
/// Every size is at least 1, and at most that of `whole`.
ProductSize block_of(const ProductSize& whole, size_t element_size, size_t most_bytes);

}  // namespace vaccel::product
