// SPDX-License-Identifier: Apache-2.0
//
// gemm and gemv against plain sums, within the bounds of the standard analysis.
#include <thread>

#include "opencl_testing.h"

namespace vaccel::opencl {
namespace {

using namespace testing;

// A product with its operands, gaps between columns and matrices included, and what must come out.
class GemmCase {
 public:
  struct Shape {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
    double alpha, beta;
    int64_t batch = 1;
    bool share_b = false;
    int64_t gap_a = 0, gap_b = 0, gap_c = 0;  // between columns
    int64_t between = 0;                      // matrices
    bool aligned = true;
  };

  GemmCase(vaccel_dtype dtype, const Shape& shape, uint32_t seed)
      : dtype_(dtype),
        shape_(shape),
        random_(seed),
        a_(dtype, 0),
        b_(dtype, 0),
        c_(dtype, 0),
        c_before_(dtype, 0) {
    problem_.size = sizeof problem_;
    problem_.dtype = dtype;
    problem_.transpose_a = shape.transpose_a ? 1 : 0;
    problem_.transpose_b = shape.transpose_b ? 1 : 0;
    problem_.m = shape.m;
    problem_.n = shape.n;
    problem_.k = shape.k;
    problem_.alpha = shape.alpha;
    problem_.beta = shape.beta;
    problem_.batch = shape.batch;
    place(a_, problem_.lda, problem_.stride_a, shape.transpose_a ? shape.k : shape.m,
          shape.transpose_a ? shape.m : shape.k, shape.gap_a, shape.batch);
    place(b_, problem_.ldb, problem_.stride_b, shape.transpose_b ? shape.n : shape.k,
          shape.transpose_b ? shape.k : shape.n, shape.gap_b, shape.share_b ? 1 : shape.batch);
    if (shape.share_b) problem_.stride_b = 0;
    place(c_, problem_.ldc, problem_.stride_c, shape.m, shape.n, shape.gap_c, shape.batch);
    problem_.a = a_.data();
    problem_.b = b_.data();
    problem_.c = c_.data();
    if (shape.beta != 0) fill(c_, problem_.ldc, problem_.stride_c, shape.m, shape.n, shape.batch);
    remember();
  }

  [[nodiscard]] const vaccel_backend_gemm& problem() const { return problem_; }
  [[nodiscard]] const Elements& a() const { return a_; }
  Elements& a() { return a_; }
  [[nodiscard]] const Elements& c() const { return c_; }
  void restore() { std::memcpy(c_.data(), c_before_.data(), c_.bytes()); }

  // The first thing that is wrong, or "".
  [[nodiscard]] std::string mistake() const {
    std::vector<bool> is_element(c_.count(), false);
    for (int64_t batch = 0; batch < shape_.batch; ++batch) {
      for (int64_t column = 0; column < shape_.n; ++column) {
        for (int64_t row = 0; row < shape_.m; ++row) {
          const auto at = static_cast<size_t>(row + column * problem_.ldc + batch * problem_.stride_c);
          is_element[at] = true;
          const std::string wrong = mistake_at(row, column, batch, at);
          if (!wrong.empty()) return wrong;
        }
      }
    }
    const size_t size = size_of(dtype_);
    for (size_t at = 0; at < c_.count(); ++at) {
      if (!is_element[at] && std::memcmp(c_.data() + at * size, c_before_.data() + at * size, size) != 0) {
        return "element " + std::to_string(at) + " of c is none of the result's, and was written";
      }
    }
    return "";
  }

 private:
  // As small as it can be: the last column ends with its last row.
  void place(Elements& elements, int64_t& leading, int64_t& stride, int64_t rows, int64_t columns,
             int64_t gap, int64_t count) {
    leading = std::max<int64_t>(rows, 1) + gap;
    stride = leading * columns + shape_.between;
    const bool any = rows > 0 && columns > 0 && count > 0;
    const int64_t span = any ? (count - 1) * stride + (columns - 1) * leading + rows : 0;
    elements = Elements(dtype_, static_cast<size_t>(span), shape_.aligned);
    if (&elements != &c_) fill(elements, leading, stride, rows, columns, count);
  }

  // What is no element stays a NaN, which must not get into any result.
  void fill(Elements& elements, int64_t leading, int64_t stride, int64_t rows, int64_t columns,
            int64_t count) {
    for (int64_t batch = 0; batch < count; ++batch) {
      for (int64_t column = 0; column < columns; ++column) {
        for (int64_t row = 0; row < rows; ++row)
          elements.randomise(static_cast<size_t>(row + column * leading + batch * stride), random_);
      }
    }
  }

  void remember() {
    c_before_ = Elements(dtype_, c_.count());
    std::memcpy(c_before_.data(), c_.data(), c_.bytes());
  }

  [[nodiscard]] std::string mistake_at(int64_t row, int64_t column, int64_t batch, size_t at) const {
    Exact sum = 0;
    Exact size = 0;
    for (int64_t inner = 0; inner < shape_.k && shape_.alpha != 0; ++inner) {
      const int64_t in_a = shape_.transpose_a ? inner + row * problem_.lda : row + inner * problem_.lda;
      const int64_t in_b = shape_.transpose_b ? column + inner * problem_.ldb : inner + column * problem_.ldb;
      const Exact product = Exact{a_.at(static_cast<size_t>(in_a + batch * problem_.stride_a))} *
                            Exact{b_.at(static_cast<size_t>(in_b + batch * problem_.stride_b))};
      sum += product;
      size += std::fabs(product);
    }
    Exact exact = Exact{shape_.alpha} * sum;
    Exact bound =
        gamma(static_cast<size_t>(shape_.k) + kExtraRoundings, dtype_) * std::fabs(shape_.alpha) * size;
    if (shape_.beta != 0) {
      const Exact before = Exact{shape_.beta} * Exact{c_before_.at(at)};
      exact += before;
      bound += gamma(kExtraRoundings, dtype_) * std::fabs(before);
    }
    bound += rounding_of(dtype_, std::fabs(exact) + bound);
    const double computed = c_.at(at);
    if (std::fabs(Exact{computed} - exact) <= bound) return "";
    return "c(" + std::to_string(row) + ", " + std::to_string(column) + ") of product " +
           std::to_string(batch) + " is " + std::to_string(computed) + ", not " +
           std::to_string(static_cast<double>(exact));
  }

  // Alpha, beta, their conversion, and the additions of a few blocks of k.
  static constexpr size_t kExtraRoundings = 12;

  vaccel_dtype dtype_;
  Shape shape_;
  Random random_;
  vaccel_backend_gemm problem_{};
  Elements a_;
  Elements b_;
  Elements c_;
  Elements c_before_;
};

std::string described(vaccel_dtype dtype, const GemmCase::Shape& shape) {
  return "type " + std::to_string(dtype) + ": " + std::to_string(shape.m) + " x " + std::to_string(shape.n) +
         " x " + std::to_string(shape.k) + (shape.transpose_a ? " a'" : "") +
         (shape.transpose_b ? " b'" : "") + ", alpha " + std::to_string(shape.alpha) + ", beta " +
         std::to_string(shape.beta) + ", batch " + std::to_string(shape.batch) +
         (shape.aligned ? "" : ", not aligned");
}

void expect_right(const Backend& backend, vaccel_dtype dtype, const GemmCase::Shape& shape, uint32_t seed) {
  SCOPED_TRACE(described(dtype, shape));
  const GemmCase product(dtype, shape, seed);
  ASSERT_EQ(backend.gemm(product.problem()), "");
  EXPECT_EQ(product.mistake(), "");
}

constexpr int64_t kSizes[] = {1, 2, 3, 5, 8, 13, 17, 31, 32, 33, 61, 64, 67};
constexpr double kFactors[] = {0, 1, -1, 0.625};

template <typename T, size_t count>
T one_of(const T (&values)[count], Random& random) {
  return values[random() % count];
}

GemmCase::Shape random_shape(Random& random) {
  GemmCase::Shape shape{};
  shape.m = one_of(kSizes, random);
  shape.n = one_of(kSizes, random);
  shape.k = random() % 10 == 0 ? 0 : one_of(kSizes, random);
  shape.transpose_a = random() % 2 == 0;
  shape.transpose_b = random() % 2 == 0;
  shape.alpha = one_of(kFactors, random);
  shape.beta = one_of(kFactors, random);
  shape.gap_a = random() % 2 == 0 ? 0 : random() % 7;
  shape.gap_b = random() % 2 == 0 ? 0 : random() % 7;
  shape.gap_c = random() % 2 == 0 ? 0 : random() % 7;
  shape.aligned = random() % 2 == 0;
  return shape;
}

class OpenclProductTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!backend.problem().empty()) GTEST_SKIP() << "skipped: " << backend.problem();
  }
  // Of the types that this device computes with.
  template <typename Body>
  void for_each_type(Body body) {
    for (const vaccel_dtype dtype : kTypes) {
      if (backend.takes(dtype)) body(dtype);
    }
  }

  Backend backend;
};

TEST_F(OpenclProductTest, IsRightForRandomShapes) {
  Random random(1);
  for_each_type([&](vaccel_dtype dtype) {
    for (int round = 0; round < 60 && !HasFailure(); ++round)
      expect_right(backend, dtype, random_shape(random), random());
  });
}

// Large enough for CLBlast's other kernel, which fills matrices up; not a multiple of anything.
TEST_F(OpenclProductTest, IsRightWhenItIsLarge) {
  for_each_type([&](vaccel_dtype dtype) {
    expect_right(backend, dtype, {397, 311, 409, false, false, 1, 0}, 2);
    expect_right(backend, dtype, {331, 401, 353, true, true, 0.625, -1, 1, false, 3, 0, 5}, 3);
  });
}

TEST_F(OpenclProductTest, IsRightForBatches) {
  Random random(4);
  for_each_type([&](vaccel_dtype dtype) {
    for (int round = 0; round < 25 && !HasFailure(); ++round) {
      GemmCase::Shape shape = random_shape(random);
      shape.batch = 1 + random() % 6;
      shape.share_b = random() % 3 == 0;
      shape.between = random() % 2 == 0 ? 0 : random() % 5;
      expect_right(backend, dtype, shape, random());
    }
    expect_right(backend, dtype, {3, 5, 7, false, false, 1, 1, 500}, 5);
    // Each of these is multiplied by itself.
    expect_right(backend, dtype, {257, 260, 263, false, true, 1, 0, 2}, 6);
  });
}

TEST_F(OpenclProductTest, TakesNothing) {
  for_each_type([&](vaccel_dtype dtype) {
    expect_right(backend, dtype, {0, 5, 5, false, false, 1, 0}, 7);
    expect_right(backend, dtype, {5, 0, 5, false, false, 1, 0}, 7);
    expect_right(backend, dtype, {5, 5, 0, false, false, 1, 0}, 7);
    expect_right(backend, dtype, {5, 5, 0, false, false, 1, 0.625, 2}, 7);
    expect_right(backend, dtype, {5, 5, 5, false, false, 1, 0, 0}, 7);
  });
}

// c is all NaN before: GemmCase leaves it so where beta is 0. And a may be, where alpha is 0.
TEST_F(OpenclProductTest, ReadsNothingThatDoesNotCount) {
  for_each_type([&](vaccel_dtype dtype) {
    for (const bool aligned : {true, false}) {
      expect_right(backend, dtype, {9, 7, 5, false, true, 1, 0, 1, false, 0, 0, 0, 0, aligned}, 8);
      GemmCase product(dtype, {9, 7, 5, false, false, 0, 0.625, 1, false, 0, 0, 0, 0, aligned}, 9);
      for (size_t index = 0; index < product.a().count(); ++index)
        product.a().set(index, std::nan(""));
      ASSERT_EQ(backend.gemm(product.problem()), "");
      EXPECT_EQ(product.mistake(), "");
    }
  });
}

TEST_F(OpenclProductTest, LetsANanThroughThatCounts) {
  for_each_type([&](vaccel_dtype dtype) {
    GemmCase product(dtype, {4, 3, 5, false, false, 1, 1}, 10);
    product.a().set(2, std::nan(""));  // row 2
    ASSERT_EQ(backend.gemm(product.problem()), "");
    for (size_t index = 0; index < product.c().count(); ++index)
      EXPECT_EQ(std::isnan(product.c().at(index)), index % 4 == 2) << index;
  });
}

struct GemvCase {
  vaccel_dtype dtype;
  int64_t m, n;
  bool transpose;
  double alpha, beta;
  int64_t gap = 0;
  bool aligned = true;
};

// A gemv is a gemm whose b is a column, so that one's sums serve.
void expect_right_vector(const Backend& backend, const GemvCase& one, uint32_t seed) {
  const int64_t rows = one.transpose ? one.n : one.m;
  const int64_t inner = one.transpose ? one.m : one.n;
  GemmCase::Shape shape = {rows, 1, inner, one.transpose, false, one.alpha, one.beta};
  shape.gap_a = one.gap;
  shape.aligned = one.aligned;
  SCOPED_TRACE(described(one.dtype, shape));
  const GemmCase product(one.dtype, shape, seed);
  vaccel_backend_gemv problem{};
  problem.size = sizeof problem;
  problem.dtype = one.dtype;
  problem.transpose = one.transpose ? 1 : 0;
  problem.m = one.m;
  problem.n = one.n;
  problem.alpha = one.alpha;
  problem.beta = one.beta;
  problem.a = product.problem().a;
  problem.lda = product.problem().lda;
  problem.x = product.problem().b;
  problem.y = product.problem().c;
  ASSERT_EQ(backend.gemv(problem), "");
  EXPECT_EQ(product.mistake(), "");
}

TEST_F(OpenclProductTest, IsRightForVectors) {
  Random random(11);
  for_each_type([&](vaccel_dtype dtype) {
    for (int round = 0; round < 60 && !HasFailure(); ++round) {
      expect_right_vector(
          backend,
          {dtype, one_of(kSizes, random), random() % 10 == 0 ? 0 : one_of(kSizes, random), random() % 2 == 0,
           one_of(kFactors, random), one_of(kFactors, random), random() % 5, random() % 2 == 0},
          random());
    }
    // Whole multiples have kernels of their own.
    expect_right_vector(backend, {dtype, 512, 256, false, 1, 0}, 12);
    expect_right_vector(backend, {dtype, 256, 512, true, -1, 0.625}, 13);
    expect_right_vector(backend, {dtype, 1009, 503, true, 1, 0}, 14);
    expect_right_vector(backend, {dtype, 0, 5, false, 1, 0}, 15);
  });
}

TEST_F(OpenclProductTest, IsRightInBlocks) {
  const Backend narrow({{"buffer_limit", "4096", "test:1:1"}});
  ASSERT_EQ(narrow.problem(), "");
  Random random(16);
  for_each_type([&](vaccel_dtype dtype) {
    expect_right(narrow, dtype, {150, 70, 130, false, false, 1, 0}, 17);
    expect_right(narrow, dtype, {70, 131, 150, true, true, 0.625, -1, 1, false, 3, 2, 1}, 18);
    expect_right(narrow, dtype, {1, 1, 4099, false, true, 1, 1, 2}, 19);
    expect_right(narrow, dtype, {8, 8, 8, true, false, 1, 0.625, 40, true, 0, 0, 0, 3}, 20);
    expect_right_vector(narrow, {dtype, 129, 150, true, 1, 0}, 21);
    expect_right_vector(narrow, {dtype, 3000, 2, false, 1, -1}, 22);
  });
}

TEST_F(OpenclProductTest, IsRightOnManyThreadsAtOnce) {
  std::vector<std::string> mistakes(8);
  std::vector<std::thread> threads;
  for (size_t index = 0; index < mistakes.size(); ++index) {
    threads.emplace_back([&, index] {
      Random random(static_cast<uint32_t>(23 + index));
      for (int round = 0; round < 40 && mistakes[index].empty(); ++round) {
        const vaccel_dtype dtype = one_of(kTypes, random);
        if (!backend.takes(dtype)) continue;
        const GemmCase product(dtype, random_shape(random), random());
        mistakes[index] = backend.gemm(product.problem());
        if (mistakes[index].empty()) mistakes[index] = product.mistake();
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (const std::string& mistake : mistakes)
    EXPECT_EQ(mistake, "");
}

// A guest writes to its input all the time: the result is any number, and nothing else happens.
TEST_F(OpenclProductTest, SurvivesInputsThatChange) {
  GemmCase product(VACCEL_FLOAT32, {61, 67, 64, false, true, 1, 1}, 24);
  std::atomic<bool> over{false};
  std::thread guest([&] {
    auto* words = reinterpret_cast<std::atomic<uint32_t>*>(product.a().data());
    Random random(25);
    while (!over.load(std::memory_order_relaxed))
      words[random() % product.a().count()].store(random(), std::memory_order_relaxed);
  });
  for (int round = 0; round < 200; ++round) {
    product.restore();
    ASSERT_EQ(backend.gemm(product.problem()), "");
  }
  over = true;
  guest.join();
}

TEST_F(OpenclProductTest, StopsBeforeItBeginsWhenNobodyWaits) {
  const GemmCase product(VACCEL_FLOAT32, {9, 7, 5, false, false, 1, 0}, 26);
  TestRun run;
  run.is_cancelled = true;
  const vaccel_status status =
      backend.table().gemm(backend.library().instance(), &product.problem(), run.get());
  EXPECT_EQ(run.outcome(status), "CANCELLED: the call was ended early");
  for (size_t index = 0; index < product.c().count(); ++index)
    EXPECT_TRUE(std::isnan(product.c().at(index)));
}

TEST_F(OpenclProductTest, RefusesAResultThatABatchShares) {
  const GemmCase product(VACCEL_FLOAT32, {2, 2, 2, false, false, 1, 0, 3}, 27);
  vaccel_backend_gemm problem = product.problem();
  problem.stride_c = 0;
  EXPECT_EQ(backend.gemm(problem), "INVALID_ARGUMENT: 3 products share one result: stride_c is 0");
}

TEST_F(OpenclProductTest, RefusesOtherTypes) {
  const GemmCase product(VACCEL_FLOAT32, {2, 2, 2, false, false, 1, 0}, 28);
  vaccel_backend_gemm problem = product.problem();
  problem.dtype = VACCEL_INT32;
  EXPECT_EQ(backend.gemm(problem), "UNIMPLEMENTED: " + std::string(backend.library().devices()) +
                                       " does not compute with element type 7");
  EXPECT_FALSE(backend.takes(VACCEL_INT32));
}

}  // namespace
}  // namespace vaccel::opencl
