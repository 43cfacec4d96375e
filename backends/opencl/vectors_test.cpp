// SPDX-License-Identifier: Apache-2.0
//
// The operations on vectors against plain sums.
#include <algorithm>
#include <limits>
#include <thread>

#include "opencl_testing.h"

namespace vaccel::opencl {
namespace {

using namespace testing;

constexpr size_t kSizes[] = {0, 1, 2, 63, 64, 65, 1009, 70'001};

struct VectorCase {
  Elements x;
  Elements y;
  Elements result;
  vaccel_backend_vectors problem{};

  VectorCase(vaccel_dtype dtype, size_t n, double alpha, bool aligned, uint32_t seed, size_t results = 1)
      : x(dtype, n, aligned), y(dtype, n, aligned), result(dtype, results, aligned) {
    Random random(seed);
    x.randomise(random);
    y.randomise(random);
    problem.size = sizeof problem;
    problem.dtype = dtype;
    problem.n = static_cast<int64_t>(n);
    problem.alpha = alpha;
    problem.x = x.data();
    problem.y = y.data();
    problem.result = result.data();
  }
};

class OpenclVectorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!backend.problem().empty()) GTEST_SKIP() << "skipped: " << backend.problem();
  }

  template <typename Body>
  void for_each_case(Body body) {
    for (const vaccel_dtype dtype : kTypes) {
      if (!backend.takes(dtype)) continue;
      for (const size_t n : kSizes) {
        for (const bool aligned : {true, false}) {
          SCOPED_TRACE("type " + std::to_string(dtype) + ", " + std::to_string(n) +
                       (aligned ? "" : ", not aligned"));
          body(dtype, n, aligned);
        }
      }
    }
  }

  Backend backend;
};

// Each of `count` results is where `exact` says, give or take `roundings` of size |exact| and that of the type.
template <typename Value>
std::string mistake_in(const Elements& results, size_t count, size_t roundings, Value value) {
  for (size_t index = 0; index < count; ++index) {
    const auto [exact, size] = value(index);
    const Exact off = gamma(roundings, results.dtype()) * size;
    const Exact bound = off + rounding_of(results.dtype(), std::fabs(exact) + off);
    if (!(std::fabs(Exact{results.at(index)} - exact) <= bound)) {
      return "element " + std::to_string(index) + " is " + std::to_string(results.at(index)) + ", not " +
             std::to_string(static_cast<double>(exact));
    }
  }
  return "";
}

struct Sum {
  Exact exact;
  Exact size;  // of its terms
};

TEST_F(OpenclVectorsTest, Axpy) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    for (const double alpha : {1.0, -0.625}) {
      VectorCase one(dtype, n, alpha, aligned, 1);
      const VectorCase before(dtype, n, alpha, aligned, 1);
      ASSERT_EQ(backend.vectors(VACCEL_LINALG_AXPY, one.problem), "");
      EXPECT_EQ(mistake_in(one.y, n, 3,
                           [&](size_t index) -> Sum {
                             const Exact product = Exact{alpha} * Exact{before.x.at(index)};
                             const Exact y = before.y.at(index);
                             return {product + y, std::fabs(product) + std::fabs(y)};
                           }),
                "");
    }
  });
}

TEST_F(OpenclVectorsTest, AxpyWithoutAlphaDoesNotRead) {
  VectorCase one(VACCEL_FLOAT32, 3, 0, true, 2);
  const VectorCase before(VACCEL_FLOAT32, 3, 0, true, 2);
  one.x.set(1, std::nan(""));
  ASSERT_EQ(backend.vectors(VACCEL_LINALG_AXPY, one.problem), "");
  EXPECT_EQ(std::memcmp(one.y.data(), before.y.data(), one.y.bytes()), 0);
}

TEST_F(OpenclVectorsTest, Scal) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    VectorCase one(dtype, n, -0.625, aligned, 3);
    const VectorCase before(dtype, n, -0.625, aligned, 3);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_SCAL, one.problem), "");
    EXPECT_EQ(mistake_in(one.y, n, 2,
                         [&](size_t index) -> Sum {
                           const Exact product = Exact{-0.625} * Exact{before.y.at(index)};
                           return {product, std::fabs(product)};
                         }),
              "");
  });
}

TEST_F(OpenclVectorsTest, Add) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    const VectorCase one(dtype, n, 0, aligned, 4, n);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_ADD, one.problem), "");
    EXPECT_EQ(mistake_in(one.result, n, 1,
                         [&](size_t index) -> Sum {
                           const Exact sum = Exact{one.x.at(index)} + Exact{one.y.at(index)};
                           return {sum, std::fabs(sum)};
                         }),
              "");
  });
}

TEST_F(OpenclVectorsTest, Copy) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    const VectorCase one(dtype, n, 0, aligned, 5, n);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_COPY, one.problem), "");
    EXPECT_EQ(std::memcmp(one.result.data(), one.x.data(), one.x.bytes()), 0);
  });
}

TEST_F(OpenclVectorsTest, Dot) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    const VectorCase one(dtype, n, 0, aligned, 6);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_DOT, one.problem), "");
    EXPECT_EQ(mistake_in(one.result, 1, n + 1,
                         [&](size_t) {
                           Sum sum{};
                           for (size_t index = 0; index < n; ++index) {
                             const Exact product = Exact{one.x.at(index)} * Exact{one.y.at(index)};
                             sum.exact += product;
                             sum.size += std::fabs(product);
                           }
                           return sum;
                         }),
              "");
  });
}

Sum norm_of(const Elements& x, size_t n) {
  Exact squares = 0;
  for (size_t index = 0; index < n; ++index)
    squares += Exact{x.at(index)} * Exact{x.at(index)};
  return {std::sqrt(squares), std::sqrt(squares)};
}

TEST_F(OpenclVectorsTest, Nrm2) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    const VectorCase one(dtype, n, 0, aligned, 7);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_NRM2, one.problem), "");
    EXPECT_EQ(mistake_in(one.result, 1, n + 3, [&](size_t) { return norm_of(one.x, n); }), "");
  });
}

// The squares of these are out of the type's range, the norm is not.
TEST_F(OpenclVectorsTest, Nrm2NeitherOverflowsNorVanishes) {
  for (const vaccel_dtype dtype : {VACCEL_FLOAT32, VACCEL_FLOAT64, VACCEL_BFLOAT16}) {
    if (!backend.takes(dtype)) continue;
    for (const int exponent :
         dtype == VACCEL_FLOAT64 ? std::vector{1020, 500, -500, -1020} : std::vector{124, 80, -80, -124}) {
      VectorCase one(dtype, 100, 0, true, 8);
      for (size_t index = 0; index < 100; ++index)
        one.x.set(index, std::ldexp(index % 2 == 0 ? 1.0 : -0.5, exponent));
      ASSERT_EQ(backend.vectors(VACCEL_LINALG_NRM2, one.problem), "");
      EXPECT_EQ(mistake_in(one.result, 1, 103, [&](size_t) { return norm_of(one.x, 100); }), "") << exponent;
    }
  }
}

TEST_F(OpenclVectorsTest, Nrm2OfWhatIsNotFinite) {
  for (const vaccel_dtype dtype : kTypes) {
    if (!backend.takes(dtype)) continue;
    VectorCase one(dtype, 100, 0, true, 9);
    one.x.set(70, -std::numeric_limits<double>::infinity());
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_NRM2, one.problem), "");
    EXPECT_EQ(one.result.at(0), std::numeric_limits<double>::infinity());
    one.x.set(3, std::nan(""));
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_NRM2, one.problem), "");
    EXPECT_TRUE(std::isnan(one.result.at(0)));
  }
}

TEST_F(OpenclVectorsTest, MinAndMax) {
  for_each_case([&](vaccel_dtype dtype, size_t n, bool aligned) {
    if (n == 0) return;
    const VectorCase one(dtype, n, 0, aligned, 10);
    double least = one.x.at(0);
    double greatest = least;
    for (size_t index = 1; index < n; ++index) {
      least = std::min(least, one.x.at(index));
      greatest = std::max(greatest, one.x.at(index));
    }
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_MIN, one.problem), "");
    EXPECT_EQ(one.result.at(0), least);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_MAX, one.problem), "");
    EXPECT_EQ(one.result.at(0), greatest);
  });
}

TEST_F(OpenclVectorsTest, MinAndMaxOfANanAreOne) {
  for (const vaccel_dtype dtype : kTypes) {
    if (!backend.takes(dtype)) continue;
    for (const size_t place : {size_t{0}, size_t{1}, size_t{500}, size_t{1008}}) {
      VectorCase one(dtype, 1009, 0, true, 11);
      one.x.set(place, std::nan(""));
      for (const vaccel_linalg_operation operation : {VACCEL_LINALG_MIN, VACCEL_LINALG_MAX}) {
        ASSERT_EQ(backend.vectors(operation, one.problem), "");
        EXPECT_TRUE(std::isnan(one.result.at(0))) << place;
      }
    }
  }
}

TEST_F(OpenclVectorsTest, MinAndMaxOfInfinities) {
  VectorCase one(VACCEL_FLOAT32, 2, 0, true, 12);
  one.x.set(0, std::numeric_limits<double>::infinity());
  one.x.set(1, std::numeric_limits<double>::infinity());
  ASSERT_EQ(backend.vectors(VACCEL_LINALG_MIN, one.problem), "");
  EXPECT_EQ(one.result.at(0), std::numeric_limits<double>::infinity());
}

// Halves are rounded to nearest, ties to even, and do not wrap around.
TEST_F(OpenclVectorsTest, RoundsHalves) {
  struct Rounded {
    vaccel_dtype dtype;
    double x, y, sum;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  const Rounded cases[] = {
      {VACCEL_FLOAT16, 2048, 1, 2048},
      {VACCEL_FLOAT16, 2050, 1, 2052},
      {VACCEL_FLOAT16, 65504, 65504, infinity},
      {VACCEL_FLOAT16, 65504, 8, 65504},
      {VACCEL_FLOAT16, 0x1p-24, 0x1p-24, 0x1p-23},
      {VACCEL_BFLOAT16, 256, 1, 256},
      {VACCEL_BFLOAT16, 258, 1, 260},
      {VACCEL_BFLOAT16, -258, -1, -260},
      {VACCEL_BFLOAT16, infinity, 1, infinity},
  };
  for (const Rounded& one : cases) {
    VectorCase vectors(one.dtype, 1, 0, true, 13);
    vectors.x.set(0, one.x);
    vectors.y.set(0, one.y);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_ADD, vectors.problem), "");
    EXPECT_EQ(vectors.result.at(0), one.sum) << one.x << " + " << one.y;
    // The same sum as a dot product, which is rounded on the host.
    VectorCase product(one.dtype, 2, 0, true, 14);
    product.x.set(0, one.x);
    product.x.set(1, one.y);
    product.y.set(0, 1);
    product.y.set(1, 1);
    ASSERT_EQ(backend.vectors(VACCEL_LINALG_DOT, product.problem), "");
    EXPECT_EQ(product.result.at(0), one.sum) << one.x << " + " << one.y;
  }
}

TEST_F(OpenclVectorsTest, AreRightInBlocks) {
  const Backend narrow({{"buffer_limit", "4096", "test:1:1"}});
  ASSERT_EQ(narrow.problem(), "");
  for (const vaccel_dtype dtype : kTypes) {
    if (!narrow.takes(dtype)) continue;
    const size_t n = 10'007;
    const VectorCase sum(dtype, n, 0, true, 15, n);
    ASSERT_EQ(narrow.vectors(VACCEL_LINALG_ADD, sum.problem), "");
    EXPECT_EQ(mistake_in(sum.result, n, 1,
                         [&](size_t index) -> Sum {
                           const Exact exact = Exact{sum.x.at(index)} + Exact{sum.y.at(index)};
                           return {exact, std::fabs(exact)};
                         }),
              "");
    VectorCase norm(dtype, n, 0, true, 16);
    ASSERT_EQ(narrow.vectors(VACCEL_LINALG_NRM2, norm.problem), "");
    EXPECT_EQ(mistake_in(norm.result, 1, n + 3, [&](size_t) { return norm_of(norm.x, n); }), "");
    norm.x.set(n - 1, -64);
    ASSERT_EQ(narrow.vectors(VACCEL_LINALG_MIN, norm.problem), "");
    EXPECT_EQ(norm.result.at(0), -64);
    norm.x.set(1, std::nan(""));  // in the first block, and the last one has a number
    ASSERT_EQ(narrow.vectors(VACCEL_LINALG_MIN, norm.problem), "");
    EXPECT_TRUE(std::isnan(norm.result.at(0)));
    ASSERT_EQ(narrow.vectors(VACCEL_LINALG_NRM2, norm.problem), "");
    EXPECT_TRUE(std::isnan(norm.result.at(0)));
  }
}

// The same vector has the same sum to the last bit, whoever else computes meanwhile.
TEST_F(OpenclVectorsTest, AreTheSameOnManyThreads) {
  const VectorCase one(VACCEL_FLOAT32, 70'001, 0, true, 17);
  ASSERT_EQ(backend.vectors(VACCEL_LINALG_DOT, one.problem), "");
  const double expected = one.result.at(0);
  std::atomic<int> others{0};
  std::vector<std::thread> threads;
  for (int index = 0; index < 8; ++index) {
    threads.emplace_back([&] {
      for (int round = 0; round < 30; ++round) {
        const VectorCase again(VACCEL_FLOAT32, 70'001, 0, true, 17);
        if (!backend.vectors(VACCEL_LINALG_DOT, again.problem).empty() || again.result.at(0) != expected)
          ++others;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(others, 0);
}

}  // namespace
}  // namespace vaccel::opencl
