// SPDX-License-Identifier: Apache-2.0
//
// The runtime's canonical linear algebra by OpenBLAS. float32 and float64 go to it as they are; products of 16-bit
// matrices are computed in float32, from blocks that are converted one at a time.
#pragma once

#include "api.h"
#include "vaccel/backend.h"

namespace vaccel::openblas {

/// Whether an operation is done here on a type. What is bound by memory alone (min, max, add, copy, and anything on
/// vectors of 16-bit elements) gains nothing by OpenBLAS.
bool does(vaccel_linalg_operation operation, vaccel_dtype dtype);

// These throw a Failure: UNIMPLEMENTED for a size that OpenBLAS's integers do not hold, CANCELLED.

void gemm(const Api& api, const vaccel_backend_gemm& problem, vaccel_backend_run& run);
void gemv(const Api& api, const vaccel_backend_gemv& problem);
void vectors(const Api& api, vaccel_linalg_operation operation, const vaccel_backend_vectors& problem);

}  // namespace vaccel::openblas
