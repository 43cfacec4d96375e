// SPDX-License-Identifier: Apache-2.0
//
// "gemv" on every backend that has it and for every type.
#include "runtime/linalg/gemv.h"

#include "runtime/linalg/linalg_operator_testing.h"

namespace vaccel::runtime::testing {
namespace {

using namespace linalg_testing;

class Gemv : public LinalgTest {
 protected:
  void check(int64_t m, int64_t n, bool transpose, bool flat, double alpha, double beta, Random& random) {
    SCOPED_TRACE("m " + std::to_string(m) + " n " + std::to_string(n) + (transpose ? " a'" : " a") +
                 " alpha " + std::to_string(alpha) + " beta " + std::to_string(beta));
    const int64_t pitch = std::max<int64_t>(n, 1) + (flat ? random.below(3) : 0);
    const MatrixSet a(dtype(), m, n, pitch, 0, 1, random);
    const int64_t rows = transpose ? n : m;
    const int64_t columns = transpose ? m : n;
    const MatrixSet x(dtype(), columns, 1, 1, 0, 1, random);
    Elements y = random.elements(dtype(), static_cast<size_t>(rows));
    for (size_t index = 0; beta == 0 && index < y.count(); ++index)
      y.set(index, kNan);
    TestCall call("gemv");
    call.backend(backend()).integer("transpose", transpose).real("alpha", alpha).real("beta", beta);
    if (flat) call.integer("m", m).integer("n", n).integer("lda", pitch);
    call.input(
        "a", dtype(),
        flat ? std::vector<int64_t>{static_cast<int64_t>(a.elements.count())} : std::vector<int64_t>{m, n},
        a.elements.bytes());
    call.input("x", dtype(), {columns}, x.elements.bytes());
    if (beta != 0 || random.below(2) == 0) call.input("y", dtype(), {rows}, y.bytes());
    ASSERT_EQ(call.run(runtime()), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs.at(0).shape, std::vector<int64_t>{rows});
    const Elements result(dtype(), call.outputs.at(0).bytes);
    const double scale = as_factor(dtype(), alpha);
    for (int64_t row = 0; row < rows; ++row) {
      const auto at = static_cast<size_t>(row);
      const Exact exact = scale == 0 ? Exact{} : exact_product(a, transpose, x, false, columns, 0, row, 0);
      ASSERT_TRUE(
          is_close(dtype(), result[at], exact, scale, beta == 0 ? 0 : as_factor(dtype(), beta) * y[at]))
          << "row " << row;
    }
  }
};

TEST_P(Gemv, IsWithinTheBoundForRandomShapes) {
  if (!does(VACCEL_LINALG_GEMV)) return;
  constexpr int64_t kSizes[] = {0, 1, 2, 3, 7, 16, 31, 64, 127, 257};
  constexpr double kFactors[] = {0, 1, -1, 0.3};
  Random random(3);
  for (int count = 0; count < 80 && !HasFatalFailure(); ++count) {
    check(random.one_of(kSizes), random.one_of(kSizes), random.below(2) == 0, random.below(2) == 0,
          random.one_of(kFactors), random.one_of(kFactors), random);
  }
}

TEST_P(Gemv, RefusesWhatReachesBeyondItsMemory) {
  if (!does(VACCEL_LINALG_GEMV)) return;
  const Elements six(dtype(), std::vector<double>(6, 1));
  const Elements three(dtype(), std::vector<double>(3, 1));
  for (const auto& [m, n, lda] : {std::array<int64_t, 3>{2, 3, 2},  // a row is longer
                                  std::array<int64_t, 3>{2, 3, 4},  // the last row ends beyond a
                                  std::array<int64_t, 3>{-2, 3, 3}, std::array<int64_t, 3>{INT64_MAX, 3, 3},
                                  std::array<int64_t, 3>{2, 3, INT64_MAX}}) {
    TestCall call("gemv");
    call.backend(backend()).input("a", dtype(), {6}, six.bytes()).input("x", dtype(), {3}, three.bytes());
    call.integer("m", m).integer("n", n).integer("lda", lda);
    EXPECT_EQ(call.run(runtime()), VACCEL_INVALID_ARGUMENT) << m << " x " << n << ", " << lda;
    EXPECT_TRUE(call.outputs.empty()) << "memory was asked for";
  }
}

TEST_P(Gemv, RefusesAResultThatOverlapsWhatIsRead) {
  if (!does(VACCEL_LINALG_GEMV)) return;
  // a, x and y one behind the other, and the result one element into each.
  Elements all(dtype(), std::vector<double>(8, 1));
  const size_t size = all.bytes().size() / 8;
  for (const size_t at : {1u, 5u, 7u}) {
    TestCall call("gemv");
    call.backend(backend()).real("beta", 1);
    call.view("a", dtype(), {2, 2}, all.data(), 4 * size);
    call.view("x", dtype(), {2}, all.data() + 4 * size, 2 * size);
    call.view("y", dtype(), {2}, all.data() + 6 * size, 2 * size);
    call.put_result_at(all.data() + at * size);
    EXPECT_EQ(call.run(runtime()), VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(call.sentence.find("overlaps input '"), std::string::npos) << call.sentence;
  }
  EXPECT_EQ(all.values(), std::vector<double>(8, 1)) << "nothing may have been written";
}

INSTANTIATE_TEST_SUITE_P(Backends, Gemv, every_backend_and_type(), name_of_parameter);

TEST(GemvArguments, SaysWhatDoesNotFit) {
  const auto runtime = make_runtime("");
  const auto refusal = [&](std::vector<int64_t> a, int64_t x, int64_t y, int64_t beta) {
    TestCall call("gemv");
    call.integer("beta", beta);
    const auto floats = [](const std::vector<int64_t>& shape) {
      return std::vector<std::byte>(dense_bytes(VACCEL_FLOAT32, shape).value());
    };
    call.input("a", VACCEL_FLOAT32, a, floats(a)).input("x", VACCEL_FLOAT32, {x}, floats({x}));
    if (y >= 0) call.input("y", VACCEL_FLOAT32, {y}, floats({y}));
    EXPECT_EQ(call.run(*runtime), VACCEL_INVALID_ARGUMENT) << call.sentence;
    return call.sentence;
  };
  EXPECT_EQ(refusal({2, 3}, 2, -1, 0), "input 'x' of operator 'gemv' has 2 elements; it must have 3");
  EXPECT_EQ(refusal({2, 3}, 3, 3, 0), "input 'y' of operator 'gemv' has 3 elements; it must have 2");
  EXPECT_EQ(refusal({2, 3}, 3, -1, 1),
            "input 'y' of operator 'gemv' is missing, and beta is 1: it is needed");
  EXPECT_EQ(refusal({1, 2, 3}, 3, -1, 0),
            "input 'a' of operator 'gemv' has rank 3; it must be 2, or 1 for a flat one");
  EXPECT_EQ(refusal({6}, 3, -1, 0),
            "operator 'gemv' needs attribute 'm', an integer, since no input's shape tells it");
}

}  // namespace
}  // namespace vaccel::runtime::testing
