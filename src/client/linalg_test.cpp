// SPDX-License-Identifier: Apache-2.0
//
// Linear algebra of the C API on sessions in this process: orders, transposes, leading dimensions, increments and
// batches, against exact sums; and what is refused. tests/integration does the same through an agent.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/linalg_api_testing.h"

namespace vaccel::linalg_testing {
namespace {

class LinearAlgebra : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = testing::TempDir() + "/vaccel-linalg-test-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/vaccel.toml") << "[backends]\ndirectory = \"" << std::getenv("VACCEL_TEST_LIB")
                                            << "/vaccel/backends\"\nload = [\"openblas\", \"reference\"]\n";
    ASSERT_EQ(vaccel_open(("local:" + folder_ + "/vaccel.toml").c_str(), nullptr, &session_), VACCEL_OK)
        << vaccel_error_message();
  }
  static void TearDownTestSuite() {
    vaccel_close(session_);
    std::filesystem::remove_all(folder_);
  }

  static inline std::string folder_;
  static inline vaccel_session* session_ = nullptr;
};

TEST_F(LinearAlgebra, GemmTakesCblasArguments) {
  check_gemm(session_, 200, 11);
}
TEST_F(LinearAlgebra, GemmTakesBatches) {
  check_gemm_strided_batch(session_, 60, 12);
  check_gemm_batch(session_, 60, 13);
}
TEST_F(LinearAlgebra, GemvTakesCblasArguments) {
  check_gemv(session_, 200, 14);
}
TEST_F(LinearAlgebra, VectorsHaveIncrements) {
  check_vectors(session_, 100, 15);
}

// ---- What is refused

class LinearAlgebraArguments : public LinearAlgebra {
 protected:
  // The sentence of a product that must be refused; c must stay as it is.
  struct Arguments {
    vaccel_dtype dtype = VACCEL_FLOAT32;
    int order = VACCEL_ROW_MAJOR;
    int transpose_a = VACCEL_NO_TRANSPOSE;
    int64_t m = 2, n = 3, k = 4;
    bool has_a = true, has_b = true, has_c = true;
    int64_t lda = 4, ldb = 3, ldc = 3;
    const vaccel_call_options* options = nullptr;
  };
  static std::string refusal(const Arguments& given, vaccel_status expected = VACCEL_INVALID_ARGUMENT) {
    const std::vector<float> a(12, 1);
    std::vector<float> c(12, 7);
    EXPECT_EQ(
        vaccel_gemm(session_, given.dtype, static_cast<vaccel_order>(given.order),
                    static_cast<vaccel_transpose>(given.transpose_a), VACCEL_NO_TRANSPOSE, given.m, given.n,
                    given.k, 1, given.has_a ? a.data() : nullptr, given.lda, given.has_b ? a.data() : nullptr,
                    given.ldb, 0, given.has_c ? c.data() : nullptr, given.ldc, given.options),
        expected);
    EXPECT_EQ(c, std::vector<float>(12, 7));
    return vaccel_error_message();
  }
};

TEST_F(LinearAlgebraArguments, SaysWhichArgumentIsWrong) {
  EXPECT_EQ(refusal({.lda = 3}), "vaccel_gemm: lda is 3; it must be at least 4, the length of a row");
  EXPECT_EQ(refusal({.ldb = 2}), "vaccel_gemm: ldb is 2; it must be at least 3, the length of a row");
  EXPECT_EQ(refusal({.ldc = 2}), "vaccel_gemm: ldc is 2; it must be at least 3, the length of a row");
  EXPECT_EQ(refusal({.transpose_a = VACCEL_TRANSPOSE, .lda = 1}),
            "vaccel_gemm: lda is 1; it must be at least 2, the length of a row");
  EXPECT_EQ(refusal({.order = VACCEL_COLUMN_MAJOR, .lda = 1}),
            "vaccel_gemm: lda is 1; it must be at least 2, the length of a column");
  EXPECT_EQ(refusal({.k = 0, .lda = 0}), "vaccel_gemm: lda is 0; it must be at least 1, the length of a row");
  EXPECT_EQ(refusal({.m = -1}), "vaccel_gemm: m is -1; it must be at least 0");
  EXPECT_EQ(refusal({.n = -2}), "vaccel_gemm: n is -2; it must be at least 0");
  EXPECT_EQ(refusal({.k = -3}), "vaccel_gemm: k is -3; it must be at least 0");
  EXPECT_EQ(refusal({.has_a = false}), "vaccel_gemm: a is NULL");
  EXPECT_EQ(refusal({.has_b = false}), "vaccel_gemm: b is NULL");
  EXPECT_EQ(refusal({.has_c = false}), "vaccel_gemm: c is NULL");
  EXPECT_EQ(refusal({.order = 103}),
            "vaccel_gemm: order is 103; it must be VACCEL_ROW_MAJOR (101) or VACCEL_COLUMN_MAJOR (102)");
  EXPECT_EQ(refusal({.transpose_a = 0}),
            "vaccel_gemm: transpose_a is 0; it must be VACCEL_NO_TRANSPOSE (111) or VACCEL_TRANSPOSE (112)");
  EXPECT_EQ(refusal({.dtype = VACCEL_INT32}),
            "vaccel_gemm: dtype is 7; it must be VACCEL_FLOAT32, FLOAT64, FLOAT16 or BFLOAT16");
}

TEST_F(LinearAlgebraArguments, RefusesWhatReachesBeyondTheAddressSpace) {
  for (const int64_t huge : {int64_t{1} << 60, INT64_MAX / 2, INT64_MAX}) {
    EXPECT_EQ(refusal({.lda = huge}), "vaccel_gemm: a reaches beyond the address space");
    EXPECT_EQ(refusal({.ldc = huge}), "vaccel_gemm: c reaches beyond the address space");
    EXPECT_EQ(refusal({.m = huge}), "vaccel_gemm: a reaches beyond the address space");
    EXPECT_EQ(refusal({.m = huge, .k = 0}), "vaccel_gemm: c reaches beyond the address space");
    EXPECT_EQ(refusal({.n = huge, .ldb = huge, .ldc = huge}),
              "vaccel_gemm: b reaches beyond the address space");
  }
}

TEST_F(LinearAlgebraArguments, SaysWhichOptionsAreWrong) {
  vaccel_tensor place{};
  auto options = VACCEL_INIT(vaccel_call_options);
  options.outputs = &place;
  options.output_count = 1;
  EXPECT_EQ(refusal({.options = &options}),
            "vaccel_gemm: options.outputs is set; the result goes where the arguments say");
  options = VACCEL_INIT(vaccel_call_options);
  options.backend = "nobody";
  EXPECT_EQ(refusal({.options = &options}, VACCEL_NOT_FOUND),
            "no backend 'nobody'; there are: openblas, reference");
  options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = 1;
  (void)refusal({.options = &options}, VACCEL_DEADLINE_EXCEEDED);
  EXPECT_EQ(vaccel_gemm(nullptr, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, VACCEL_NO_TRANSPOSE,
                        0, 0, 0, 1, nullptr, 1, nullptr, 1, 0, nullptr, 1, nullptr),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "the session is NULL");
}

TEST_F(LinearAlgebraArguments, NeedsNothingOfWhatDoesNotCount) {
  std::vector<float> c{1, 2, 3, 4};
  EXPECT_EQ(vaccel_gemm(session_, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, VACCEL_NO_TRANSPOSE,
                        2, 2, 5, 0, nullptr, 5, nullptr, 2, 3, c.data(), 2, nullptr),
            VACCEL_OK)
      << vaccel_error_message();
  EXPECT_EQ(c, (std::vector<float>{3, 6, 9, 12}));
  EXPECT_EQ(vaccel_gemm(session_, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, VACCEL_NO_TRANSPOSE,
                        0, 2, 5, 1, nullptr, 5, nullptr, 2, 3, nullptr, 2, nullptr),
            VACCEL_OK)
      << vaccel_error_message();
}

TEST_F(LinearAlgebraArguments, SaysWhatIsWrongWithABatch) {
  const std::vector<float> a(64, 1);
  std::vector<float> c(64, 7);
  const auto strided = [&](int64_t stride_a, int64_t stride_c, int64_t batch) {
    EXPECT_EQ(vaccel_gemm_strided_batch(session_, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE,
                                        VACCEL_NO_TRANSPOSE, 2, 2, 2, 1, a.data(), 2, stride_a, a.data(), 2,
                                        4, 0, c.data(), 2, stride_c, batch, nullptr),
              VACCEL_INVALID_ARGUMENT);
    return std::string(vaccel_error_message());
  };
  const std::string name = "vaccel_gemm_strided_batch: ";
  EXPECT_EQ(strided(-1, 4, 2), name + "stride_a is -1; it must be at least 0");
  EXPECT_EQ(strided(4, 3, 2), name + "stride_c is 3; it must be at least 4, or results overlap");
  EXPECT_EQ(strided(4, 0, 2), name + "stride_c is 0; it must be at least 4, or results overlap");
  EXPECT_EQ(strided(4, 4, -1), name + "batch is -1; it must be at least 0");
  EXPECT_EQ(strided(INT64_MAX, 4, 3), name + "a reaches beyond the address space");

  const void* matrices[] = {a.data(), nullptr};
  void* results[] = {c.data(), c.data() + 4};
  const auto batch = [&](const void* const* as, void* const* cs) {
    EXPECT_EQ(vaccel_gemm_batch(session_, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE,
                                VACCEL_NO_TRANSPOSE, 2, 2, 2, 1, as, 2, as, 2, 0, cs, 2, 2, nullptr),
              VACCEL_INVALID_ARGUMENT);
    return std::string(vaccel_error_message());
  };
  EXPECT_EQ(batch(matrices, results), "vaccel_gemm_batch: a[1] is NULL");
  EXPECT_EQ(batch(nullptr, results), "vaccel_gemm_batch: a is NULL");
  matrices[1] = a.data();
  results[1] = nullptr;
  EXPECT_EQ(batch(matrices, results), "vaccel_gemm_batch: c[1] is NULL");
  EXPECT_EQ(c, std::vector<float>(64, 7));
}

TEST_F(LinearAlgebraArguments, SaysWhatIsWrongWithVectors) {
  const std::vector<float> x(8, 1);
  std::vector<float> y(8, 7);
  EXPECT_EQ(vaccel_axpy(session_, VACCEL_FLOAT32, -1, 1, x.data(), 1, y.data(), 1, nullptr),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "vaccel_axpy: n is -1; it must be at least 0");
  EXPECT_EQ(vaccel_axpy(session_, VACCEL_FLOAT32, 8, 1, x.data(), 1, y.data(), 0, nullptr),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "vaccel_axpy: incy is 0; it must be another number: it is written to");
  EXPECT_EQ(vaccel_axpy(session_, VACCEL_FLOAT32, 8, 1, nullptr, 1, y.data(), 1, nullptr),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "vaccel_axpy: x is NULL");
  EXPECT_EQ(vaccel_axpy(session_, VACCEL_FLOAT32, 8, 1, x.data(), INT64_MIN, y.data(), 1, nullptr),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "vaccel_axpy: x reaches beyond the address space");
  EXPECT_EQ(vaccel_dot(session_, VACCEL_FLOAT32, 8, x.data(), 1, x.data(), 1, nullptr, nullptr),
            VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "vaccel_dot: result is NULL");
  EXPECT_EQ(vaccel_min(session_, VACCEL_FLOAT32, 0, x.data(), 1, y.data(), nullptr), VACCEL_INVALID_ARGUMENT);
  EXPECT_STREQ(vaccel_error_message(), "vaccel_min: n is 0; it must be at least 1");
  EXPECT_EQ(y, std::vector<float>(8, 7));
}

}  // namespace
}  // namespace vaccel::linalg_testing
