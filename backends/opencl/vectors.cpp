// SPDX-License-Identifier: Apache-2.0
//
// What is done to each element of vectors, or reduces them, by the kernels of kernels.h. A vector longer than a buffer
// may be is worked on in blocks; the results of a reduction's groups are joined here, in double and in order, so that
// the same vector has the same result each time.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>

#include "common/elements.h"
#include "engine.h"

namespace vaccel::opencl {
namespace {

// A block starts where the whole's alignment is kept.
constexpr size_t kGrain = 64;
constexpr size_t kMostElements = size_t{1} << 30;
// Items of a reduction go on to further elements when there are more than these groups have.
constexpr size_t kGroupsPerUnit = 8;
constexpr size_t kMostGroups = 4096;

// How much of [0, whole) is worked on at once.
struct Part {
  size_t first;
  size_t count;
};

class VectorOperation {
 public:
  VectorOperation(Engine& engine, Lane& lane, const vaccel_backend_vectors& problem,
                  const vaccel_backend_run& run)
      : engine_(engine),
        lane_(lane),
        problem_(problem),
        run_(run),
        dtype_(static_cast<vaccel_dtype>(problem.dtype)),
        size_(element_size(dtype_)),
        n_(static_cast<size_t>(problem.n)) {}

  void axpy() {
    if (problem_.alpha == 0) return;  // as BLAS: x does not count then
    in_parts([&](const Part& part) {
      const DeviceMatrices x = input(Slot::kA, problem_.x, part);
      const DeviceMatrices y = output(problem_.y, part, true);
      launch("axpy")
          .memory(x.memory)
          .memory(y.memory)
          .real(problem_.alpha)
          .number(part.count)
          .over(part.count);
      fetch(y, problem_.y, part);
    });
  }

  void scal() {
    in_parts([&](const Part& part) {
      const DeviceMatrices y = output(problem_.y, part, true);
      launch("scal").memory(y.memory).real(problem_.alpha).number(part.count).over(part.count);
      fetch(y, problem_.y, part);
    });
  }

  void add() {
    in_parts([&](const Part& part) {
      const DeviceMatrices x = input(Slot::kA, problem_.x, part);
      const DeviceMatrices y = input(Slot::kB, problem_.y, part);
      const DeviceMatrices sum = output(problem_.result, part, false);
      launch("add").memory(x.memory).memory(y.memory).memory(sum.memory).number(part.count).over(part.count);
      fetch(sum, problem_.result, part);
    });
  }

  void dot() {
    double sum = 0;
    in_parts([&](const Part& part) {
      const DeviceMatrices x = input(Slot::kA, problem_.x, part);
      const DeviceMatrices y = input(Slot::kB, problem_.y, part);
      for (const double one : reduce("product", x.memory, y.memory, 1, part.count))
        sum += one;
    });
    write_result(sum);
  }

  // The greatest size first: scaled by it, no square overflows, and none that counts vanishes.
  void nrm2() {
    double norm = 0;
    in_parts([&](const Part& part) {
      const DeviceMatrices x = input(Slot::kA, problem_.x, part);
      const double greatest =
          join(reduce("greatest_size", x.memory, x.memory, 1, part.count),
               [](double one, double other) { return one > other || std::isnan(one) ? one : other; });
      if (greatest == 0) return;
      if (!std::isfinite(greatest)) {
        // An infinite element beside a NaN: the NaN it is.
        norm = std::isnan(norm) ? norm : greatest;
        return;
      }
      const int most = dtype_ == VACCEL_FLOAT64 ? 1000 : 120;
      const int exponent = std::clamp(std::ilogb(greatest), -most, most);
      double sum = 0;
      for (const double one : reduce("squares", x.memory, x.memory, std::ldexp(1.0, -exponent), part.count))
        sum += one;
      const double here = std::ldexp(std::sqrt(sum), exponent);
      norm = std::isnan(here) || std::isnan(norm) ? std::numeric_limits<double>::quiet_NaN()
                                                  : std::hypot(norm, here);
    });
    write_result(norm);
  }

  void least() {
    extreme("least", [](double one, double other) { return one < other || std::isnan(one) ? one : other; });
  }

  void greatest() {
    extreme("greatest",
            [](double one, double other) { return one > other || std::isnan(one) ? one : other; });
  }

 private:
  template <typename Body>
  void in_parts(Body body) {
    const size_t fitting = std::min(engine_.most_bytes() / size_, kMostElements) / kGrain * kGrain;
    for (size_t first = 0; first < n_; first += fitting) {
      stop_if_cancelled(run_);
      body(Part{first, std::min(fitting, n_ - first)});
      lane_.finish();
    }
  }

  HostMatrices host(const void* vector, const Part& part) const {
    return product::vector_at(vector, part.first, part.count, size_);
  }

  DeviceMatrices input(Slot slot, const void* vector, const Part& part) {
    return lane_.input(slot, host(vector, part), size_);
  }
  DeviceMatrices output(void* vector, const Part& part, bool load) {
    return lane_.output(Slot::kC, host(vector, part), size_, load);
  }
  void fetch(const DeviceMatrices& device, void* vector, const Part& part) {
    lane_.fetch(device, host(vector, part), size_);
  }
  void write_result(double value) {
    std::byte number[sizeof(double)];
    elements::write(dtype_, value, number);
    lane_.copy(problem_.result, number, size_);
    lane_.finish();
  }
  Launch launch(const char* kernel) { return engine_.launch(lane_, dtype_, kernel); }

  // The result of each group.
  std::vector<double> reduce(const char* kernel, cl_mem x, cl_mem y, double scale, size_t count) {
    const Device& device = engine_.device();
    const size_t group = device.group_size;
    const size_t groups =
        std::min({(count + group - 1) / group, device.compute_units * kGroupsPerUnit, kMostGroups});
    return dtype_ == VACCEL_FLOAT64 ? reduce<double>(kernel, x, y, scale, count, std::max<size_t>(groups, 1))
                                    : reduce<float>(kernel, x, y, scale, count, std::max<size_t>(groups, 1));
  }

  template <typename Real>
  std::vector<double> reduce(const char* kernel, cl_mem x, cl_mem y, double scale, size_t count,
                             size_t groups) {
    cl_mem parts = lane_.scratch(Slot::kParts, groups * sizeof(Real));
    launch(kernel).memory(x).memory(y).real(scale).number(count).memory(parts).over(
        groups * engine_.device().group_size);
    std::vector<Real> results(groups);
    check(lane_.cl().clEnqueueReadBuffer(lane_.queue(), parts, CL_TRUE, 0, groups * sizeof(Real),
                                         results.data(), 0, nullptr, nullptr),
          "clEnqueueReadBuffer");
    return {results.begin(), results.end()};
  }

  template <typename Choose>
  static double join(const std::vector<double>& values, Choose choose) {
    double joined = values.front();
    for (const double value : values)
      joined = choose(value, joined);
    return joined;
  }

  template <typename Choose>
  void extreme(const char* kernel, Choose choose) {
    bool any = false;
    double found = 0;
    in_parts([&](const Part& part) {
      const DeviceMatrices x = input(Slot::kA, problem_.x, part);
      const double here = join(reduce(kernel, x.memory, x.memory, 1, part.count), choose);
      found = any ? choose(here, found) : here;
      any = true;
    });
    write_result(found);
  }

  Engine& engine_;
  Lane& lane_;
  const vaccel_backend_vectors& problem_;
  const vaccel_backend_run& run_;
  vaccel_dtype dtype_;
  size_t size_;
  size_t n_;
};

}  // namespace

void vectors(Engine& engine, vaccel_linalg_operation operation, const vaccel_backend_vectors& problem,
             const vaccel_backend_run& run) {
  if (operation == VACCEL_LINALG_COPY) {
    // Where both lie on the host, through the device it would be two copies more.
    const size_t bytes =
        static_cast<size_t>(problem.n) * element_size(static_cast<vaccel_dtype>(problem.dtype));
    if (bytes == 0) return;
    with_lane(engine, [&](Lane& lane) {
      lane.copy(problem.result, problem.x, bytes);
      lane.finish();
    });
    return;
  }
  with_lane(engine, [&](Lane& lane) {
    VectorOperation vector(engine, lane, problem, run);
    switch (operation) {
      case VACCEL_LINALG_AXPY:
        return vector.axpy();
      case VACCEL_LINALG_SCAL:
        return vector.scal();
      case VACCEL_LINALG_ADD:
        return vector.add();
      case VACCEL_LINALG_DOT:
        return vector.dot();
      case VACCEL_LINALG_NRM2:
        return vector.nrm2();
      case VACCEL_LINALG_MIN:
        return vector.least();
      case VACCEL_LINALG_MAX:
        return vector.greatest();
      default:
        refuse(VACCEL_UNIMPLEMENTED, "operation %d is none that this backend has",
               static_cast<int>(operation));
    }
  });
}

}  // namespace vaccel::opencl
