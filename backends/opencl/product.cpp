// SPDX-License-Identifier: Apache-2.0
//
// gemm and gemv: products in blocks, each by CLBlast. CLBlast computes in float32 and float64; halves of both kinds become
// float32 on the device, which is what their sums are defined to be computed in (CLBlast's own half routines add up in
// half precision). Its kernels count elements in int, so blocks are cut for that as well: see common/product.h.
#include <algorithm>
#include <cstddef>

#include "common/product.h"
#include "engine.h"

namespace vaccel::opencl {
namespace {

using product::Operand;
using product::Product;
using product::ProductSize;

// From this size on, in multiplications, each product of a batch keeps the device busy by itself.
constexpr size_t kLargeProduct = size_t{256} * 256 * 256;

// A part of c, and of the batch.
struct Place {
  size_t m;
  size_t n;
  size_t batch;
};

class BlockedProduct {
 public:
  BlockedProduct(Engine& engine, Lane& lane, const Product& problem, const vaccel_backend_run& run)
      : engine_(engine),
        lane_(lane),
        problem_(problem),
        run_(run),
        stored_size_(element_size(problem.dtype)),
        computed_size_(doubles() ? sizeof(double) : sizeof(float)),
        block_(block_of(problem.size, computed_size_, engine.most_bytes())) {}

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
  [[nodiscard]] bool doubles() const { return problem_.dtype == VACCEL_FLOAT64; }
  [[nodiscard]] bool is_half() const { return stored_size_ == 2; }

  void compute(const Place& at) {
    const ProductSize& whole = problem_.size;
    const ProductSize size = {std::min(block_.m, whole.m - at.m), std::min(block_.n, whole.n - at.n), whole.k,
                              std::min(block_.count, whole.count - at.batch)};
    const HostMatrices c =
        part_of(problem_.c, {at.m, at.n, size.m, size.n, at.batch, size.count}, stored_size_);
    const DeviceMatrices stored =
        lane_.output(is_half() ? Slot::kStoredC : Slot::kC, c, stored_size_, problem_.beta != 0);
    if (problem_.only_scales()) {
      scale(stored.memory, c.elements());
    } else {
      const DeviceMatrices result = is_half() ? widened_result(stored, c) : stored;
      // CLBlast's gemv multiplies y by beta even if that is 0, and a NaN would stay one; its gemm does not.
      if (problem_.is_vector && problem_.beta == 0) {
        lane_.fill_with_zeros(result.memory, c.elements() * computed_size_);
      }
      add_up(at, size, result);
      if (is_half()) {
        engine_.launch(lane_, problem_.dtype, "narrow")
            .memory(result.memory)
            .memory(stored.memory)
            .number(c.elements())
            .over(c.elements());
      }
    }
    lane_.fetch(stored, c, stored_size_);
    lane_.finish();
  }

  // c = beta c
  void scale(cl_mem memory, size_t elements) {
    if (problem_.beta == 0) {
      lane_.fill_with_zeros(memory, elements * stored_size_);
    } else if (problem_.beta != 1) {
      engine_.launch(lane_, problem_.dtype, "scal")
          .memory(memory)
          .real(problem_.beta)
          .number(elements)
          .over(elements);
    }
  }

  // c = alpha a b + beta c, over as much of k at a time as the device can hold.
  void add_up(const Place& at, const ProductSize& size, const DeviceMatrices& result) {
    for (size_t k = 0; k < size.k; k += block_.k) {
      ProductSize step = size;
      step.k = std::min(block_.k, size.k - k);
      const DeviceMatrices a =
          input(Slot::kA, Slot::kStoredA,
                part_of(problem_.a, {at.m, k, size.m, step.k, at.batch, size.count}, stored_size_));
      const DeviceMatrices b =
          input(Slot::kB, Slot::kStoredB,
                part_of(problem_.b, {k, at.n, step.k, size.n, at.batch, size.count}, stored_size_));
      const double beta = k == 0 ? problem_.beta : 1;
      if (doubles()) {
        queue(step, a, b, result, problem_.alpha, beta);
      } else {
        queue(step, a, b, result, static_cast<float>(problem_.alpha), static_cast<float>(beta));
      }
    }
  }

  // An input as CLBlast takes it.
  DeviceMatrices input(Slot slot, Slot stored_slot, const HostMatrices& host) {
    DeviceMatrices found = lane_.input(is_half() ? stored_slot : slot, host, stored_size_);
    if (is_half()) found = widened(slot, found, host);
    if (host.count == 1) found.stride = 0;
    return found;
  }

  DeviceMatrices widened(Slot slot, const DeviceMatrices& stored, const HostMatrices& shape) {
    cl_mem memory = lane_.scratch(slot, shape.elements() * computed_size_);
    engine_.launch(lane_, problem_.dtype, "widen")
        .memory(stored.memory)
        .number(shape.rows)
        .number(stored.leading)
        .number(stored.stride)
        .memory(memory)
        .over(shape.rows, shape.columns, shape.count);
    return {memory, shape.rows, shape.rows * shape.columns};
  }

  // c in float32; what it holds counts only if beta is not 0.
  DeviceMatrices widened_result(const DeviceMatrices& stored, const HostMatrices& c) {
    if (problem_.beta != 0) return widened(Slot::kC, stored, c);
    return {lane_.scratch(Slot::kC, c.elements() * computed_size_), c.rows, c.rows * c.columns};
  }

  template <typename Real>
  void queue(const ProductSize& size, const DeviceMatrices& a, const DeviceMatrices& b,
             const DeviceMatrices& c, Real alpha, Real beta) {
    if (problem_.is_vector) return queue_vector(size, a, b, c, alpha, beta);
    if (size.count > 1 && size.m * size.n * size.k < kLargeProduct) {
      return queue_batch(size, a, b, c, alpha, beta);
    }
    for (size_t product = 0; product < size.count; ++product) {
      const auto call = [&](auto* gemm, const char* name) {
        engine_.queue_routine(Routine::kGemm, doubles(), [&] {
          cl_command_queue queue = lane_.queue();
          check(gemm(CLBlastLayoutColMajor, transposition(problem_.a), transposition(problem_.b), size.m,
                     size.n, size.k, alpha, a.memory, product * a.stride, a.leading, b.memory,
                     product * b.stride, b.leading, beta, c.memory, product * c.stride, c.leading, &queue,
                     nullptr),
                name);
        });
      };
      if constexpr (sizeof(Real) == sizeof(double)) {
        call(engine_.blast().CLBlastDgemm, "CLBlastDgemm");
      } else {
        call(engine_.blast().CLBlastSgemm, "CLBlastSgemm");
      }
    }
  }

  template <typename Real>
  void queue_batch(const ProductSize& size, const DeviceMatrices& a, const DeviceMatrices& b,
                   const DeviceMatrices& c, Real alpha, Real beta) {
    const auto call = [&](auto* gemm, const char* name) {
      engine_.queue_routine(Routine::kGemmBatched, doubles(), [&] {
        cl_command_queue queue = lane_.queue();
        check(gemm(CLBlastLayoutColMajor, transposition(problem_.a), transposition(problem_.b), size.m,
                   size.n, size.k, alpha, a.memory, 0, a.leading, a.stride, b.memory, 0, b.leading, b.stride,
                   beta, c.memory, 0, c.leading, c.stride, size.count, &queue, nullptr),
              name);
      });
    };
    if constexpr (sizeof(Real) == sizeof(double)) {
      call(engine_.blast().CLBlastDgemmStridedBatched, "CLBlastDgemmStridedBatched");
    } else {
      call(engine_.blast().CLBlastSgemmStridedBatched, "CLBlastSgemmStridedBatched");
    }
  }

  template <typename Real>
  void queue_vector(const ProductSize& size, const DeviceMatrices& a, const DeviceMatrices& x,
                    const DeviceMatrices& y, Real alpha, Real beta) {
    const size_t rows = problem_.a.transposed ? size.k : size.m;
    const size_t columns = problem_.a.transposed ? size.m : size.k;
    const auto call = [&](auto* gemv, const char* name) {
      engine_.queue_routine(Routine::kGemv, doubles(), [&] {
        cl_command_queue queue = lane_.queue();
        check(gemv(CLBlastLayoutColMajor, transposition(problem_.a), rows, columns, alpha, a.memory, 0,
                   a.leading, x.memory, 0, 1, beta, y.memory, 0, 1, &queue, nullptr),
              name);
      });
    };
    if constexpr (sizeof(Real) == sizeof(double)) {
      call(engine_.blast().CLBlastDgemv, "CLBlastDgemv");
    } else {
      call(engine_.blast().CLBlastSgemv, "CLBlastSgemv");
    }
  }

  static CLBlastTranspose transposition(const Operand& operand) {
    return operand.transposed ? CLBlastTransposeYes : CLBlastTransposeNo;
  }

  Engine& engine_;
  Lane& lane_;
  const Product& problem_;
  const vaccel_backend_run& run_;
  size_t stored_size_;
  size_t computed_size_;
  ProductSize block_;
};

void multiply(Engine& engine, const Product& product, const vaccel_backend_run& run) {
  if (product.is_empty()) return;
  with_lane(engine, [&](Lane& lane) { BlockedProduct(engine, lane, product, run).multiply(); });
}

}  // namespace

void gemm(Engine& engine, const vaccel_backend_gemm& problem, const vaccel_backend_run& run) {
  if (problem.batch > 1 && problem.stride_c == 0) {
    refuse(VACCEL_INVALID_ARGUMENT, "%lld products share one result: stride_c is 0",
           static_cast<long long>(problem.batch));
  }
  multiply(engine, product::product_of(problem), run);
}

void gemv(Engine& engine, const vaccel_backend_gemv& problem, const vaccel_backend_run& run) {
  multiply(engine, product::product_of(problem), run);
}

}  // namespace vaccel::opencl
