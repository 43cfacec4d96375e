// SPDX-License-Identifier: Apache-2.0
//
// Small problems, whose only result is that their kernels are compiled.
#include <array>
#include <cstddef>

#include "engine.h"

namespace vaccel::opencl {
namespace {

constexpr int64_t kSide = 4;
constexpr int64_t kBatch = 2;

// Zeros of any type.
struct alignas(64) Zeros {
  std::array<std::byte, kSide * kSide * kBatch * sizeof(double)> bytes{};
};

int never_cancelled(void* /*context*/) {
  return 0;
}

}  // namespace

void warm_up(Engine& engine, vaccel_dtype dtype) {
  if (!engine.takes(dtype)) {
    refuse(VACCEL_INVALID_ARGUMENT, "[backend.opencl] warm_up names %s, which %s does not compute with",
           type_name(dtype), engine.devices());
  }
  const Zeros input;
  Zeros result;
  vaccel_backend_run run{};
  run.size = sizeof run;
  run.cancelled = never_cancelled;

  vaccel_backend_gemm product{};
  product.size = sizeof product;
  product.dtype = dtype;
  product.m = product.n = product.k = product.lda = product.ldb = product.ldc = kSide;
  product.alpha = 1;
  product.beta = 1;
  product.a = product.b = input.bytes.data();
  product.c = result.bytes.data();
  product.stride_a = product.stride_c = kSide * kSide;
  for (product.batch = 1; product.batch <= kBatch; ++product.batch)
    gemm(engine, product, run);

  vaccel_backend_gemv vector{};
  vector.size = sizeof vector;
  vector.dtype = dtype;
  vector.m = vector.n = vector.lda = kSide;
  vector.alpha = 1;
  vector.a = vector.x = input.bytes.data();
  vector.y = result.bytes.data();
  gemv(engine, vector, run);

  vaccel_backend_vectors sum{};
  sum.size = sizeof sum;
  sum.dtype = dtype;
  sum.n = kSide;
  sum.x = input.bytes.data();
  sum.y = result.bytes.data();
  sum.result = result.bytes.data();
  vectors(engine, VACCEL_LINALG_DOT, sum, run);
}

}  // namespace vaccel::opencl
