// SPDX-License-Identifier: Apache-2.0
//
// The operators on vectors, on every backend that has them and for every type.
#include "runtime/linalg/vectors.h"

#include "runtime/linalg/linalg_operator_testing.h"

namespace vaccel::runtime::testing {
namespace {

using namespace linalg_testing;

constexpr int64_t kLengths[] = {1, 2, 3, 7, 16, 31, 64, 127, 1000, 4099};

class Vectors : public LinalgTest {
 protected:
  // The result's elements.
  Elements run(const char* name, const std::vector<const Elements*>& inputs, double alpha = 1) {
    TestCall call(name);
    call.backend(backend());
    if (alpha != 1) call.real("alpha", alpha);
    for (const Elements* input : inputs)
      call.input(nullptr, dtype(), {static_cast<int64_t>(input->count())}, input->bytes());
    EXPECT_EQ(call.run(runtime()), VACCEL_OK) << call.sentence;
    return call.outputs.empty() ? Elements(dtype(), 0) : Elements(dtype(), call.outputs.at(0).bytes);
  }
  Elements draw(int64_t count, Random& random) const {
    return random.elements(dtype(), static_cast<size_t>(count));
  }
};

TEST_P(Vectors, Axpy) {
  if (!does(VACCEL_LINALG_AXPY)) return;
  Random random(4);
  for (const int64_t length : kLengths) {
    for (const double alpha : {0.0, 1.0, -1.0, 0.3}) {
      const Elements x = draw(length, random);
      const Elements y = draw(length, random);
      const Elements result = run("axpy", {&x, &y}, alpha);
      ASSERT_EQ(result.count(), x.count());
      for (size_t index = 0; index < x.count(); ++index) {
        Exact exact;
        exact.add(x[index]);
        ASSERT_TRUE(is_close(dtype(), result[index], exact, as_factor(dtype(), alpha), y[index])) << index;
      }
    }
  }
}

TEST_P(Vectors, Scal) {
  if (!does(VACCEL_LINALG_SCAL)) return;
  Random random(5);
  for (const double alpha : {0.0, 1.0, -1.0, 0.3}) {
    const Elements x = draw(1000, random);
    const Elements result = run("scal", {&x}, alpha);
    ASSERT_EQ(result.count(), x.count());
    for (size_t index = 0; index < x.count(); ++index) {
      Exact exact;
      exact.add(x[index]);
      ASSERT_TRUE(is_close(dtype(), result[index], exact, as_factor(dtype(), alpha))) << index;
    }
  }
  const Elements nan(dtype(), {kNan, 1});
  EXPECT_TRUE(std::isnan(run("scal", {&nan}, 0)[0])) << "BLAS multiplies by zero, it does not overwrite";
}

TEST_P(Vectors, Dot) {
  if (!does(VACCEL_LINALG_DOT)) return;
  Random random(6);
  for (const int64_t length : kLengths) {
    const Elements x = draw(length, random);
    const Elements y = draw(length, random);
    Exact exact;
    for (size_t index = 0; index < x.count(); ++index)
      exact.add(static_cast<long double>(x[index]) * static_cast<long double>(y[index]));
    const Elements result = run("dot", {&x, &y});
    ASSERT_EQ(result.count(), 1u);
    EXPECT_TRUE(is_close(dtype(), result[0], exact)) << length;
  }
  const Elements none(dtype(), 0);
  EXPECT_EQ(run("dot", {&none, &none})[0], 0);
}

TEST_P(Vectors, Nrm2) {
  if (!does(VACCEL_LINALG_NRM2)) return;
  Random random(7);
  for (const int64_t length : kLengths) {
    const Elements x = draw(length, random);
    Exact exact;
    for (size_t index = 0; index < x.count(); ++index)
      exact.add(static_cast<long double>(x[index]) * static_cast<long double>(x[index]));
    exact.value = exact.magnitude = std::sqrt(exact.value);
    EXPECT_TRUE(is_close(dtype(), run("nrm2", {&x})[0], exact)) << length;
  }
  const Elements none(dtype(), 0);
  EXPECT_EQ(run("nrm2", {&none})[0], 0);
  const Elements nan(dtype(), {1, kNan});
  EXPECT_TRUE(std::isnan(run("nrm2", {&nan})[0]));
  const Elements infinite(dtype(), {1, -std::numeric_limits<double>::infinity()});
  EXPECT_TRUE(std::isinf(run("nrm2", {&infinite})[0]));
}

TEST_P(Vectors, Nrm2DoesNotOverflowOrVanishOnTheWay) {
  if (!does(VACCEL_LINALG_NRM2)) return;
  // Their squares are beyond the type, 3-4-5 of them is not.
  const double large = dtype() == VACCEL_FLOAT64 ? 0x1p1020 : dtype() == VACCEL_FLOAT16 ? 0x1p12 : 0x1p120;
  const double small = dtype() == VACCEL_FLOAT64 ? 0x1p-1000 : dtype() == VACCEL_FLOAT16 ? 0x1p-20 : 0x1p-120;
  for (const double scale : {large, small}) {
    const Elements x(dtype(), {3 * scale, 4 * scale});
    const double norm = run("nrm2", {&x})[0];
    EXPECT_NEAR(norm / (5 * scale), 1, static_cast<double>(8 * rounding_of(dtype()).unit)) << scale;
  }
}

TEST_P(Vectors, AddIsRoundedOnce) {
  if (!does(VACCEL_LINALG_ADD)) return;
  Random random(8);
  const Elements x = draw(1000, random);
  const Elements y = draw(1000, random);
  const Elements result = run("add", {&x, &y});
  ASSERT_EQ(result.count(), x.count());
  const Rounding rounding = rounding_of(dtype());
  for (size_t index = 0; index < x.count(); ++index) {
    const long double sum = static_cast<long double>(x[index]) + static_cast<long double>(y[index]);
    // The sum of two 16-bit elements in float32 is rounded too, far below.
    const long double unit = rounding.unit * (1 + 0x1p-12L);
    EXPECT_LE(std::fabs(static_cast<long double>(result[index]) - sum),
              unit * std::fabs(sum) + rounding.least);
  }
}

TEST_P(Vectors, CopyKeepsEveryBit) {
  if (!does(VACCEL_LINALG_COPY)) return;
  std::vector<std::byte> bits(4096);
  Random random(9);
  for (std::byte& one : bits)
    one = static_cast<std::byte>(random.below(256));
  const Elements x(dtype(), bits);
  EXPECT_EQ(run("copy", {&x}).bytes(), bits) << "NaN of any kind included";
}

TEST_P(Vectors, MinAndMax) {
  if (!does(VACCEL_LINALG_MIN) || !does(VACCEL_LINALG_MAX)) return;
  Random random(10);
  for (const int64_t length : kLengths) {
    const Elements x = draw(length, random);
    const std::vector<double> values = x.values();
    EXPECT_EQ(run("min", {&x})[0], *std::min_element(values.begin(), values.end())) << length;
    EXPECT_EQ(run("max", {&x})[0], *std::max_element(values.begin(), values.end())) << length;
  }
  for (const std::vector<double>& values :
       {std::vector<double>{kNan, 1, 2}, std::vector<double>{1, 2, kNan}, std::vector<double>{1, kNan, 2}}) {
    const Elements x(dtype(), values);
    EXPECT_TRUE(std::isnan(run("min", {&x})[0]));
    EXPECT_TRUE(std::isnan(run("max", {&x})[0]));
  }
}

TEST_P(Vectors, RefuseAResultThatOverlapsWhatIsRead) {
  if (!does(VACCEL_LINALG_AXPY)) return;
  Elements all(dtype(), std::vector<double>(6, 1));
  const size_t size = all.bytes().size() / 6;
  for (const size_t at : {1u, 2u, 4u}) {  // beside y, which it may take the place of
    TestCall call("axpy");
    call.backend(backend());
    call.view("x", dtype(), {3}, all.data(), 3 * size)
        .view("y", dtype(), {3}, all.data() + 3 * size, 3 * size);
    EXPECT_EQ(call.put_result_at(all.data() + at * size).run(runtime()), VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(call.sentence.find("overlaps input '"), std::string::npos) << call.sentence;
  }
  EXPECT_EQ(all.values(), std::vector<double>(6, 1)) << "nothing may have been written";
}

TEST_P(Vectors, RefuseOthersOfAnotherLength) {
  if (!does(VACCEL_LINALG_DOT)) return;
  TestCall call("dot");
  call.backend(backend());
  call.input("x", dtype(), {2}, Elements(dtype(), {1, 2}).bytes());
  call.input("y", dtype(), {3}, Elements(dtype(), {1, 2, 3}).bytes());
  EXPECT_EQ(call.run(runtime()), VACCEL_INVALID_ARGUMENT);
  EXPECT_TRUE(call.outputs.empty()) << "memory was asked for";
}

INSTANTIATE_TEST_SUITE_P(Backends, Vectors, every_backend_and_type(), name_of_parameter);

class VectorArguments : public ::testing::Test {
 protected:
  static std::vector<std::byte> floats(int64_t count) {
    return std::vector<std::byte>(static_cast<size_t>(count) * sizeof(float));
  }
  const std::unique_ptr<Runtime> runtime = make_runtime("");
};

TEST_F(VectorArguments, SaysWhatDoesNotFit) {
  TestCall shapes("add");
  shapes.input("x", VACCEL_FLOAT32, {2, 3}, floats(6)).input("y", VACCEL_FLOAT32, {3, 2}, floats(6));
  EXPECT_EQ(shapes.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(shapes.sentence,
            "input 'y' of operator 'add' has shape [3, 2] and input 'x' [2, 3]; they must have one shape");
  TestCall empty("max");
  empty.input("x", VACCEL_FLOAT32, {0}, floats(0));
  EXPECT_EQ(empty.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(empty.sentence, "input 'x' of operator 'max' has shape [0]: it is empty, and has no max");
  TestCall alpha("dot");
  alpha.input("x", VACCEL_FLOAT32, {1}, floats(1))
      .input("y", VACCEL_FLOAT32, {1}, floats(1))
      .real("alpha", 2);
  EXPECT_EQ(alpha.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(alpha.sentence, "operator 'dot' has no attribute 'alpha'; it has: none");
  TestCall text("axpy");
  text.input("x", VACCEL_FLOAT32, {1}, floats(1))
      .input("y", VACCEL_FLOAT32, {1}, floats(1))
      .text("alpha", "2");
  EXPECT_EQ(text.run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_EQ(text.sentence, "attribute 'alpha' of operator 'axpy' must be a number, and is a string");
}

TEST_F(VectorArguments, KeepsTheShape) {
  TestCall call("copy");
  call.input("x", VACCEL_FLOAT32, {2, 1, 3}, floats(6));
  ASSERT_EQ(call.run(*runtime), VACCEL_OK) << call.sentence;
  EXPECT_EQ(call.outputs.at(0).shape, (std::vector<int64_t>{2, 1, 3}));
}

TEST_F(VectorArguments, WorksInPlaceWhereTheResultBeginsAsAnInput) {
  Elements x(VACCEL_FLOAT32, {1, 2, 3});
  Elements y(VACCEL_FLOAT32, {10, 20, 30});
  TestCall axpy("axpy");
  axpy.view("x", VACCEL_FLOAT32, {3}, x.data(), 12).view("y", VACCEL_FLOAT32, {3}, y.data(), 12);
  ASSERT_EQ(axpy.real("alpha", 2).put_result_at(y.data()).run(*runtime), VACCEL_OK) << axpy.sentence;
  EXPECT_EQ(y.values(), (std::vector<double>{12, 24, 36}));
  TestCall scal("scal");
  scal.view("x", VACCEL_FLOAT32, {3}, x.data(), 12);
  ASSERT_EQ(scal.real("alpha", 2).put_result_at(x.data()).run(*runtime), VACCEL_OK) << scal.sentence;
  EXPECT_EQ(x.values(), (std::vector<double>{2, 4, 6}));
}

TEST_F(VectorArguments, RefusesAResultThatOverlapsWhatIsRead) {
  Elements all(VACCEL_FLOAT32, std::vector<double>(6, 1));
  TestCall call("axpy");
  call.view("x", VACCEL_FLOAT32, {3}, all.data(), 12).view("y", VACCEL_FLOAT32, {3}, all.data() + 12, 12);
  EXPECT_EQ(call.put_result_at(all.data() + 8).run(*runtime), VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(call.sentence.find("overlaps input 'x'"), std::string::npos) << call.sentence;
  EXPECT_EQ(all.values(), std::vector<double>(6, 1));
}

}  // namespace
}  // namespace vaccel::runtime::testing
