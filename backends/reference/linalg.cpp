// SPDX-License-Identifier: Apache-2.0
#include "linalg.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "common/elements.h"

namespace vaccel::reference {
namespace {

using elements::dispatch;
using elements::load;
using elements::store;
using elements::Sum;

constexpr int32_t kScore = 1;         // anybody else does better
constexpr int64_t kRowsAtOnce = 256;  // their sums stay in the nearest cache

vaccel_status ended_early(vaccel_backend_run* run) {
  return run->error.fail(run->error.context, VACCEL_CANCELLED, "the call was ended early");
}

// ---- Matrices

// One product of a batch, with its type.
template <typename Element>
struct Product {
  bool transpose_a;
  bool transpose_b;
  int64_t m, n, k;
  Sum<Element> alpha;
  Sum<Element> beta;
  const Element* a;
  int64_t lda;
  const Element* b;
  int64_t ldb;
  Element* c;
  int64_t ldc;
};

// sums[i] = (op(a) op(b))(first + i, column), for `count` rows.
template <typename Element>
void sum_rows(const Product<Element>& product, int64_t column, int64_t first, int64_t count,
              Sum<Element>* sums) {
  std::fill_n(sums, count, Sum<Element>{0});
  for (int64_t p = 0; p < product.k; ++p) {
    const auto factor =
        load(product.transpose_b ? product.b[column + p * product.ldb] : product.b[p + column * product.ldb]);
    if (product.transpose_a) {
      const Element* row = product.a + first * product.lda + p;
      for (int64_t i = 0; i < count; ++i)
        sums[i] += load(row[i * product.lda]) * factor;
    } else {
      const Element* rows = product.a + first + p * product.lda;
      for (int64_t i = 0; i < count; ++i)
        sums[i] += load(rows[i]) * factor;
    }
  }
}

template <typename Element>
void multiply_column(const Product<Element>& product, int64_t column) {
  Sum<Element> sums[kRowsAtOnce];
  // As in BLAS, what is multiplied by zero is not looked at.
  const bool has_product = product.alpha != 0 && product.k > 0;
  for (int64_t first = 0; first < product.m; first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, product.m - first);
    Element* c = product.c + first + column * product.ldc;
    if (has_product) sum_rows(product, column, first, count, sums);
    for (int64_t i = 0; i < count; ++i) {
      Sum<Element> value = has_product ? product.alpha * sums[i] : 0;
      if (product.beta != 0) value += product.beta * load(c[i]);
      c[i] = store<Element>(value);
    }
  }
}

// @return false: the call was ended early.
template <typename Element>
bool multiply(const Product<Element>& product, vaccel_backend_run* run) {
  for (int64_t column = 0; column < product.n; ++column) {
    if (run->cancelled(run->context) != 0) return false;
    multiply_column(product, column);
  }
  return true;
}

vaccel_status gemm(vaccel_backend_instance* /*instance*/, const vaccel_backend_gemm* problem,
                   vaccel_backend_run* run) {
  return dispatch(problem->dtype, [&](auto zero) {
    using Element = decltype(zero);
    for (int64_t index = 0; index < problem->batch; ++index) {
      const Product<Element> product{
          .transpose_a = problem->transpose_a != 0,
          .transpose_b = problem->transpose_b != 0,
          .m = problem->m,
          .n = problem->n,
          .k = problem->k,
          .alpha = static_cast<Sum<Element>>(problem->alpha),
          .beta = static_cast<Sum<Element>>(problem->beta),
          .a = static_cast<const Element*>(problem->a) + index * problem->stride_a,
          .lda = problem->lda,
          .b = static_cast<const Element*>(problem->b) + index * problem->stride_b,
          .ldb = problem->ldb,
          .c = static_cast<Element*>(problem->c) + index * problem->stride_c,
          .ldc = problem->ldc,
      };
      if (!multiply(product, run)) return ended_early(run);
    }
    return VACCEL_OK;
  });
}

// A vector is a matrix with one column.
vaccel_status gemv(vaccel_backend_instance* /*instance*/, const vaccel_backend_gemv* problem,
                   vaccel_backend_run* run) {
  const bool transpose = problem->transpose != 0;
  const int64_t rows = transpose ? problem->n : problem->m;
  const int64_t columns = transpose ? problem->m : problem->n;
  return dispatch(problem->dtype, [&](auto zero) {
    using Element = decltype(zero);
    const Product<Element> product{
        .transpose_a = transpose,
        .transpose_b = false,
        .m = rows,
        .n = 1,
        .k = columns,
        .alpha = static_cast<Sum<Element>>(problem->alpha),
        .beta = static_cast<Sum<Element>>(problem->beta),
        .a = static_cast<const Element*>(problem->a),
        .lda = problem->lda,
        .b = static_cast<const Element*>(problem->x),
        .ldb = std::max<int64_t>(columns, 1),
        .c = static_cast<Element*>(problem->y),
        .ldc = std::max<int64_t>(rows, 1),
    };
    return multiply(product, run) ? VACCEL_OK : ended_early(run);
  });
}

// ---- Vectors

template <typename Element>
Sum<Element> dot(int64_t n, const Element* x, const Element* y) {
  Sum<Element> sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += load(x[i]) * load(y[i]);
  return sum;
}

// In double nothing of a smaller type overflows or vanishes when it is squared.
template <typename Element>
float norm(int64_t n, const Element* x) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto value = static_cast<double>(load(x[i]));
    sum += value * value;
  }
  return static_cast<float>(std::sqrt(sum));
}

// Doubles do; they are scaled by a power of two, which changes none of their digits.
double norm(int64_t n, const double* x) {
  double most = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(x[i])) return x[i];
    most = std::max(most, std::fabs(x[i]));
  }
  if (most == 0 || std::isinf(most)) return most;
  const int exponent = std::ilogb(most);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double value = std::scalbn(x[i], -exponent);
    sum += value * value;
  }
  return std::scalbn(std::sqrt(sum), exponent);
}

// The first NaN stays.
template <typename Element, typename Better>
Element extreme(int64_t n, const Element* x, Better better) {
  Element best = x[0];
  for (int64_t i = 1; i < n && !std::isnan(load(best)); ++i) {
    if (better(load(x[i]), load(best)) || std::isnan(load(x[i]))) best = x[i];
  }
  return best;
}

template <typename Element>
vaccel_status on_vectors(vaccel_linalg_operation operation, const vaccel_backend_vectors& problem,
                         vaccel_backend_run* run) {
  const auto* x = static_cast<const Element*>(problem.x);
  auto* y = static_cast<Element*>(problem.y);
  auto* result = static_cast<Element*>(problem.result);
  const auto alpha = static_cast<Sum<Element>>(problem.alpha);
  const int64_t n = problem.n;
  switch (operation) {
    case VACCEL_LINALG_AXPY:
      for (int64_t i = 0; i < n; ++i)
        y[i] = store<Element>(alpha * load(x[i]) + load(y[i]));
      return VACCEL_OK;
    case VACCEL_LINALG_SCAL:
      for (int64_t i = 0; i < n; ++i)
        y[i] = store<Element>(alpha * load(y[i]));
      return VACCEL_OK;
    case VACCEL_LINALG_DOT:
      *result = store<Element>(dot<Element>(n, x, y));
      return VACCEL_OK;
    case VACCEL_LINALG_NRM2:
      *result = store<Element>(norm(n, x));
      return VACCEL_OK;
    case VACCEL_LINALG_ADD:
      for (int64_t i = 0; i < n; ++i)
        result[i] = store<Element>(load(x[i]) + load(y[i]));
      return VACCEL_OK;
    case VACCEL_LINALG_COPY:
      if (n > 0) std::memcpy(result, x, static_cast<size_t>(n) * sizeof(Element));
      return VACCEL_OK;
    case VACCEL_LINALG_MIN:
      *result = extreme(n, x, [](auto one, auto other) { return one < other; });
      return VACCEL_OK;
    case VACCEL_LINALG_MAX:
      *result = extreme(n, x, [](auto one, auto other) { return one > other; });
      return VACCEL_OK;
    default:
      return run->error.fail(run->error.context, VACCEL_UNIMPLEMENTED,
                             "this operation is not one on vectors");
  }
}

vaccel_status vectors(vaccel_backend_instance* /*instance*/, vaccel_linalg_operation operation,
                      const vaccel_backend_vectors* problem, vaccel_backend_run* run) {
  return dispatch(problem->dtype,
                  [&](auto zero) { return on_vectors<decltype(zero)>(operation, *problem, run); });
}

int32_t score(vaccel_backend_instance* /*instance*/, vaccel_linalg_operation operation, vaccel_dtype dtype) {
  const bool known = operation >= VACCEL_LINALG_GEMM && operation <= VACCEL_LINALG_MAX;
  return known && elements::is_element(dtype) ? kScore : 0;
}

}  // namespace

constexpr vaccel_backend_linalg kLinalg = {sizeof(vaccel_backend_linalg), score, gemm, gemv, vectors};

}  // namespace vaccel::reference
