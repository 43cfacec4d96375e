// SPDX-License-Identifier: Apache-2.0
//
// The C API's linear algebra on any session, over random arguments of every kind that CBLAS knows: the same checks for
// the runtime in this process and for an agent. What must not be touched (gaps between rows, elements between those of a
// vector) is filled with a number that must be there afterwards; what must not be read is NaN.
#pragma once

#include <cstdlib>

#include "runtime/linalg/linalg_testing.h"
#include "vaccel/vaccel.h"

namespace vaccel::linalg_testing {

inline constexpr double kUntouched = 77;

/// A batch of matrices as CBLAS has them, in either order, with its leading dimension.
class CblasMatrix {
 public:
  /// rows x columns before transposition. @param gap  What is in the gaps.
  CblasMatrix(vaccel_dtype dtype, int order, int64_t rows, int64_t columns, int64_t ld_gap,
              int64_t stride_gap, int64_t batch, double gap, Random& random)
      : order_(order),
        rows_(rows),
        columns_(columns),
        ld_(std::max<int64_t>(order == VACCEL_ROW_MAJOR ? columns : rows, 1) + ld_gap),
        stride_((order == VACCEL_ROW_MAJOR ? rows : columns) * ld_ + stride_gap),
        elements_(dtype, static_cast<size_t>(batch * stride_ + 1)),
        mine_(elements_.count()) {
    for (size_t index = 0; index < elements_.count(); ++index)
      elements_.set(index, gap);
    for (int64_t index = 0; index < batch; ++index) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t column = 0; column < columns; ++column) {
          elements_.set(at(index, row, column), random.value());
          mine_[at(index, row, column)] = true;
        }
      }
    }
  }

  [[nodiscard]] int64_t ld() const { return ld_; }
  [[nodiscard]] int64_t stride() const { return stride_; }
  [[nodiscard]] std::byte* data() { return elements_.data(); }
  [[nodiscard]] std::byte* data(int64_t index) {
    return elements_.data() + static_cast<size_t>(index * stride_) * element_size(elements_.dtype());
  }
  [[nodiscard]] double get(int64_t index, int64_t row, int64_t column) const {
    return elements_[at(index, row, column)];
  }
  /// Of op(matrix).
  [[nodiscard]] double get(int transpose, int64_t index, int64_t row, int64_t column) const {
    return transpose == VACCEL_NO_TRANSPOSE ? get(index, row, column) : get(index, column, row);
  }
  void fill(double value) {
    for (size_t index = 0; index < elements_.count(); ++index) {
      if (mine_[index]) elements_.set(index, value);
    }
  }
  /// Whether the gaps are full of `gap`.
  [[nodiscard]] bool has_gaps_of(double gap) const {
    for (size_t index = 0; index < elements_.count(); ++index) {
      if (!mine_[index] && elements_[index] != gap) return false;
    }
    return true;
  }
  [[nodiscard]] const Elements& elements() const { return elements_; }

 private:
  [[nodiscard]] size_t at(int64_t index, int64_t row, int64_t column) const {
    const int64_t in_matrix = order_ == VACCEL_ROW_MAJOR ? row * ld_ + column : column * ld_ + row;
    return static_cast<size_t>(index * stride_ + in_matrix);
  }

  int order_;
  int64_t rows_, columns_, ld_, stride_;
  Elements elements_;
  std::vector<bool> mine_;
};

/// A vector as BLAS has it.
class BlasVector {
 public:
  BlasVector(vaccel_dtype dtype, int64_t n, int64_t increment, double gap, Random& random)
      : n_(n),
        increment_(increment),
        elements_(dtype, static_cast<size_t>(std::max<int64_t>(n - 1, 0) * std::abs(increment) + 1)) {
    for (size_t index = 0; index < elements_.count(); ++index)
      elements_.set(index, gap);
    for (int64_t index = 0; index < n; ++index)
      elements_.set(at(index), random.value());
  }

  [[nodiscard]] std::byte* data() { return elements_.data(); }
  [[nodiscard]] int64_t increment() const { return increment_; }
  [[nodiscard]] double operator[](int64_t index) const { return elements_[at(index)]; }
  [[nodiscard]] bool has_gaps_of(double gap) const {
    for (size_t index = 0; index < elements_.count(); ++index) {
      const bool mine = n_ > 0 && index % static_cast<size_t>(std::abs(increment_)) == 0;
      if (!mine && elements_[index] != gap) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] size_t at(int64_t index) const {
    return static_cast<size_t>(increment_ < 0 ? (index - n_ + 1) * increment_ : index * increment_);
  }

  int64_t n_;
  int64_t increment_;
  Elements elements_;
};

/// The arguments that all products have.
struct ProductCase {
  vaccel_dtype dtype;
  vaccel_order order;
  vaccel_transpose transpose_a, transpose_b;
  int64_t m, n, k;
  double alpha, beta;

  static ProductCase draw(Random& random) {
    constexpr int64_t kSizes[] = {0, 1, 2, 3, 7, 16, 31, 61};
    constexpr double kFactors[] = {0, 1, -1, 0.3};
    constexpr vaccel_order kOrders[] = {VACCEL_ROW_MAJOR, VACCEL_COLUMN_MAJOR};
    constexpr vaccel_transpose kTransposes[] = {VACCEL_NO_TRANSPOSE, VACCEL_TRANSPOSE,
                                                VACCEL_CONJUGATE_TRANSPOSE};
    ProductCase one{};
    one.dtype = random.one_of(kTypes);
    one.order = random.one_of(kOrders);
    one.transpose_a = random.one_of(kTransposes);
    one.transpose_b = random.one_of(kTransposes);
    one.m = random.one_of(kSizes);
    one.n = random.one_of(kSizes);
    one.k = random.one_of(kSizes);
    one.alpha = random.one_of(kFactors);
    one.beta = random.one_of(kFactors);
    return one;
  }
  [[nodiscard]] std::string text() const {
    return std::string(type_text(dtype)) + " order " + std::to_string(order) + " transposes " +
           std::to_string(transpose_a) + ", " + std::to_string(transpose_b) + " m " + std::to_string(m) +
           " n " + std::to_string(n) + " k " + std::to_string(k) + " alpha " + std::to_string(alpha) +
           " beta " + std::to_string(beta);
  }
  [[nodiscard]] CblasMatrix a(int64_t ld_gap, int64_t stride_gap, int64_t batch, Random& random) const {
    const bool plain = transpose_a == VACCEL_NO_TRANSPOSE;
    return {dtype, order, plain ? m : k, plain ? k : m, ld_gap, stride_gap, batch, kNan, random};
  }
  [[nodiscard]] CblasMatrix b(int64_t ld_gap, int64_t stride_gap, int64_t batch, Random& random) const {
    const bool plain = transpose_b == VACCEL_NO_TRANSPOSE;
    return {dtype, order, plain ? k : n, plain ? n : k, ld_gap, stride_gap, batch, kNan, random};
  }
  /// With beta = 0 what it holds does not count, so it holds NaN.
  [[nodiscard]] CblasMatrix c(int64_t ld_gap, int64_t stride_gap, int64_t batch, Random& random) const {
    CblasMatrix c(dtype, order, m, n, ld_gap, stride_gap, batch, kUntouched, random);
    if (beta == 0) c.fill(kNan);
    return c;
  }
  /// Compares product `index`, whose c was `before`.
  void expect(const CblasMatrix& a, int64_t a_index, const CblasMatrix& b, int64_t b_index,
              const CblasMatrix& before, const CblasMatrix& after, int64_t index) const {
    for (int64_t row = 0; row < m; ++row) {
      for (int64_t column = 0; column < n; ++column) {
        Exact exact;
        for (int64_t p = 0; alpha != 0 && p < k; ++p) {
          exact.add(static_cast<long double>(a.get(transpose_a, a_index, row, p)) *
                    static_cast<long double>(b.get(transpose_b, b_index, p, column)));
        }
        const double offset = beta == 0 ? 0 : as_factor(dtype, beta) * before.get(index, row, column);
        ASSERT_TRUE(is_close(dtype, after.get(index, row, column), exact, as_factor(dtype, alpha), offset))
            << "product " << index << ", row " << row << ", column " << column;
      }
    }
  }
};

inline void check_gemm(vaccel_session* session, int count, uint32_t seed) {
  Random random(seed);
  for (int round = 0; round < count && !testing::Test::HasFailure(); ++round) {
    const ProductCase one = ProductCase::draw(random);
    SCOPED_TRACE(one.text());
    CblasMatrix a = one.a(random.below(3), 0, 1, random);
    CblasMatrix b = one.b(random.below(3), 0, 1, random);
    CblasMatrix c = one.c(random.below(3), 0, 1, random);
    const CblasMatrix before = c;
    ASSERT_EQ(
        vaccel_gemm(session, one.dtype, one.order, one.transpose_a, one.transpose_b, one.m, one.n, one.k,
                    one.alpha, a.data(), a.ld(), b.data(), b.ld(), one.beta, c.data(), c.ld(), nullptr),
        VACCEL_OK)
        << vaccel_error_message();
    one.expect(a, 0, b, 0, before, c, 0);
    EXPECT_TRUE(c.has_gaps_of(kUntouched));
  }
}

inline void check_gemm_strided_batch(vaccel_session* session, int count, uint32_t seed) {
  Random random(seed);
  for (int round = 0; round < count && !testing::Test::HasFailure(); ++round) {
    const ProductCase one = ProductCase::draw(random);
    const int64_t batch = random.below(4);
    const bool shared_a = random.below(3) == 0;
    const bool shared_b = random.below(3) == 0;
    SCOPED_TRACE(one.text() + " batch " + std::to_string(batch));
    CblasMatrix a = one.a(random.below(3), random.below(3), shared_a ? 1 : batch, random);
    CblasMatrix b = one.b(random.below(3), random.below(3), shared_b ? 1 : batch, random);
    CblasMatrix c = one.c(random.below(3), random.below(3), batch, random);
    const CblasMatrix before = c;
    ASSERT_EQ(vaccel_gemm_strided_batch(
                  session, one.dtype, one.order, one.transpose_a, one.transpose_b, one.m, one.n, one.k,
                  one.alpha, a.data(), a.ld(), shared_a ? 0 : a.stride(), b.data(), b.ld(),
                  shared_b ? 0 : b.stride(), one.beta, c.data(), c.ld(), c.stride(), batch, nullptr),
              VACCEL_OK)
        << vaccel_error_message();
    for (int64_t index = 0; index < batch; ++index)
      one.expect(a, shared_a ? 0 : index, b, shared_b ? 0 : index, before, c, index);
    EXPECT_TRUE(c.has_gaps_of(kUntouched));
  }
}

inline void check_gemm_batch(vaccel_session* session, int count, uint32_t seed) {
  Random random(seed);
  for (int round = 0; round < count && !testing::Test::HasFailure(); ++round) {
    const ProductCase one = ProductCase::draw(random);
    const int64_t batch = random.below(4);
    SCOPED_TRACE(one.text() + " batch " + std::to_string(batch));
    CblasMatrix a = one.a(random.below(3), random.below(3), batch, random);
    CblasMatrix b = one.b(random.below(3), random.below(3), batch, random);
    CblasMatrix c = one.c(random.below(3), random.below(3), batch, random);
    const CblasMatrix before = c;
    // In the opposite order: nothing says that they lie one behind the other.
    std::vector<const void*> as(1), bs(1);
    std::vector<void*> cs(1);
    for (int64_t index = batch - 1; index >= 0; --index) {
      as.insert(as.end() - 1, a.data(index));
      bs.insert(bs.end() - 1, b.data(index));
      cs.insert(cs.end() - 1, c.data(index));
    }
    ASSERT_EQ(vaccel_gemm_batch(session, one.dtype, one.order, one.transpose_a, one.transpose_b, one.m, one.n,
                                one.k, one.alpha, as.data(), a.ld(), bs.data(), b.ld(), one.beta, cs.data(),
                                c.ld(), batch, nullptr),
              VACCEL_OK)
        << vaccel_error_message();
    for (int64_t index = 0; index < batch; ++index)
      one.expect(a, index, b, index, before, c, index);
    EXPECT_TRUE(c.has_gaps_of(kUntouched));
  }
}

inline constexpr int64_t kIncrements[] = {1, 1, 2, 3, -1, -2};

inline void check_gemv(vaccel_session* session, int count, uint32_t seed) {
  Random random(seed);
  for (int round = 0; round < count && !testing::Test::HasFailure(); ++round) {
    const ProductCase one = ProductCase::draw(random);
    SCOPED_TRACE(one.text());
    const bool plain = one.transpose_a == VACCEL_NO_TRANSPOSE;
    CblasMatrix a = one.a(random.below(3), 0, 1, random);
    BlasVector x(one.dtype, one.k, random.one_of(kIncrements), kNan, random);
    BlasVector y(one.dtype, one.m, random.one_of(kIncrements), kUntouched, random);
    const BlasVector before = y;
    ASSERT_EQ(vaccel_gemv(session, one.dtype, one.order, one.transpose_a, plain ? one.m : one.k,
                          plain ? one.k : one.m, one.alpha, a.data(), a.ld(), x.data(), x.increment(),
                          one.beta, y.data(), y.increment(), nullptr),
              VACCEL_OK)
        << vaccel_error_message();
    for (int64_t row = 0; row < one.m; ++row) {
      Exact exact;
      for (int64_t p = 0; one.alpha != 0 && p < one.k; ++p)
        exact.add(static_cast<long double>(a.get(one.transpose_a, 0, row, p)) *
                  static_cast<long double>(x[p]));
      ASSERT_TRUE(is_close(one.dtype, y[row], exact, as_factor(one.dtype, one.alpha),
                           one.beta == 0 ? 0 : as_factor(one.dtype, one.beta) * before[row]))
          << "row " << row;
    }
    EXPECT_TRUE(y.has_gaps_of(kUntouched));
  }
}

inline void check_vectors(vaccel_session* session, int count, uint32_t seed) {
  constexpr int64_t kSizes[] = {0, 1, 2, 7, 100, 1023};
  Random random(seed);
  for (int round = 0; round < count && !testing::Test::HasFailure(); ++round) {
    const vaccel_dtype dtype = random.one_of(kTypes);
    const int64_t n = random.one_of(kSizes);
    const double alpha = random.value();
    BlasVector x(dtype, n, random.one_of(kIncrements), kUntouched, random);
    BlasVector y(dtype, n, random.one_of(kIncrements), kUntouched, random);
    SCOPED_TRACE(std::string(type_text(dtype)) + " n " + std::to_string(n) + " incx " +
                 std::to_string(x.increment()) + " incy " + std::to_string(y.increment()));
    const auto expect_each = [&](const BlasVector& result, auto value, double scale, auto offset) {
      for (int64_t index = 0; index < n; ++index) {
        Exact exact;
        exact.add(value(index));
        ASSERT_TRUE(is_close(dtype, result[index], exact, scale, offset(index))) << index;
      }
      EXPECT_TRUE(result.has_gaps_of(kUntouched));
    };
    const auto nothing = [](int64_t) { return 0.0; };
    const auto of = [](const BlasVector& vector) {
      return [&vector](int64_t index) { return vector[index]; };
    };

    BlasVector axpy = y;
    ASSERT_EQ(
        vaccel_axpy(session, dtype, n, alpha, x.data(), x.increment(), axpy.data(), y.increment(), nullptr),
        VACCEL_OK)
        << vaccel_error_message();
    expect_each(axpy, of(x), as_factor(dtype, alpha), of(y));

    BlasVector scal = x;
    ASSERT_EQ(vaccel_scal(session, dtype, n, alpha, scal.data(), x.increment(), nullptr), VACCEL_OK)
        << vaccel_error_message();
    expect_each(scal, of(x), as_factor(dtype, alpha), nothing);

    BlasVector copy = y;
    ASSERT_EQ(vaccel_copy(session, dtype, n, x.data(), x.increment(), copy.data(), y.increment(), nullptr),
              VACCEL_OK)
        << vaccel_error_message();
    for (int64_t index = 0; index < n; ++index)
      EXPECT_EQ(copy[index], x[index]) << index;

    BlasVector add(dtype, n, random.one_of(kIncrements), kUntouched, random);
    ASSERT_EQ(vaccel_add(session, dtype, n, x.data(), x.increment(), y.data(), y.increment(), add.data(),
                         add.increment(), nullptr),
              VACCEL_OK)
        << vaccel_error_message();
    expect_each(add, of(x), 1, of(y));

    Exact dot;
    Exact square;
    for (int64_t index = 0; index < n; ++index) {
      dot.add(static_cast<long double>(x[index]) * static_cast<long double>(y[index]));
      square.add(static_cast<long double>(x[index]) * static_cast<long double>(x[index]));
    }
    square.value = square.magnitude = std::sqrt(square.value);
    Elements result(dtype, 1);
    ASSERT_EQ(vaccel_dot(session, dtype, n, x.data(), x.increment(), y.data(), y.increment(), result.data(),
                         nullptr),
              VACCEL_OK)
        << vaccel_error_message();
    EXPECT_TRUE(is_close(dtype, result[0], dot));
    ASSERT_EQ(vaccel_nrm2(session, dtype, n, x.data(), x.increment(), result.data(), nullptr), VACCEL_OK)
        << vaccel_error_message();
    EXPECT_TRUE(is_close(dtype, result[0], square));
    if (n == 0) continue;
    double least = x[0];
    double greatest = x[0];
    for (int64_t index = 1; index < n; ++index) {
      least = std::min(least, x[index]);
      greatest = std::max(greatest, x[index]);
    }
    ASSERT_EQ(vaccel_min(session, dtype, n, x.data(), x.increment(), result.data(), nullptr), VACCEL_OK);
    EXPECT_EQ(result[0], least);
    ASSERT_EQ(vaccel_max(session, dtype, n, x.data(), x.increment(), result.data(), nullptr), VACCEL_OK);
    EXPECT_EQ(result[0], greatest);
  }
}

}  // namespace vaccel::linalg_testing
