// SPDX-License-Identifier: Apache-2.0
#include "product.h"

#include <algorithm>

namespace vaccel::product {
namespace {

// Some kernels fill matrices up to whole tiles, CLBlast's of at most 128, and index them with int.
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

size_t as_size(int64_t number) {
  return static_cast<size_t>(number);
}

std::byte* bytes_of(const void* data) {
  return static_cast<std::byte*>(const_cast<void*>(data));  // HostMatrices are for inputs and results
}

}  // namespace

HostMatrices vector_at(const void* vector, size_t first, size_t count, size_t element_size) {
  return {bytes_of(vector) + first * element_size, count, 1, count, 0, 1};
}

size_t element_size(vaccel_dtype dtype) {
  return dtype == VACCEL_FLOAT64 ? 8 : dtype == VACCEL_FLOAT32 ? 4 : 2;
}

Product product_of(const vaccel_backend_gemm& problem) {
  const Operand a = {bytes_of(problem.a), problem.transpose_a != 0, as_size(problem.lda),
                     as_size(problem.stride_a)};
  const Operand b = {bytes_of(problem.b), problem.transpose_b != 0, as_size(problem.ldb),
                     as_size(problem.stride_b)};
  const Operand c = {bytes_of(problem.c), false, as_size(problem.ldc), as_size(problem.stride_c)};
  const ProductSize size = {as_size(problem.m), as_size(problem.n), as_size(problem.k),
                            as_size(problem.batch)};
  return {static_cast<vaccel_dtype>(problem.dtype), size, problem.alpha, problem.beta, a, b, c, false};
}

Product product_of(const vaccel_backend_gemv& problem) {
  const bool transposed = problem.transpose != 0;
  const size_t m = as_size(transposed ? problem.n : problem.m);
  const size_t k = as_size(transposed ? problem.m : problem.n);
  const Operand a = {bytes_of(problem.a), transposed, as_size(problem.lda), 0};
  const Operand x = {bytes_of(problem.x), false, k, 0};
  const Operand y = {bytes_of(problem.y), false, m, 0};
  return {static_cast<vaccel_dtype>(problem.dtype), {m, 1, k, 1}, problem.alpha, problem.beta, a, x, y, true};
}

HostMatrices part_of(const Operand& operand, const Part& part, size_t element_size) {
  const size_t across = operand.transposed ? part.row : part.column;
  const size_t along = operand.transposed ? part.column : part.row;
  const size_t first = along + across * operand.leading + part.batch * operand.stride;
  return {operand.data + first * element_size,
          operand.transposed ? part.columns : part.rows,
          operand.transposed ? part.rows : part.columns,
          operand.leading,
          operand.stride,
          operand.stride == 0 ? 1 : part.count};
}

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

}  // namespace vaccel::product
