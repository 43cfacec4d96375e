// SPDX-License-Identifier: Apache-2.0
//
// OpenBLAS, loaded when the backend is made: the functions that this backend calls, declared here as CBLAS has them, so
// that building needs nothing of it.
#pragma once

#include <string>

#include "common/failure.h"
#include "vaccel/backend.h"

namespace vaccel::openblas {

using backends::Failure;
using backends::refuse;

// CBLAS's numbers.
inline constexpr int kColumnMajor = 102;
inline constexpr int kNotTransposed = 111;
inline constexpr int kTransposed = 112;

/// The functions for one of the two types.
template <typename Real>
struct Functions {
  void (*gemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, Real alpha, const Real* a,
               int lda, const Real* b, int ldb, Real beta, Real* c, int ldc) = nullptr;
  void (*gemv)(int order, int transpose, int m, int n, Real alpha, const Real* a, int lda, const Real* x,
               int incx, Real beta, Real* y, int incy) = nullptr;
  void (*axpy)(int n, Real alpha, const Real* x, int incx, Real* y, int incy) = nullptr;
  void (*scal)(int n, Real alpha, Real* x, int incx) = nullptr;
  Real (*dot)(int n, const Real* x, int incx, const Real* y, int incy) = nullptr;
  Real (*nrm2)(int n, const Real* x, int incx) = nullptr;
};

class Api {
 public:
  /// @param path     Of the library; "": where the loader finds it.
  /// @param threads  0: one for each core. UNAVAILABLE: it is not here, or is not one that this backend can use.
  static Api load(const std::string& path, int threads);

  template <typename Real>
  [[nodiscard]] const Functions<Real>& functions() const;

  /// "0.3.21", and the kernels that it chose for this processor, "SkylakeX", with how many threads use them.
  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] const std::string& devices() const { return devices_; }

 private:
  Functions<float> floats_;
  Functions<double> doubles_;
  std::string version_;
  std::string devices_;
};

template <>
inline const Functions<float>& Api::functions<float>() const {
  return floats_;
}
template <>
inline const Functions<double>& Api::functions<double>() const {
  return doubles_;
}

}  // namespace vaccel::openblas
