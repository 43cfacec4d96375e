// SPDX-License-Identifier: Apache-2.0
//
// The operations on vectors that cuBLAS has, or that are made of those. It has no least and greatest value, only places of
// absolute ones, so those are left to other backends. What is longer than a buffer may be is worked on in blocks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/elements.h"
#include "engine.h"

namespace vaccel::cuda {
namespace {

constexpr size_t kMostElements = size_t{1} << 30;  // cuBLAS counts in int

class VectorOperation {
 public:
  VectorOperation(Engine& engine, const Lane& lane, const vaccel_backend_vectors& problem,
                  const vaccel_backend_run& run)
      : lane_(lane),
        problem_(problem),
        run_(run),
        dtype_(static_cast<vaccel_dtype>(problem.dtype)),
        type_(data_type(dtype_)),
        size_(product::element_size(dtype_)),
        fitting_(std::min(engine.most_bytes() / size_, kMostElements)) {}

  // y = alpha x + y, to where y or the sum is.
  void axpy(double factor, void* result) {
    if (factor == 0 && result == problem_.y) return;  // as BLAS: x does not count then
    const Factor alpha(dtype_, factor);
    in_parts([&](size_t first, size_t count) {
      const DeviceMemory x = input(problem_.x, first, count);
      const DeviceMemory y = to_change(problem_.y, result, first, count);
      check(lane_.blas().cublasAxpyEx(lane_.handle(), static_cast<int>(count), alpha.get(), alpha.type(),
                                      x.as(), type_, 1, y.as(), type_, 1, alpha.type()),
            "cublasAxpyEx");
      lane_.copy_out(y, host(result, first, count), size_);
    });
  }

  void scal() {
    const Factor alpha(dtype_, problem_.alpha);
    in_parts([&](size_t first, size_t count) {
      const DeviceMemory y = to_change(problem_.y, problem_.y, first, count);
      check(lane_.blas().cublasScalEx(lane_.handle(), static_cast<int>(count), alpha.get(), alpha.type(),
                                      y.as(), type_, 1, alpha.type()),
            "cublasScalEx");
      lane_.copy_out(y, host(problem_.y, first, count), size_);
    });
  }

  void dot() {
    double sum = 0;
    in_parts([&](size_t first, size_t count) {
      const DeviceMemory x = input(problem_.x, first, count);
      const DeviceMemory y = input(problem_.y, first, count);
      double here = 0;  // room for one of any type
      check(lane_.blas().cublasDotEx(lane_.handle(), static_cast<int>(count), x.as(), type_, 1, y.as(), type_,
                                     1, &here, type_, execution()),
            "cublasDotEx");
      lane_.finish();
      sum += elements::read(dtype_, &here);
    });
    write_result(sum);
  }

  void nrm2() {
    double norm = 0;
    in_parts([&](size_t first, size_t count) {
      const DeviceMemory x = input(problem_.x, first, count);
      double result = 0;  // room for one of any type
      check(lane_.blas().cublasNrm2Ex(lane_.handle(), static_cast<int>(count), x.as(), type_, 1, &result,
                                      type_, execution()),
            "cublasNrm2Ex");
      lane_.finish();
      const double here = elements::read(dtype_, &result);
      const bool is_nan = std::isnan(here) || std::isnan(norm);
      norm = is_nan ? std::numeric_limits<double>::quiet_NaN() : std::hypot(norm, here);
    });
    write_result(norm);
  }

 private:
  template <typename Body>
  void in_parts(Body body) {
    const auto n = static_cast<size_t>(problem_.n);
    for (size_t first = 0; first < n; first += fitting_) {
      stop_if_cancelled(run_);
      body(first, std::min(fitting_, n - first));
      lane_.finish();
    }
  }

  [[nodiscard]] HostMatrices host(const void* vector, size_t first, size_t count) const {
    return product::vector_at(vector, first, count, size_);
  }
  // Where it lies on the device, or a copy.
  [[nodiscard]] DeviceMemory input(const void* vector, size_t first, size_t count) const {
    const HostMatrices there = host(vector, first, count);
    return lane_.has(there) ? DeviceMemory(there.data) : lane_.copy_in(there, size_);
  }
  // The same for one that becomes the result: in place only if that is its place.
  [[nodiscard]] DeviceMemory to_change(const void* vector, const void* result, size_t first,
                                       size_t count) const {
    return vector == result ? input(vector, first, count) : lane_.copy_in(host(vector, first, count), size_);
  }
  void write_result(double value) const {
    std::byte number[sizeof(double)];
    elements::write(dtype_, value, number);
    lane_.copy(problem_.result, number, size_);
    lane_.finish();
  }
  [[nodiscard]] cudaDataType execution() const { return Factor(dtype_, 0).type(); }

  const Lane& lane_;
  const vaccel_backend_vectors& problem_;
  const vaccel_backend_run& run_;
  vaccel_dtype dtype_;
  cudaDataType type_;
  size_t size_;
  size_t fitting_;
};

}  // namespace

void vectors(Engine& engine, vaccel_linalg_operation operation, const vaccel_backend_vectors& problem,
             const vaccel_backend_run& run) {
  if (operation == VACCEL_LINALG_COPY) {
    const size_t bytes =
        static_cast<size_t>(problem.n) * product::element_size(static_cast<vaccel_dtype>(problem.dtype));
    if (bytes == 0) return;
    return with_lane(engine, [&](const Lane& lane) {
      lane.copy(problem.result, problem.x, bytes);
      lane.finish();
    });
  }
  with_lane(engine, [&](const Lane& lane) {
    VectorOperation vector(engine, lane, problem, run);
    switch (operation) {
      case VACCEL_LINALG_AXPY:
        return vector.axpy(problem.alpha, problem.y);
      case VACCEL_LINALG_ADD:
        return vector.axpy(1, problem.result);
      case VACCEL_LINALG_SCAL:
        return vector.scal();
      case VACCEL_LINALG_DOT:
        return vector.dot();
      case VACCEL_LINALG_NRM2:
        return vector.nrm2();
      default:
        refuse(VACCEL_UNIMPLEMENTED, "operation %d is none that this backend has",
               static_cast<int>(operation));
    }
  });
}

}  // namespace vaccel::cuda
