// SPDX-License-Identifier: Apache-2.0
//
// The products of real matrices, which go to the host when they are large: CBLAS's and Fortran's names for them.
#include <cstddef>

#include "blas/next_blas.h"
#include "blas/offload.h"

using vaccel::blas::compute_on_host;
using vaccel::blas::ComputeHere;
using vaccel::blas::NextFunction;

#define VACCEL_BLAS_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

template <typename Real>
constexpr vaccel_dtype kDtype = sizeof(Real) == sizeof(float) ? VACCEL_FLOAT32 : VACCEL_FLOAT64;

template <typename Real>
using Cblas = void(int, int, int, int, int, int, Real, const Real*, int, const Real*, int, Real, Real*, int);

// Fortran passes all by reference; the lengths of its strings come last.
template <typename Real>
using Fortran = void(const char*, const char*, const int*, const int*, const int*, const Real*, const Real*,
                     const int*, const Real*, const int*, const Real*, Real*, const int*, size_t, size_t);

// CBLAS's number for Fortran's letter; 0 for one that is none, which BLAS has to refuse.
int transposition(char letter) {
  switch (letter) {
    case 'n':
    case 'N':
      return VACCEL_NO_TRANSPOSE;
    case 't':
    case 'T':
      return VACCEL_TRANSPOSE;
    case 'c':
    case 'C':
      return VACCEL_CONJUGATE_TRANSPOSE;
    default:
      return 0;
  }
}

template <typename Real>
void cblas_gemm(NextFunction<Cblas<Real>>& next, int order, int transpose_a, int transpose_b, int m, int n,
                int k, Real alpha, const Real* a, int lda, const Real* b, int ldb, Real beta, Real* c,
                int ldc) {
  if (compute_on_host(
          {kDtype<Real>, order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc}))
    return;
  const ComputeHere here;
  next(order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

template <typename Real>
void fortran_gemm(NextFunction<Fortran<Real>>& next, const char* transpose_a, const char* transpose_b,
                  const int* m, const int* n, const int* k, const Real* alpha, const Real* a, const int* lda,
                  const Real* b, const int* ldb, const Real* beta, Real* c, const int* ldc, size_t length_a,
                  size_t length_b) {
  if (compute_on_host({kDtype<Real>, VACCEL_COLUMN_MAJOR, transposition(*transpose_a),
                       transposition(*transpose_b), *m, *n, *k, *alpha, a, *lda, b, *ldb, *beta, c, *ldc}))
    return;
  const ComputeHere here;
  next(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, length_a, length_b);
}

NextFunction<Cblas<float>> next_cblas_sgemm{"cblas_sgemm"};
NextFunction<Cblas<double>> next_cblas_dgemm{"cblas_dgemm"};
NextFunction<Fortran<float>> next_sgemm{"sgemm_"};
NextFunction<Fortran<double>> next_dgemm{"dgemm_"};

}  // namespace

VACCEL_BLAS_EXPORT void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k,
                                    float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                                    float* c, int ldc) {
  cblas_gemm(next_cblas_sgemm, order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

VACCEL_BLAS_EXPORT void cblas_dgemm(int order, int transpose_a, int transpose_b, int m, int n, int k,
                                    double alpha, const double* a, int lda, const double* b, int ldb,
                                    double beta, double* c, int ldc) {
  cblas_gemm(next_cblas_dgemm, order, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

VACCEL_BLAS_EXPORT void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                               const int* k, const float* alpha, const float* a, const int* lda,
                               const float* b, const int* ldb, const float* beta, float* c, const int* ldc,
                               size_t length_a, size_t length_b) {
  fortran_gemm(next_sgemm, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, length_a,
               length_b);
}

VACCEL_BLAS_EXPORT void dgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                               const int* k, const double* alpha, const double* a, const int* lda,
                               const double* b, const int* ldb, const double* beta, double* c, const int* ldc,
                               size_t length_a, size_t length_b) {
  fortran_gemm(next_dgemm, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, length_a,
               length_b);
}
