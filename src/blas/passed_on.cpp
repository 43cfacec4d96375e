// SPDX-License-Identifier: Apache-2.0
//
// The rest of level 3, which goes to the next BLAS as it is: there so that the library is all of level 3 to whoever links
// it, and so that its closing line can tell how much of a program's work it cannot take.
#include <cstddef>

#include "blas/next_blas.h"
#include "blas/offload.h"

// Each of these has one line in the lists below, which says its name and its arguments.
#define VACCEL_PASS_ON(name, parameters, arguments)                       \
  static vaccel::blas::NextFunction<void parameters> next_##name{#name};  \
  extern "C" __attribute__((visibility("default"))) void name parameters; \
  void name parameters {                                                  \
    vaccel::blas::count_passed_on();                                      \
    const vaccel::blas::ComputeHere here;                                 \
    next_##name arguments;                                                \
  }

// ---- Fortran: all arguments are references; the lengths of strings come last.

#define VACCEL_SYMM(name)                                                                                  \
  VACCEL_PASS_ON(name,                                                                                     \
                 (const char* side, const char* uplo, const int* m, const int* n, const void* alpha,       \
                  const void* a, const int* lda, const void* b, const int* ldb, const void* beta, void* c, \
                  const int* ldc, size_t length1, size_t length2),                                         \
                 (side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc, length1, length2))
#define VACCEL_SYRK(name)                                                                                 \
  VACCEL_PASS_ON(                                                                                         \
      name,                                                                                               \
      (const char* uplo, const char* trans, const int* n, const int* k, const void* alpha, const void* a, \
       const int* lda, const void* beta, void* c, const int* ldc, size_t length1, size_t length2),        \
      (uplo, trans, n, k, alpha, a, lda, beta, c, ldc, length1, length2))
#define VACCEL_SYR2K(name)                                                                                 \
  VACCEL_PASS_ON(name,                                                                                     \
                 (const char* uplo, const char* trans, const int* n, const int* k, const void* alpha,      \
                  const void* a, const int* lda, const void* b, const int* ldb, const void* beta, void* c, \
                  const int* ldc, size_t length1, size_t length2),                                         \
                 (uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc, length1, length2))
#define VACCEL_TRMM(name)                                                                                  \
  VACCEL_PASS_ON(name,                                                                                     \
                 (const char* side, const char* uplo, const char* trans, const char* diag, const int* m,   \
                  const int* n, const void* alpha, const void* a, const int* lda, void* b, const int* ldb, \
                  size_t length1, size_t length2, size_t length3, size_t length4),                         \
                 (side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb, length1, length2, length3, length4))
#define VACCEL_GEMM(name)                                                                           \
  VACCEL_PASS_ON(name,                                                                              \
                 (const char* transa, const char* transb, const int* m, const int* n, const int* k, \
                  const void* alpha, const void* a, const int* lda, const void* b, const int* ldb,  \
                  const void* beta, void* c, const int* ldc, size_t length1, size_t length2),       \
                 (transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, length1, length2))

VACCEL_GEMM(cgemm_)
VACCEL_GEMM(zgemm_)
VACCEL_SYMM(ssymm_)
VACCEL_SYMM(dsymm_)
VACCEL_SYMM(csymm_)
VACCEL_SYMM(zsymm_)
VACCEL_SYMM(chemm_)
VACCEL_SYMM(zhemm_)
VACCEL_SYRK(ssyrk_)
VACCEL_SYRK(dsyrk_)
VACCEL_SYRK(csyrk_)
VACCEL_SYRK(zsyrk_)
VACCEL_SYRK(cherk_)
VACCEL_SYRK(zherk_)
VACCEL_SYR2K(ssyr2k_)
VACCEL_SYR2K(dsyr2k_)
VACCEL_SYR2K(csyr2k_)
VACCEL_SYR2K(zsyr2k_)
VACCEL_SYR2K(cher2k_)
VACCEL_SYR2K(zher2k_)
VACCEL_TRMM(strmm_)
VACCEL_TRMM(dtrmm_)
VACCEL_TRMM(ctrmm_)
VACCEL_TRMM(ztrmm_)
VACCEL_TRMM(strsm_)
VACCEL_TRMM(dtrsm_)
VACCEL_TRMM(ctrsm_)
VACCEL_TRMM(ztrsm_)

// ---- CBLAS: real factors are values, complex ones pointers.

using Complex = const void*;

#define VACCEL_CBLAS_GEMM(name, Factor)                                                                \
  VACCEL_PASS_ON(name,                                                                                 \
                 (int order, int transa, int transb, int m, int n, int k, Factor alpha, const void* a, \
                  int lda, const void* b, int ldb, Factor beta, void* c, int ldc),                     \
                 (order, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
#define VACCEL_CBLAS_SYMM(name, Factor)                                                              \
  VACCEL_PASS_ON(name,                                                                               \
                 (int order, int side, int uplo, int m, int n, Factor alpha, const void* a, int lda, \
                  const void* b, int ldb, Factor beta, void* c, int ldc),                            \
                 (order, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc))
#define VACCEL_CBLAS_SYRK(name, Factor)                                                               \
  VACCEL_PASS_ON(name,                                                                                \
                 (int order, int uplo, int trans, int n, int k, Factor alpha, const void* a, int lda, \
                  Factor beta, void* c, int ldc),                                                     \
                 (order, uplo, trans, n, k, alpha, a, lda, beta, c, ldc))
#define VACCEL_CBLAS_SYR2K(name, Factor, Beta)                                                        \
  VACCEL_PASS_ON(name,                                                                                \
                 (int order, int uplo, int trans, int n, int k, Factor alpha, const void* a, int lda, \
                  const void* b, int ldb, Beta beta, void* c, int ldc),                               \
                 (order, uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
#define VACCEL_CBLAS_TRMM(name, Factor)                                                           \
  VACCEL_PASS_ON(name,                                                                            \
                 (int order, int side, int uplo, int trans, int diag, int m, int n, Factor alpha, \
                  const void* a, int lda, void* b, int ldb),                                      \
                 (order, side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb))

VACCEL_CBLAS_GEMM(cblas_cgemm, Complex)
VACCEL_CBLAS_GEMM(cblas_zgemm, Complex)
VACCEL_CBLAS_SYMM(cblas_ssymm, float)
VACCEL_CBLAS_SYMM(cblas_dsymm, double)
VACCEL_CBLAS_SYMM(cblas_csymm, Complex)
VACCEL_CBLAS_SYMM(cblas_zsymm, Complex)
VACCEL_CBLAS_SYMM(cblas_chemm, Complex)
VACCEL_CBLAS_SYMM(cblas_zhemm, Complex)
VACCEL_CBLAS_SYRK(cblas_ssyrk, float)
VACCEL_CBLAS_SYRK(cblas_dsyrk, double)
VACCEL_CBLAS_SYRK(cblas_csyrk, Complex)
VACCEL_CBLAS_SYRK(cblas_zsyrk, Complex)
VACCEL_CBLAS_SYRK(cblas_cherk, float)
VACCEL_CBLAS_SYRK(cblas_zherk, double)
VACCEL_CBLAS_SYR2K(cblas_ssyr2k, float, float)
VACCEL_CBLAS_SYR2K(cblas_dsyr2k, double, double)
VACCEL_CBLAS_SYR2K(cblas_csyr2k, Complex, Complex)
VACCEL_CBLAS_SYR2K(cblas_zsyr2k, Complex, Complex)
VACCEL_CBLAS_SYR2K(cblas_cher2k, Complex, float)
VACCEL_CBLAS_SYR2K(cblas_zher2k, Complex, double)
VACCEL_CBLAS_TRMM(cblas_strmm, float)
VACCEL_CBLAS_TRMM(cblas_dtrmm, double)
VACCEL_CBLAS_TRMM(cblas_ctrmm, Complex)
VACCEL_CBLAS_TRMM(cblas_ztrmm, Complex)
VACCEL_CBLAS_TRMM(cblas_strsm, float)
VACCEL_CBLAS_TRMM(cblas_dtrsm, double)
VACCEL_CBLAS_TRMM(cblas_ctrsm, Complex)
VACCEL_CBLAS_TRMM(cblas_ztrsm, Complex)
