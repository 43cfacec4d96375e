// SPDX-License-Identifier: Apache-2.0
//
// What the tests of linear algebra share: elements of each type, matrices with gaps that nobody may read, and the bound
// that the standard analysis of rounding errors gives for a sum of products (Higham, Accuracy and Stability of
// Numerical Algorithms, 3.1): |computed - exact| <= gamma_k |x|.|y|, gamma_k = k u / (1 - k u), in any order of
// summation. Nothing here is taken from the code under test: what is exact is computed in long double.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "vaccel/types.h"

namespace vaccel::linalg_testing {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline constexpr vaccel_dtype kTypes[] = {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_FLOAT16, VACCEL_BFLOAT16};

/// How a type rounds: its unit roundoff and its least subnormal number.
struct Rounding {
  long double unit;
  long double least;
};
inline Rounding rounding_of(vaccel_dtype dtype) {
  switch (dtype) {
    case VACCEL_FLOAT64:
      return {0x1p-53L, 0x1p-1074L};
    case VACCEL_FLOAT16:
      return {0x1p-11L, 0x1p-24L};
    case VACCEL_BFLOAT16:
      return {0x1p-8L, 0x1p-133L};
    default:
      return {0x1p-24L, 0x1p-149L};
  }
}
/// Of the type that sums are kept in.
inline Rounding sum_rounding_of(vaccel_dtype dtype) {
  return rounding_of(dtype == VACCEL_FLOAT64 ? VACCEL_FLOAT64 : VACCEL_FLOAT32);
}

/// An element's bytes; `value` is rounded to the type (to BFLOAT16 towards zero).
inline void write_element(vaccel_dtype dtype, double value, std::byte* to) {
  const auto put = [to](auto element) { std::memcpy(to, &element, sizeof element); };
  switch (dtype) {
    case VACCEL_FLOAT64:
      return put(value);
    case VACCEL_FLOAT16:
      return put(static_cast<_Float16>(value));
    case VACCEL_BFLOAT16:
      return put(static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16));
    default:
      return put(static_cast<float>(value));
  }
}
inline double read_element(vaccel_dtype dtype, const std::byte* from) {
  const auto get = [from]<typename T>(T element) {
    std::memcpy(&element, from, sizeof element);
    return element;
  };
  switch (dtype) {
    case VACCEL_FLOAT64:
      return get(double{});
    case VACCEL_FLOAT16:
      return static_cast<double>(get(_Float16{}));
    case VACCEL_BFLOAT16:
      return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(get(uint16_t{})) << 16));
    default:
      return static_cast<double>(get(float{}));
  }
}

/// Elements of one type.
class Elements {
 public:
  Elements(vaccel_dtype dtype, size_t count)
      : dtype_(dtype), size_(element_size(dtype)), bytes_(count * size_) {}
  Elements(vaccel_dtype dtype, const std::vector<double>& values) : Elements(dtype, values.size()) {
    for (size_t index = 0; index < values.size(); ++index)
      set(index, values[index]);
  }
  Elements(vaccel_dtype dtype, std::vector<std::byte> bytes)
      : dtype_(dtype), size_(element_size(dtype)), bytes_(std::move(bytes)) {}

  [[nodiscard]] size_t count() const { return bytes_.size() / size_; }
  [[nodiscard]] double operator[](size_t index) const {
    return read_element(dtype_, bytes_.data() + index * size_);
  }
  void set(size_t index, double value) { write_element(dtype_, value, bytes_.data() + index * size_); }
  [[nodiscard]] vaccel_dtype dtype() const { return dtype_; }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }
  [[nodiscard]] std::byte* data() { return bytes_.data(); }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] std::vector<double> values() const {
    std::vector<double> values(count());
    for (size_t index = 0; index < values.size(); ++index)
      values[index] = (*this)[index];
    return values;
  }

 private:
  vaccel_dtype dtype_;
  size_t size_;
  std::vector<std::byte> bytes_;
};

/// The same in every run.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  int64_t below(int64_t limit) { return std::uniform_int_distribution<int64_t>(0, limit - 1)(engine_); }
  template <typename T, size_t N>
  T one_of(const T (&choices)[N]) {
    return choices[below(N)];
  }
  /// In [-1, 1].
  double value() { return std::uniform_real_distribution<double>(-1, 1)(engine_); }
  Elements elements(vaccel_dtype dtype, size_t count) {
    Elements elements(dtype, count);
    for (size_t index = 0; index < count; ++index)
      elements.set(index, value());
    return elements;
  }

 private:
  std::mt19937 engine_;
};

/// A sum of products as it is exactly, and what it would be of absolute values.
struct Exact {
  long double value = 0;
  long double magnitude = 0;
  int64_t terms = 0;

  void add(long double product) {
    value += product;
    magnitude += std::fabs(product);
    ++terms;
  }
};

/// Whether `computed` is as close to scale * exact + offset as the analysis promises for any order of summation in the
/// type that sums are kept in, and one rounding to `dtype`.
inline testing::AssertionResult is_close(vaccel_dtype dtype, double computed, const Exact& exact,
                                         double scale = 1, double offset = 0) {
  const Rounding sum = sum_rounding_of(dtype);
  const Rounding result = rounding_of(dtype);
  const long double wanted = scale * exact.value + offset;
  const long double magnitude = std::fabs(static_cast<long double>(scale)) * exact.magnitude +
                                std::fabs(static_cast<long double>(offset));
  const long double roundings = static_cast<long double>(exact.terms + 3) * sum.unit;
  const long double gamma = roundings / (1 - roundings);
  long double bound = gamma * magnitude + static_cast<long double>(exact.terms + 3) * sum.least;
  bound += result.unit * (std::fabs(wanted) + bound) + result.least;
  if (std::fabs(static_cast<long double>(computed) - wanted) <= bound) return testing::AssertionSuccess();
  return testing::AssertionFailure() << computed << " is " << static_cast<double>(computed - wanted)
                                     << " from " << static_cast<double>(wanted) << "; the bound is "
                                     << static_cast<double>(bound);
}

/// alpha and beta, as the arithmetic has them.
inline double as_factor(vaccel_dtype dtype, double value) {
  return dtype == VACCEL_FLOAT64 ? value : static_cast<double>(static_cast<float>(value));
}

/// A batch of row-major matrices with gaps between rows and between matrices, which are full of NaN.
struct MatrixSet {
  MatrixSet(vaccel_dtype dtype, int64_t its_rows, int64_t its_columns, int64_t its_pitch, int64_t its_stride,
            int64_t batch, Random& random)
      : rows(its_rows),
        columns(its_columns),
        pitch(its_pitch),
        stride(its_stride),
        elements(dtype, count(batch)) {
    for (size_t index = 0; index < elements.count(); ++index)
      elements.set(index, kNan);
    for (int64_t index = 0; index < batch; ++index) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column)
          elements.set(at(index, row, column), random.value());
      }
    }
  }

  [[nodiscard]] size_t at(int64_t index, int64_t row, int64_t column) const {
    return static_cast<size_t>(index * stride + row * pitch + column);
  }
  /// Of op(matrix).
  [[nodiscard]] double get(bool transpose, int64_t index, int64_t row, int64_t column) const {
    return elements[transpose ? at(index, column, row) : at(index, row, column)];
  }

  int64_t rows, columns, pitch, stride;
  Elements elements;

 private:
  [[nodiscard]] size_t count(int64_t batch) const {
    if (rows == 0 || columns == 0 || batch == 0) return 0;
    return static_cast<size_t>((batch - 1) * stride + (rows - 1) * pitch + columns);
  }
};

/// (op(a) op(b))(row, column) of one product of a batch.
inline Exact exact_product(const MatrixSet& a, bool transpose_a, const MatrixSet& b, bool transpose_b,
                           int64_t k, int64_t index, int64_t row, int64_t column) {
  Exact exact;
  for (int64_t p = 0; p < k; ++p) {
    exact.add(static_cast<long double>(a.get(transpose_a, index, row, p)) *
              static_cast<long double>(b.get(transpose_b, index, p, column)));
  }
  return exact;
}

inline const char* type_text(vaccel_dtype dtype) {
  return dtype_name(dtype);
}

}  // namespace vaccel::linalg_testing
