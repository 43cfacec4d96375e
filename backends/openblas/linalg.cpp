// SPDX-License-Identifier: Apache-2.0
#include "linalg.h"

#include <algorithm>
#include <climits>
#include <cstddef>
#include <memory>

#include "common/elements.h"

namespace vaccel::openblas {
namespace {

using elements::load;
using elements::store;

// Between two looks at whether the call has been cancelled: a fraction of a second for one core.
constexpr double kOperationsAtOnce = 0x1p34;

// Of 16-bit matrices, so much is converted at once: three such blocks fit into a processor's second-level cache.
constexpr int64_t kBlock = 384;

int to_int(int64_t value, const char* name) {
  if (value > INT_MAX) {
    refuse(VACCEL_UNIMPLEMENTED, "%s is %lld; OpenBLAS takes at most %d", name, static_cast<long long>(value),
           INT_MAX);
  }
  return static_cast<int>(value);
}

void check_alive(vaccel_backend_run& run) {
  if (run.cancelled(run.context) != 0) refuse(VACCEL_CANCELLED, "the call was ended early");
}

int transposition(int32_t transpose) {
  return transpose != 0 ? kTransposed : kNotTransposed;
}

// One product of a batch.
template <typename Element>
struct Product {
  int32_t transpose_a;
  int32_t transpose_b;
  int64_t m, n, k;
  double alpha;
  double beta;
  const Element* a;
  int64_t lda;
  const Element* b;
  int64_t ldb;
  Element* c;
  int64_t ldc;
};

template <typename Element>
Product<Element> product_of(const vaccel_backend_gemm& problem, int64_t index) {
  return {problem.transpose_a, problem.transpose_b,
          problem.m,           problem.n,
          problem.k,           problem.alpha,
          problem.beta,        static_cast<const Element*>(problem.a) + index * problem.stride_a,
          problem.lda,         static_cast<const Element*>(problem.b) + index * problem.stride_b,
          problem.ldb,         static_cast<Element*>(problem.c) + index * problem.stride_c,
          problem.ldc};
}

// ---- Types that OpenBLAS knows

// As many columns at once as are worth a look at whether it is cancelled.
int64_t columns_at_once(int64_t m, int64_t k) {
  const double operations =
      2.0 * static_cast<double>(std::max<int64_t>(m, 1)) * static_cast<double>(std::max<int64_t>(k, 1));
  return std::max<int64_t>(static_cast<int64_t>(kOperationsAtOnce / operations), 64);
}

template <typename Real>
void multiply(const Api& api, const Product<Real>& product, vaccel_backend_run& run) {
  const int m = to_int(product.m, "m");
  const int k = to_int(product.k, "k");
  const int lda = to_int(product.lda, "lda");
  const int ldb = to_int(product.ldb, "ldb");
  const int ldc = to_int(product.ldc, "ldc");
  (void)to_int(product.n, "n");
  const int64_t at_once = columns_at_once(product.m, product.k);
  for (int64_t column = 0; column < product.n; column += at_once) {
    check_alive(run);
    const int n = static_cast<int>(std::min(at_once, product.n - column));
    const Real* b = product.b + (product.transpose_b != 0 ? column : column * product.ldb);
    api.functions<Real>().gemm(kColumnMajor, transposition(product.transpose_a),
                               transposition(product.transpose_b), m, n, k, static_cast<Real>(product.alpha),
                               product.a, lda, b, ldb, static_cast<Real>(product.beta),
                               product.c + column * product.ldc, ldc);
  }
}

// ---- Types of 16 bits

// Column-major floats of a part of a column-major matrix.
template <typename Element>
void convert(const Element* from, int64_t ld, int64_t rows, int64_t columns, float* to) {
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row)
      to[column * rows + row] = load(from[column * ld + row]);
  }
}

// Memory for a block of each matrix.
struct Blocks {
  std::unique_ptr<float[]> a{new float[kBlock * kBlock]};
  std::unique_ptr<float[]> b{new float[kBlock * kBlock]};
  std::unique_ptr<float[]> sums{new float[kBlock * kBlock]};
};

// sums = (op(a) op(b)) for rows x columns of the result, from (row, column) on.
template <typename Element>
void sum_block(const Api& api, const Product<Element>& product, int64_t row, int64_t rows, int64_t column,
               int64_t columns, Blocks& blocks) {
  std::fill_n(blocks.sums.get(), rows * columns, 0.0f);
  for (int64_t p = 0; p < product.k; p += kBlock) {
    const int64_t depth = std::min(kBlock, product.k - p);
    const bool ta = product.transpose_a != 0;
    const bool tb = product.transpose_b != 0;
    convert(product.a + (ta ? p + row * product.lda : row + p * product.lda), product.lda, ta ? depth : rows,
            ta ? rows : depth, blocks.a.get());
    convert(product.b + (tb ? column + p * product.ldb : p + column * product.ldb), product.ldb,
            tb ? columns : depth, tb ? depth : columns, blocks.b.get());
    api.functions<float>().gemm(
        kColumnMajor, transposition(product.transpose_a), transposition(product.transpose_b),
        static_cast<int>(rows), static_cast<int>(columns), static_cast<int>(depth), 1.0f, blocks.a.get(),
        static_cast<int>(ta ? depth : rows), blocks.b.get(), static_cast<int>(tb ? columns : depth), 1.0f,
        blocks.sums.get(), static_cast<int>(rows));
  }
}

template <typename Element>
void multiply_in_blocks(const Api& api, const Product<Element>& product, Blocks& blocks,
                        vaccel_backend_run& run) {
  const auto alpha = static_cast<float>(product.alpha);
  const auto beta = static_cast<float>(product.beta);
  const bool has_product = alpha != 0 && product.k > 0;
  for (int64_t column = 0; column < product.n; column += kBlock) {
    const int64_t columns = std::min(kBlock, product.n - column);
    for (int64_t row = 0; row < product.m; row += kBlock) {
      check_alive(run);
      const int64_t rows = std::min(kBlock, product.m - row);
      if (has_product) sum_block(api, product, row, rows, column, columns, blocks);
      for (int64_t j = 0; j < columns; ++j) {
        Element* c = product.c + row + (column + j) * product.ldc;
        for (int64_t i = 0; i < rows; ++i) {
          float value = has_product ? alpha * blocks.sums[static_cast<size_t>(j * rows + i)] : 0.0f;
          if (beta != 0) value += beta * load(c[i]);
          c[i] = store<Element>(value);
        }
      }
    }
  }
}

// ---- Vectors

// A vector may be longer than OpenBLAS's integers.
template <typename Body>
void in_pieces(int64_t n, Body body) {
  constexpr int64_t kMost = int64_t{1} << 30;
  for (int64_t first = 0; first < n; first += kMost)
    body(first, static_cast<int>(std::min(kMost, n - first)));
}

template <typename Real>
void on_vectors(const Functions<Real>& functions, vaccel_linalg_operation operation,
                const vaccel_backend_vectors& problem) {
  const auto* x = static_cast<const Real*>(problem.x);
  auto* y = static_cast<Real*>(problem.y);
  auto* result = static_cast<Real*>(problem.result);
  const auto alpha = static_cast<Real>(problem.alpha);
  switch (operation) {
    case VACCEL_LINALG_AXPY:
      in_pieces(problem.n,
                [&](int64_t first, int n) { functions.axpy(n, alpha, x + first, 1, y + first, 1); });
      break;
    case VACCEL_LINALG_SCAL:
      // OpenBLAS overwrites with zeros where BLAS multiplies: a NaN would be lost.
      if (alpha == 0) {
        for (int64_t i = 0; i < problem.n; ++i)
          y[i] *= alpha;
      } else {
        in_pieces(problem.n, [&](int64_t first, int n) { functions.scal(n, alpha, y + first, 1); });
      }
      break;
    case VACCEL_LINALG_DOT: {
      Real sum = 0;
      in_pieces(problem.n,
                [&](int64_t first, int n) { sum += functions.dot(n, x + first, 1, y + first, 1); });
      *result = sum;
      break;
    }
    default:  // VACCEL_LINALG_NRM2: nothing else is done here
      *result = functions.nrm2(to_int(problem.n, "n"), x, 1);
  }
}

template <typename Real>
void multiply_vector(const Functions<Real>& functions, const vaccel_backend_gemv& problem) {
  auto* y = static_cast<Real*>(problem.y);
  const int64_t rows = problem.transpose != 0 ? problem.n : problem.m;
  const auto beta = static_cast<Real>(problem.beta);
  // Whatever OpenBLAS makes of a NaN times zero, it finds none.
  if (beta == 0) std::fill_n(y, rows, Real{0});
  // It leaves y as it is where a has no elements; the operator's y is beta y then.
  if (problem.m == 0 || problem.n == 0) {
    for (int64_t row = 0; row < rows; ++row)
      y[row] *= beta;
    return;
  }
  functions.gemv(kColumnMajor, transposition(problem.transpose), to_int(problem.m, "m"),
                 to_int(problem.n, "n"), static_cast<Real>(problem.alpha),
                 static_cast<const Real*>(problem.a), to_int(problem.lda, "lda"),
                 static_cast<const Real*>(problem.x), 1, beta, y, 1);
}

bool is_real(int dtype) {
  return dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64;
}

}  // namespace

bool does(vaccel_linalg_operation operation, vaccel_dtype dtype) {
  switch (operation) {
    case VACCEL_LINALG_GEMM:
      return elements::is_element(dtype);
    case VACCEL_LINALG_GEMV:
    case VACCEL_LINALG_AXPY:
    case VACCEL_LINALG_SCAL:
    case VACCEL_LINALG_DOT:
    case VACCEL_LINALG_NRM2:
      return is_real(dtype);
    default:
      return false;
  }
}

void gemm(const Api& api, const vaccel_backend_gemm& problem, vaccel_backend_run& run) {
  elements::dispatch(problem.dtype, [&](auto zero) {
    using Element = decltype(zero);
    if constexpr (std::is_floating_point_v<Element>) {
      for (int64_t index = 0; index < problem.batch; ++index)
        multiply(api, product_of<Element>(problem, index), run);
    } else {
      Blocks blocks;
      for (int64_t index = 0; index < problem.batch; ++index)
        multiply_in_blocks(api, product_of<Element>(problem, index), blocks, run);
    }
  });
}

void gemv(const Api& api, const vaccel_backend_gemv& problem) {
  if (problem.dtype == VACCEL_FLOAT64) return multiply_vector(api.functions<double>(), problem);
  multiply_vector(api.functions<float>(), problem);
}

void vectors(const Api& api, vaccel_linalg_operation operation, const vaccel_backend_vectors& problem) {
  if (problem.dtype == VACCEL_FLOAT64) return on_vectors(api.functions<double>(), operation, problem);
  on_vectors(api.functions<float>(), operation, problem);
}

}  // namespace vaccel::openblas
