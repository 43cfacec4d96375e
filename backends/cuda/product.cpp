// SPDX-License-Identifier: Apache-2.0
//
// gemm and gemv: products in blocks, each by cuBLAS, which adds halves of both kinds up in float32.
#include "common/product.h"

#include <algorithm>

#include "engine.h"

namespace vaccel::cuda {
namespace {

using product::Operand;
using product::Product;
using product::ProductSize;

// A part of c, and of the batch.
struct Place {
  size_t m;
  size_t n;
  size_t batch;
};

constexpr size_t kMostLeading = (size_t{1} << 31) - 1;

int as_int(size_t number) {
  return static_cast<int>(number);  // block_of() keeps sizes that far down
}

// An input on the device: where it lies there, or a dense copy; one for the whole batch has stride 0.
struct Input {
  DeviceMemory memory;
  size_t leading;
  size_t stride;
};

class BlockedProduct {
 public:
  BlockedProduct(Engine& engine, const Lane& lane, const Product& problem, const vaccel_backend_run& run)
      : lane_(lane),
        problem_(problem),
        run_(run),
        size_(product::element_size(problem.dtype)),
        block_(product::block_of(problem.size, size_, engine.most_bytes())) {
    // Partial sums would be rounded to 16 bits in c.
    if (size_ == 2 && block_.k < problem.size.k && !problem.only_scales()) {
      refuse(VACCEL_RESOURCE_EXHAUSTED,
             "a product of matrices of 16-bit elements whose inner size is %zu is more than this device "
             "takes at once "
             "(buffer_limit %zu bytes)",
             problem.size.k, engine.most_bytes());
    }
  }

  void multiply() {
    const ProductSize& whole = problem_.size;
    if (problem_.only_scales() && problem_.beta == 1) return;
    for (size_t batch = 0; batch < whole.count; batch += block_.count) {
      for (size_t n = 0; n < whole.n; n += block_.n) {
        for (size_t m = 0; m < whole.m; m += block_.m) {
          stop_if_cancelled(run_);
          compute({m, n, batch});
        }
      }
    }
  }

 private:
  void compute(const Place& at) {
    const ProductSize& whole = problem_.size;
    const ProductSize size = {std::min(block_.m, whole.m - at.m), std::min(block_.n, whole.n - at.n), whole.k,
                              std::min(block_.count, whole.count - at.batch)};
    const HostMatrices c =
        product::part_of(problem_.c, {at.m, at.n, size.m, size.n, at.batch, size.count}, size_);
    const DeviceMemory result = place_of(c);
    if (problem_.only_scales()) {
      scale(result, c.elements());
    } else {
      add_up(at, size, result);
    }
    lane_.copy_out(result, c, size_);
    lane_.finish();
  }

  // Where the result is computed; what it holds there counts only if beta is not 0.
  [[nodiscard]] DeviceMemory place_of(const HostMatrices& c) const {
    if (c.dense() && lane_.has(c)) return DeviceMemory(c.data);
    return problem_.beta != 0 ? lane_.copy_in(c, size_) : lane_.allocate(c.elements() * size_);
  }

  // c = beta c
  void scale(const DeviceMemory& c, size_t elements) {
    if (problem_.beta == 0) return lane_.fill_with_zeros(c, elements * size_);
    const Factor beta(problem_.dtype, problem_.beta);
    check(lane_.blas().cublasScalEx(lane_.handle(), as_int(elements), beta.get(), beta.type(), c.as(),
                                    data_type(problem_.dtype), 1, beta.type()),
          "cublasScalEx");
  }

  // c = alpha a b + beta c, over as much of k at a time as the device is to hold.
  void add_up(const Place& at, const ProductSize& size, const DeviceMemory& c) {
    for (size_t k = 0; k < size.k; k += block_.k) {
      ProductSize step = size;
      step.k = std::min(block_.k, size.k - k);
      const Input a = input(problem_.a, {at.m, k, size.m, step.k, at.batch, size.count});
      const Input b = input(problem_.b, {k, at.n, step.k, size.n, at.batch, size.count});
      const Factor beta(problem_.dtype, k == 0 ? problem_.beta : 1);
      if (problem_.is_vector && size_ != 2) {
        queue_vector(step, a, b, c, beta);
      } else if (step.count == 1) {
        queue_one(step, a, b, c, beta);
      } else {
        queue_batch(step, a, b, c, beta);
      }
    }
  }

  [[nodiscard]] Input input(const Operand& operand, const product::Part& part) const {
    const HostMatrices host = product::part_of(operand, part, size_);
    if (host.leading <= kMostLeading && lane_.has(host))
      return {DeviceMemory(host.data), host.leading, host.count == 1 ? 0 : host.stride};
    return {lane_.copy_in(host, size_), host.rows, host.count == 1 ? 0 : host.rows * host.columns};
  }

  void queue_one(const ProductSize& size, const Input& a, const Input& b, const DeviceMemory& c,
                 const Factor& beta) const {
    const Factor alpha(problem_.dtype, problem_.alpha);
    const cudaDataType type = data_type(problem_.dtype);
    check(
        lane_.blas().cublasGemmEx(lane_.handle(), transposition(problem_.a), transposition(problem_.b),
                                  as_int(size.m), as_int(size.n), as_int(size.k), alpha.get(), a.memory.as(),
                                  type, as_int(a.leading), b.memory.as(), type, as_int(b.leading), beta.get(),
                                  c.as(), type, as_int(size.m), compute_type(), CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
  }

  void queue_batch(const ProductSize& size, const Input& a, const Input& b, const DeviceMemory& c,
                   const Factor& beta) const {
    const Factor alpha(problem_.dtype, problem_.alpha);
    const cudaDataType type = data_type(problem_.dtype);
    check(
        lane_.blas().cublasGemmStridedBatchedEx(
            lane_.handle(), transposition(problem_.a), transposition(problem_.b), as_int(size.m),
            as_int(size.n), as_int(size.k), alpha.get(), a.memory.as(), type, as_int(a.leading),
            static_cast<long long>(a.stride), b.memory.as(), type, as_int(b.leading),
            static_cast<long long>(b.stride), beta.get(), c.as(), type, as_int(size.m),
            static_cast<long long>(size.m * size.n), as_int(size.count), compute_type(), CUBLAS_GEMM_DEFAULT),
        "cublasGemmStridedBatchedEx");
  }

  void queue_vector(const ProductSize& size, const Input& a, const Input& x, const DeviceMemory& y,
                    const Factor& beta) const {
    const Factor alpha(problem_.dtype, problem_.alpha);
    const int rows = as_int(problem_.a.transposed ? size.k : size.m);
    const int columns = as_int(problem_.a.transposed ? size.m : size.k);
    const auto call = [&](auto* gemv, auto element, const char* name) {
      using Real = decltype(element);
      check(gemv(lane_.handle(), transposition(problem_.a), rows, columns,
                 static_cast<const Real*>(alpha.get()), a.memory.as<const Real>(), as_int(a.leading),
                 x.memory.as<const Real>(), 1, static_cast<const Real*>(beta.get()), y.as<Real>(), 1),
            name);
    };
    if (problem_.dtype == VACCEL_FLOAT64) {
      call(lane_.blas().cublasDgemv_v2, double{}, "cublasDgemv");
    } else {
      call(lane_.blas().cublasSgemv_v2, float{}, "cublasSgemv");
    }
  }

  [[nodiscard]] cublasComputeType_t compute_type() const {
    return problem_.dtype == VACCEL_FLOAT64 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;
  }

  static cublasOperation_t transposition(const Operand& operand) {
    return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  }

  const Lane& lane_;
  const Product& problem_;
  const vaccel_backend_run& run_;
  size_t size_;
  ProductSize block_;
};

}  // namespace

void multiply(Engine& engine, const Product& product, const vaccel_backend_run& run) {
  if (product.is_empty()) return;
  with_lane(engine, [&](const Lane& lane) { BlockedProduct(engine, lane, product, run).multiply(); });
}

}  // namespace vaccel::cuda
