// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this backend share: numbers of the four types, memory with exact ends, sums that are computed
// otherwise, and the backend itself, loaded as the runtime loads it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "runtime/backend_library.h"
#include "runtime/runtime_testing.h"

namespace vaccel::opencl::testing {

using Exact = long double;

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

inline constexpr vaccel_dtype kTypes[] = {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16, VACCEL_BFLOAT16};

inline size_t size_of(vaccel_dtype dtype) {
  return dtype == VACCEL_FLOAT64 ? 8 : dtype == VACCEL_FLOAT32 ? 4 : 2;
}

/// Unit roundoff of what is computed with: float32 for halves of both kinds.
inline Exact computed_roundoff(vaccel_dtype dtype) {
  return std::ldexp(Exact{1}, dtype == VACCEL_FLOAT64 ? -53 : -24);
}

/// How far the nearest number of the type may lie from `value`.
inline Exact rounding_of(vaccel_dtype dtype, Exact value) {
  switch (dtype) {
    case VACCEL_FLOAT64:
      return std::fabs(value) * std::ldexp(Exact{1}, -53);
    case VACCEL_FLOAT32:
      return std::fabs(value) * std::ldexp(Exact{1}, -24) + std::ldexp(Exact{1}, -150);
    case VACCEL_FLOAT16:
      return std::fabs(value) * std::ldexp(Exact{1}, -11) + std::ldexp(Exact{1}, -25);
    default:
      return std::fabs(value) * std::ldexp(Exact{1}, -8) + std::ldexp(Exact{1}, -134);
  }
}

/// gamma_n = n u / (1 - n u), of the standard analysis: what n roundings one after the other may do.
inline Exact gamma(size_t n, vaccel_dtype dtype) {
  const Exact nu = static_cast<Exact>(n) * computed_roundoff(dtype);
  return nu / (1 - nu);
}

inline double half_value(uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  if (exponent == 31) return fraction != 0 ? std::nan("") : sign * HUGE_VAL;
  return exponent == 0 ? sign * std::ldexp(fraction, -24) : sign * std::ldexp(1024 + fraction, exponent - 25);
}

/// Elements of a type in memory of exactly their size, so that AddressSanitizer sees one too many; at an address that is
/// a multiple of 64, or only of the element's size.
class Elements {
 public:
  Elements(vaccel_dtype dtype, size_t count, bool aligned = true)
      : dtype_(dtype), count_(count), skipped_(aligned ? 0 : size_of(dtype)) {
    void* memory = nullptr;
    EXPECT_EQ(::posix_memalign(&memory, 64, skipped_ + count * size_of(dtype)), 0);
    memory_.reset(static_cast<std::byte*>(memory));
    std::memset(data(), 0xff, count * size_of(dtype));  // a NaN in each of the types
  }

  [[nodiscard]] std::byte* data() const { return memory_.get() + skipped_; }
  [[nodiscard]] size_t count() const { return count_; }
  [[nodiscard]] vaccel_dtype dtype() const { return dtype_; }
  [[nodiscard]] size_t bytes() const { return count_ * size_of(dtype_); }

  [[nodiscard]] double at(size_t index) const {
    if (dtype_ == VACCEL_FLOAT64) return read<double>(index);
    if (dtype_ == VACCEL_FLOAT32) return static_cast<double>(read<float>(index));
    if (dtype_ == VACCEL_FLOAT16) return half_value(read<uint16_t>(index));
    return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(read<uint16_t>(index)) << 16));
  }

  /// A number of the type, of a size around 1.
  void randomise(size_t index, Random& random) {
    const uint32_t bits = random();
    if (dtype_ == VACCEL_FLOAT64) {
      write(index, std::ldexp(static_cast<double>(static_cast<int32_t>(bits)) + random() * 0x1p-32, -31));
    } else if (dtype_ == VACCEL_FLOAT32) {
      write(index, std::ldexp(static_cast<float>(static_cast<int32_t>(bits)), -31));
    } else if (dtype_ == VACCEL_FLOAT16) {
      write(index, static_cast<uint16_t>((bits & 0x83ff) | ((11 + (bits >> 16) % 5) << 10)));
    } else {
      write(index, static_cast<uint16_t>((bits & 0x807f) | ((123 + (bits >> 16) % 5) << 7)));
    }
  }
  void randomise(Random& random) {
    for (size_t index = 0; index < count_; ++index)
      randomise(index, random);
  }

  /// `value` must be one of the type.
  void set(size_t index, double value) {
    if (dtype_ == VACCEL_FLOAT64) {
      write(index, value);
    } else if (dtype_ == VACCEL_FLOAT32) {
      write(index, static_cast<float>(value));
    } else if (dtype_ == VACCEL_BFLOAT16) {
      write(index, static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16));
    } else {
      write(index, half_bits_of(value));
    }
    EXPECT_TRUE(std::isnan(value) ? std::isnan(at(index)) : at(index) == value)
        << value << " is none of the type";
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  // By looking: it is called for few values.
  static uint16_t half_bits_of(double value) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const double here = half_value(static_cast<uint16_t>(bits));
      if (here == value || (std::isnan(value) && std::isnan(here))) return static_cast<uint16_t>(bits);
    }
    return 0;
  }

  template <typename T>
  T read(size_t index) const {
    T value;
    std::memcpy(&value, data() + index * sizeof value, sizeof value);
    return value;
  }
  template <typename T>
  void write(size_t index, T value) {
    std::memcpy(data() + index * sizeof value, &value, sizeof value);
  }

  vaccel_dtype dtype_;
  size_t count_;
  size_t skipped_;
  std::unique_ptr<std::byte, Free> memory_;
};

/// A run without tensors: where failures go and whether it is cancelled.
class TestRun {
 public:
  TestRun() {
    run_.size = sizeof run_;
    run_.error = failure_.sink();
    run_.context = this;
    run_.cancelled = [](void* context) { return static_cast<TestRun*>(context)->is_cancelled ? 1 : 0; };
    run_.on_cancel = [](void*, void (*)(void*), void*) {};
  }
  TestRun(const TestRun&) = delete;
  TestRun& operator=(const TestRun&) = delete;

  [[nodiscard]] vaccel_backend_run* get() { return &run_; }
  /// "" for VACCEL_OK, else "STATUS: sentence".
  std::string outcome(vaccel_status status) {
    const Status told = failure_.outcome(status, "opencl");
    return told.ok() ? "" : std::string(status_name(told.code())) + ": " + told.message();
  }

  bool is_cancelled = false;

 private:
  runtime::BackendFailure failure_;
  vaccel_backend_run run_{};
};

/// The backend with options, or why it does not run.
class Backend {
 public:
  explicit Backend(std::vector<runtime::BackendOption> options = {}) {
    log_ = [this](int level, const std::string& line) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(std::to_string(level) + " " + line);
    };
    auto loaded = runtime::BackendLibrary::load(
        runtime::testing::backend_folder() / "libvaccel-backend-opencl.so", "opencl", options, log_);
    if (loaded) {
      library_ = std::move(*loaded);
    } else {
      problem_ = std::string(status_name(loaded.error().code())) + ": " + loaded.error().message();
    }
  }
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] const runtime::BackendLibrary& library() const { return *library_; }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  [[nodiscard]] bool takes(vaccel_dtype dtype) const {
    return table().score(library_->instance(), VACCEL_LINALG_GEMM, dtype) > 0;
  }
  [[nodiscard]] std::string gemm(const vaccel_backend_gemm& problem) const {
    TestRun run;
    return run.outcome(table().gemm(library_->instance(), &problem, run.get()));
  }
  [[nodiscard]] std::string gemv(const vaccel_backend_gemv& problem) const {
    TestRun run;
    return run.outcome(table().gemv(library_->instance(), &problem, run.get()));
  }
  [[nodiscard]] std::string vectors(vaccel_linalg_operation operation,
                                    const vaccel_backend_vectors& problem) const {
    TestRun run;
    return run.outcome(table().vectors(library_->instance(), operation, &problem, run.get()));
  }
  [[nodiscard]] const vaccel_backend_linalg& table() const { return *library_->table().linalg; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  runtime::LogFunction log_;
  std::unique_ptr<runtime::BackendLibrary> library_;
  std::string problem_;
};

}  // namespace vaccel::opencl::testing
