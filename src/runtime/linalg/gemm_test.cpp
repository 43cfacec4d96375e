// SPDX-License-Identifier: Apache-2.0
//
// "gemm" on every backend that has linear algebra and for every type.
#include "runtime/linalg/gemm.h"

#include <array>

#include "runtime/linalg/linalg_operator_testing.h"

namespace vaccel::runtime::testing {
namespace {

using namespace linalg_testing;

constexpr int64_t kSizes[] = {0, 1, 2, 3, 5, 7, 13, 16, 17, 31, 64, 65, 127};
constexpr double kFactors[] = {0, 1, -1, 0.3, -2.5};

enum class Form { kShaped, kFlat };

// One call of "gemm" with everything that it may be given.
struct Case {
  Form form_a, form_b;
  bool transpose_a, transpose_b;
  int64_t m, n, k;
  int64_t batch;  // 0: there is none, but a single product
  bool shared_a, shared_b;
  double alpha, beta;
  int64_t gap_a, gap_b;  // between rows, of flat ones

  static Case draw(Random& random) {
    Case one{};
    one.form_a = random.below(2) == 0 ? Form::kShaped : Form::kFlat;
    one.form_b = random.below(2) == 0 ? Form::kShaped : Form::kFlat;
    one.transpose_a = random.below(2) == 0;
    one.transpose_b = random.below(2) == 0;
    one.m = random.one_of(kSizes);
    one.n = random.one_of(kSizes);
    one.k = random.one_of(kSizes);
    one.batch = random.below(3) == 0 ? 1 + random.below(4) : 0;
    one.shared_a = random.below(3) == 0;
    one.shared_b = random.below(3) == 0;
    one.alpha = random.one_of(kFactors);
    one.beta = random.one_of(kFactors);
    one.gap_a = random.below(3);
    one.gap_b = random.below(3);
    return one;
  }
  [[nodiscard]] std::string text() const {
    return "m " + std::to_string(m) + " n " + std::to_string(n) + " k " + std::to_string(k) + " batch " +
           std::to_string(batch) + (transpose_a ? " a'" : " a") + (form_a == Form::kFlat ? " flat" : "") +
           (transpose_b ? " b'" : " b") + (form_b == Form::kFlat ? " flat" : "") + " alpha " +
           std::to_string(alpha) + " beta " + std::to_string(beta);
  }
};

class Gemm : public LinalgTest {
 protected:
  // A set of matrices and the input that holds it.
  MatrixSet add_input(TestCall& call, const char* name, Form form, bool shared, int64_t rows, int64_t columns,
                      int64_t batch, int64_t gap, Random& random) const {
    const bool flat = form == Form::kFlat;
    const int64_t pitch = std::max<int64_t>(columns, 1) + (flat ? gap : 0);
    const bool has_batch = batch > 0 && !shared;
    const int64_t stride = has_batch ? rows * pitch + (flat ? gap : 0) : 0;
    MatrixSet set(dtype(), rows, columns, pitch, stride, has_batch ? batch : std::min<int64_t>(batch + 1, 1),
                  random);
    std::vector<int64_t> shape{rows, columns};
    if (has_batch) shape.insert(shape.begin(), batch);
    if (flat) {
      shape = {static_cast<int64_t>(set.elements.count())};
      call.integer(name[0] == 'a' ? "lda" : "ldb", pitch);
      call.integer(name[0] == 'a' ? "stride_a" : "stride_b", stride);
    }
    call.input(name, dtype(), shape, set.elements.bytes());
    return set;
  }

  void check(const Case& one, Random& random) {
    SCOPED_TRACE(one.text());
    TestCall call("gemm");
    call.backend(backend());
    const MatrixSet a = add_input(call, "a", one.form_a, one.shared_a, one.transpose_a ? one.k : one.m,
                                  one.transpose_a ? one.m : one.k, one.batch, one.gap_a, random);
    const MatrixSet b = add_input(call, "b", one.form_b, one.shared_b, one.transpose_b ? one.n : one.k,
                                  one.transpose_b ? one.k : one.n, one.batch, one.gap_b, random);
    const int64_t products = std::max<int64_t>(one.batch, 1);
    std::vector<int64_t> shape{one.m, one.n};
    if (one.batch > 0) shape.insert(shape.begin(), one.batch);
    // With beta = 0 nothing of c counts.
    Elements c = random.elements(dtype(), static_cast<size_t>(products * one.m * one.n));
    if (one.beta == 0) {
      for (size_t index = 0; index < c.count(); ++index)
        c.set(index, kNan);
    }
    if (one.beta != 0 || random.below(2) == 0) call.input("c", dtype(), shape, c.bytes());
    call.integer("m", one.m).integer("n", one.n).integer("k", one.k);
    if (one.batch > 0) call.integer("batch", one.batch);
    call.integer("transpose_a", one.transpose_a ? 1 : 0).integer("transpose_b", one.transpose_b ? 1 : 0);
    call.real("alpha", one.alpha).real("beta", one.beta);
    ASSERT_EQ(call.run(runtime()), VACCEL_OK) << call.sentence;
    const CallOutput& output = call.outputs.at(0);
    EXPECT_EQ(output.name, "c");
    EXPECT_EQ(output.dtype, dtype());
    EXPECT_EQ(output.shape, shape);
    const Elements result(dtype(), output.bytes);
    const double alpha = as_factor(dtype(), one.alpha);
    const double beta = as_factor(dtype(), one.beta);
    for (int64_t index = 0; index < products; ++index) {
      for (int64_t row = 0; row < one.m; ++row) {
        for (int64_t column = 0; column < one.n; ++column) {
          const auto at = static_cast<size_t>((index * one.m + row) * one.n + column);
          const Exact exact =
              alpha == 0 ? Exact{}
                         : exact_product(a, one.transpose_a, b, one.transpose_b, one.k, index, row, column);
          ASSERT_TRUE(is_close(dtype(), result[at], exact, alpha, beta == 0 ? 0 : beta * c[at]))
              << "product " << index << ", row " << row << ", column " << column;
        }
      }
    }
  }
};

TEST_P(Gemm, IsWithinTheBoundForRandomShapesAndStrides) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  Random random(1);
  for (int count = 0; count < 60 && !HasFatalFailure(); ++count)
    check(Case::draw(random), random);
}

TEST_P(Gemm, IsWithinTheBoundForLargeOnes) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  // Beyond the blocks that backends compute in, and no multiple of any.
  constexpr int64_t kM = 389, kN = 401, kK = 773;
  Random random(2);
  for (const bool transpose : {false, true}) {
    MatrixSet a(dtype(), transpose ? kK : kM, transpose ? kM : kK, transpose ? kM : kK, 0, 1, random);
    MatrixSet b(dtype(), transpose ? kN : kK, transpose ? kK : kN, transpose ? kK : kN, 0, 1, random);
    TestCall call("gemm");
    call.backend(backend()).integer("transpose_a", transpose).integer("transpose_b", transpose);
    call.input("a", dtype(), {a.rows, a.columns}, a.elements.bytes());
    call.input("b", dtype(), {b.rows, b.columns}, b.elements.bytes());
    ASSERT_EQ(call.run(runtime()), VACCEL_OK) << call.sentence;
    const Elements result(dtype(), call.outputs.at(0).bytes);
    for (int count = 0; count < 2000; ++count) {
      const int64_t row = random.below(kM);
      const int64_t column = random.below(kN);
      ASSERT_TRUE(is_close(dtype(), result[static_cast<size_t>(row * kN + column)],
                           exact_product(a, transpose, b, transpose, kK, 0, row, column)))
          << "row " << row << ", column " << column;
    }
  }
}

TEST_P(Gemm, LetsNaNThroughWhereItCounts) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  TestCall call("gemm");
  call.backend(backend());
  call.input("a", dtype(), {2, 2}, Elements(dtype(), {kNan, 1, 0, 1}).bytes());
  call.input("b", dtype(), {2, 1}, Elements(dtype(), {0, 3}).bytes());
  ASSERT_EQ(call.run(runtime()), VACCEL_OK) << call.sentence;
  const Elements result(dtype(), call.outputs.at(0).bytes);
  EXPECT_TRUE(std::isnan(result[0])) << "0 times NaN is NaN";
  EXPECT_EQ(result[1], 3);
}

TEST_P(Gemm, MayPutItsResultWhereCLies) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  Elements c(dtype(), {1, 2, 3, 4});
  TestCall call("gemm");
  call.backend(backend());
  call.input("a", dtype(), {2, 2}, Elements(dtype(), {1, 0, 0, 1}).bytes());
  call.input("b", dtype(), {2, 2}, Elements(dtype(), {10, 20, 30, 40}).bytes());
  call.view("c", dtype(), {2, 2}, c.data(), c.bytes().size()).real("beta", 2).put_result_at(c.data());
  ASSERT_EQ(call.run(runtime()), VACCEL_OK) << call.sentence;
  EXPECT_EQ(c.values(), (std::vector<double>{12, 24, 36, 48}));
}

TEST_P(Gemm, RefusesAResultThatOverlapsWhatIsRead) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  // a, b and c one behind the other, and the result one element into each.
  Elements all(dtype(), std::vector<double>(16, 1));
  const size_t size = all.bytes().size() / 16;
  for (const size_t at : {1u, 5u, 9u}) {
    TestCall call("gemm");
    call.backend(backend()).real("beta", 1);
    call.view("a", dtype(), {2, 2}, all.data(), 4 * size);
    call.view("b", dtype(), {2, 2}, all.data() + 4 * size, 4 * size);
    call.view("c", dtype(), {2, 2}, all.data() + 8 * size, 4 * size);
    call.put_result_at(all.data() + at * size);
    EXPECT_EQ(call.run(runtime()), VACCEL_INVALID_ARGUMENT);
    EXPECT_NE(call.sentence.find("overlaps input '"), std::string::npos) << call.sentence;
  }
  EXPECT_EQ(all.values(), std::vector<double>(16, 1)) << "nothing may have been written";
}

// Whoever is to compute it: nothing of this reaches a backend, which would believe every number.
TEST_P(Gemm, RefusesWhatReachesBeyondItsMemory) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  const Elements eight(dtype(), std::vector<double>(8, 1));
  const auto refused = [&](const std::vector<std::pair<const char*, int64_t>>& integers) {
    TestCall call("gemm");
    call.backend(backend()).input("a", dtype(), {8}, eight.bytes()).input("b", dtype(), {8}, eight.bytes());
    for (const auto& [name, value] : integers)
      call.integer(name, value);
    EXPECT_EQ(call.run(runtime()), VACCEL_INVALID_ARGUMENT);
    EXPECT_TRUE(call.outputs.empty()) << "memory was asked for";
    return call.sentence;
  };
  EXPECT_EQ(refused({{"m", 2}, {"n", 2}, {"k", 3}, {"lda", 2}}),
            "attribute 'lda' of operator 'gemm' is 2; it must be at least 3, a row of 'a'");
  EXPECT_NE(refused({{"m", 2}, {"n", 2}, {"k", 2}, {"lda", 7}}).find("need 9"), std::string::npos);
  for (const char* name : {"m", "n", "k", "lda", "ldb", "stride_a", "stride_b", "batch"}) {
    for (const int64_t wrong : {int64_t{-1}, INT64_MIN, int64_t{1} << 31, int64_t{1} << 62, INT64_MAX}) {
      std::vector<std::pair<const char*, int64_t>> integers{{"m", 2}, {"n", 2}, {"k", 2}, {"batch", 2}};
      std::erase_if(integers, [&](const auto& one) { return std::strcmp(one.first, name) == 0; });
      integers.emplace_back(name, wrong);
      EXPECT_NE(refused(integers), "") << name << " " << wrong;
    }
  }
}

TEST_P(Gemm, ComputesNothingForACallThatWasCancelled) {
  if (!does(VACCEL_LINALG_GEMM)) return;
  const std::atomic<int> cancelled = 1;
  TestCall call("gemm");
  call.backend(backend());
  call.call.cancelled = &cancelled;
  call.input("a", dtype(), {1, 1}, Elements(dtype(), std::vector<double>{1}).bytes());
  call.input("b", dtype(), {1, 1}, Elements(dtype(), std::vector<double>{1}).bytes());
  EXPECT_EQ(call.run(runtime()), VACCEL_CANCELLED);
}

INSTANTIATE_TEST_SUITE_P(Backends, Gemm, every_backend_and_type(), name_of_parameter);

// ---- What is refused before any backend hears of it

class GemmArguments : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { runtime_ = make_runtime("").release(); }
  static void TearDownTestSuite() {
    delete runtime_;
    runtime_ = nullptr;
  }

  struct Input {
    const char* name;
    std::vector<int64_t> shape;
    vaccel_dtype dtype = VACCEL_FLOAT32;
  };
  using Integers = std::vector<std::pair<const char*, int64_t>>;

  // The sentence of a call that must be refused.
  static std::string refusal(const std::vector<Input>& inputs, const Integers& integers) {
    TestCall call("gemm");
    for (const Input& input : inputs) {
      const auto bytes = dense_bytes(input.dtype, input.shape).value();
      call.input(input.name, input.dtype, input.shape, std::vector<std::byte>(bytes));
    }
    for (const auto& [name, value] : integers)
      call.integer(name, value);
    EXPECT_EQ(call.run(*runtime_), VACCEL_INVALID_ARGUMENT) << call.sentence;
    EXPECT_TRUE(call.outputs.empty()) << "memory was asked for";
    return call.sentence;
  }
  static std::string flat_refusal(int64_t a_count, int64_t b_count, const Integers& integers) {
    return refusal({{"a", {a_count}}, {"b", {b_count}}}, integers);
  }

  static Runtime* runtime_;
};
Runtime* GemmArguments::runtime_ = nullptr;

TEST_F(GemmArguments, SaysWhichInputsThereAre) {
  EXPECT_EQ(refusal({{"a", {2, 2}}}, {}),
            "input 'b' of operator 'gemm' is missing; its inputs are: 'a', 'b', 'c'");
  EXPECT_EQ(refusal({{"a", {2, 2}}, {"d", {2, 2}}}, {}),
            "operator 'gemm' has no input 'd'; its inputs are: 'a', 'b', 'c'");
  EXPECT_EQ(refusal({{"a", {2, 2}}, {"a", {2, 2}}}, {}), "input 'a' of operator 'gemm' is given twice");
  EXPECT_EQ(refusal({{nullptr, {1, 1}}, {nullptr, {1, 1}}, {nullptr, {1, 1}}, {nullptr, {1, 1}}}, {}),
            "4 inputs are given; the inputs of operator 'gemm' are: 'a', 'b', 'c'");
  EXPECT_EQ(refusal({{"a", {2, 2}}, {"b", {2, 2}}}, {{"beta", 1}}),
            "input 'c' of operator 'gemm' is missing, and beta is 1: it is needed");
}

TEST_F(GemmArguments, SaysWhichTypesThereAre) {
  EXPECT_EQ(refusal({{"a", {2, 2}, VACCEL_INT32}, {"b", {2, 2}, VACCEL_INT32}}, {}),
            "input 'a' of operator 'gemm' is int32; it must be float32, float64, float16 or bfloat16");
  EXPECT_EQ(refusal({{"a", {2, 2}}, {"b", {2, 2}, VACCEL_FLOAT64}}, {}),
            "input 'b' of operator 'gemm' is float64 and input 'a' is float32; they must be of one type");
}

TEST_F(GemmArguments, SaysWhichSizesDoNotAgree) {
  EXPECT_EQ(refusal({{"a", {2, 3}}, {"b", {4, 2}}}, {}),
            "k is 3 in input 'a' and 4 in input 'b'; they must agree");
  EXPECT_EQ(refusal({{"a", {2, 3}}, {"b", {3, 2}}}, {{"m", 3}}),
            "m is 3 in the attribute and 2 in input 'a'; they must agree");
  EXPECT_EQ(refusal({{"a", {2, 1, 1}}, {"b", {3, 1, 1}}}, {}),
            "batch is 2 in input 'a' and 3 in input 'b'; they must agree");
  EXPECT_EQ(refusal({{"a", {2, 3}}, {"b", {3, 2}}, {"c", {2, 3}}}, {{"beta", 1}}),
            "input 'c' of operator 'gemm' has shape [2, 3]; it must be [2, 2], or as many flat");
  EXPECT_EQ(refusal({{"a", {1, 1, 1, 1}}, {"b", {1, 1}}}, {}),
            "input 'a' of operator 'gemm' has rank 4; it must be 2, 3 for a batch, or 1 for a flat one");
  EXPECT_EQ(refusal({{"a", {}}, {"b", {1, 1}}}, {}),
            "input 'a' of operator 'gemm' has rank 0; it must be 2, 3 for a batch, or 1 for a flat one");
  EXPECT_EQ(flat_refusal(4, 4, {{"m", 2}, {"n", 2}}),
            "operator 'gemm' needs attribute 'k', an integer, since no input's shape tells it");
}

TEST_F(GemmArguments, SaysWhatReachesBeyondTheTensor) {
  EXPECT_EQ(flat_refusal(6, 6, {{"m", 2}, {"n", 2}, {"k", 3}, {"lda", 2}}),
            "attribute 'lda' of operator 'gemm' is 2; it must be at least 3, a row of 'a'");
  EXPECT_EQ(flat_refusal(6, 6, {{"m", 2}, {"n", 2}, {"k", 3}, {"lda", 4}}),
            "input 'a' of operator 'gemm' has 6 elements; 1 matrices of 2 x 3, 4 elements from row to row "
            "and 0 from "
            "matrix to matrix, need 7");
  EXPECT_EQ(flat_refusal(6, 5, {{"m", 2}, {"n", 2}, {"k", 3}}),
            "input 'b' of operator 'gemm' has 5 elements; 1 matrices of 3 x 2, 2 elements from row to row "
            "and 0 from "
            "matrix to matrix, need 6");
  EXPECT_EQ(flat_refusal(6, 6, {{"m", 2}, {"n", 2}, {"k", 3}, {"batch", 2}, {"stride_b", 0}}),
            "input 'a' of operator 'gemm' has 6 elements; 2 matrices of 2 x 3, 3 elements from row to row "
            "and 6 from "
            "matrix to matrix, need 12");
  EXPECT_EQ(refusal({{"a", {2, 3}}, {"b", {3, 2}}}, {{"lda", 3}}),
            "attribute 'lda' of operator 'gemm' is for a flat input 'a', of rank 1; it has shape [2, 3]");
}

TEST_F(GemmArguments, RefusesWhatIsNoSize) {
  for (const char* name : {"m", "n", "k", "lda", "ldb", "stride_a", "stride_b", "batch"}) {
    Integers integers{{"m", 2}, {"n", 2}, {"k", 2}};
    std::erase_if(integers, [&](const auto& one) { return std::strcmp(one.first, name) == 0; });
    integers.emplace_back(name, -1);
    EXPECT_NE(flat_refusal(4, 4, integers).find("is -1; it must be"), std::string::npos) << name;
  }
  EXPECT_NE(flat_refusal(4, 4, {{"m", 2}, {"n", 2}, {"k", 2}, {"transpose_a", 2}}).find("it must be 0 to 1"),
            std::string::npos);
  EXPECT_NE(flat_refusal(4, 4, {{"m", 2}, {"n", 2}, {"k", 2}, {"ldc", 2}}).find("has no attribute 'ldc'"),
            std::string::npos);
}

TEST_F(GemmArguments, SurvivesSizesWhoseProductsOverflow) {
  constexpr int64_t kHuge[] = {int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62, INT64_MAX / 3,
                               INT64_MAX};
  for (const int64_t huge : kHuge) {
    for (const char* name : {"m", "n", "k", "lda", "ldb", "stride_a", "stride_b", "batch"}) {
      Integers integers{{"m", 2}, {"n", 2}, {"k", 2}, {"batch", 2}};
      std::erase_if(integers, [&](const auto& one) { return std::strcmp(one.first, name) == 0; });
      integers.emplace_back(name, huge);
      EXPECT_FALSE(flat_refusal(8, 8, integers).empty()) << name << " " << huge;
    }
    EXPECT_FALSE(flat_refusal(8, 8, {{"m", huge}, {"n", huge}, {"k", huge}}).empty());
    EXPECT_FALSE(flat_refusal(8, 8, {{"m", huge}, {"n", huge}, {"k", 0}}).empty());
    EXPECT_FALSE(flat_refusal(8, 8, {{"m", 1}, {"n", 1}, {"k", 0}, {"batch", INT64_MAX}}).empty());
  }
}

TEST_F(GemmArguments, TakesEmptyMatricesOfAnySize) {
  for (const auto& [m, n, batch] : {std::array<int64_t, 3>{0, INT64_MAX / 64, 1}, {5, 0, 3}, {4, 4, 0}}) {
    TestCall call("gemm");
    call.integer("m", m).integer("n", n).integer("k", 0).integer("batch", batch);
    call.input("a", VACCEL_FLOAT32, {0}, std::vector<std::byte>{});
    call.input("b", VACCEL_FLOAT32, {0}, std::vector<std::byte>{});
    EXPECT_EQ(call.run(*runtime_), VACCEL_OK) << call.sentence;
    EXPECT_EQ(call.outputs.at(0).shape, (std::vector<int64_t>{batch, m, n}));
    EXPECT_TRUE(call.outputs.at(0).bytes.empty());
  }
}

TEST_F(GemmArguments, SaysWhichBackendsThereAre) {
  TestCall call("gemm");
  call.input("a", VACCEL_FLOAT32, {1, 1}, std::vector<std::byte>(4));
  call.input("b", VACCEL_FLOAT32, {1, 1}, std::vector<std::byte>(4));
  EXPECT_EQ(call.backend("nobody").run(*runtime_), VACCEL_NOT_FOUND);
  EXPECT_TRUE(call.sentence.starts_with("no backend 'nobody'; there are: ")) << call.sentence;
  if (!why_not(*runtime_, "onnxruntime").empty()) return;
  EXPECT_EQ(call.backend("onnxruntime").run(*runtime_), VACCEL_UNIMPLEMENTED);
  EXPECT_TRUE(call.sentence.starts_with(
      "backend 'onnxruntime' does not do operator 'gemm' on float32; backends that do: "))
      << call.sentence;
}

TEST_F(GemmArguments, TakesTheBackendWithTheHighestScore) {
  if (const std::string why = why_not(*runtime_, "openblas"); !why.empty())
    GTEST_SKIP() << "skipped: " << why;
  // A product so long that its terms' order shows in the last bits, which tell the backends apart.
  constexpr int64_t kLength = 5000;
  Random random(9);
  const Elements x = random.elements(VACCEL_FLOAT32, kLength);
  const auto product = [&](const char* backend) {
    TestCall call("gemm");
    if (backend != nullptr) call.backend(backend);
    call.input("a", VACCEL_FLOAT32, {1, kLength}, x.bytes());
    call.input("b", VACCEL_FLOAT32, {kLength, 1}, x.bytes());
    EXPECT_EQ(call.run(*runtime_), VACCEL_OK) << call.sentence;
    return call.outputs.at(0).bytes;
  };
  ASSERT_NE(product("openblas"), product("reference"));
  EXPECT_EQ(product(nullptr), product("openblas"));
}

}  // namespace
}  // namespace vaccel::runtime::testing
