// SPDX-License-Identifier: Apache-2.0
//
// Which products go to an agent, and how: one session a process, opened when the first product is large enough, and
// given up for a while when it does not work. Nothing here ever fails for the program: what was not computed is computed
// by the next BLAS.
#pragma once

#include <cstdint>

#include "vaccel/vaccel.h"

namespace vaccel::blas {

/// A product as CBLAS has it, with 32-bit integers.
struct Product {
  vaccel_dtype dtype;
  int order;
  int transpose_a;
  int transpose_b;
  int m, n, k;
  double alpha;
  const void* a;
  int lda;
  const void* b;
  int ldb;
  double beta;
  void* c;
  int ldc;
};

/// Computes it on the host if it is large enough and there is an agent. @return false: c is untouched, and what it
/// should be is the caller's to compute.
bool compute_on_host(const Product& product);

/// As long as it lives, what this thread multiplies is computed here and not counted: many a BLAS's cblas_dgemm() calls
/// dgemm_(), and so comes back to this library.
class ComputeHere {
 public:
  ComputeHere();
  ~ComputeHere();
  ComputeHere(const ComputeHere&) = delete;
  ComputeHere& operator=(const ComputeHere&) = delete;

 private:
  const bool before_;
};

/// Another level-3 function went to the next BLAS; for the closing line.
void count_passed_on();

}  // namespace vaccel::blas
