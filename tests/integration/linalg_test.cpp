// SPDX-License-Identifier: Apache-2.0
//
// Linear algebra through the library, a real agent and a real worker: with shared memory and without, in buffers and out
// of them, and what becomes of a result when the call fails.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "client/linalg_api_testing.h"
#include "support/agent_process.h"
#include "support/library.h"

namespace vaccel::integration {
namespace {

class LinearAlgebra : public testing::TestWithParam<uint32_t> {
 protected:
  static void SetUpTestSuite() { agent_.emplace(AgentSetup{.all_backends = true}); }
  static void TearDownTestSuite() { agent_.reset(); }

  static inline std::optional<AgentProcess> agent_;
  const Session session{agent_->endpoint(), GetParam()};
};

TEST_P(LinearAlgebra, IsWithinTheBounds) {
  linalg_testing::check_gemm(session.get(), 60, 21);
  linalg_testing::check_gemm_strided_batch(session.get(), 30, 22);
  linalg_testing::check_gemm_batch(session.get(), 30, 23);
  linalg_testing::check_gemv(session.get(), 60, 24);
  linalg_testing::check_vectors(session.get(), 20, 25);
}

// Larger than what travels with a call.
TEST_P(LinearAlgebra, IsWithinTheBoundsForLargeMatrices) {
  constexpr int64_t kSize = 160;
  linalg_testing::Random random(26);
  for (const vaccel_dtype dtype : linalg_testing::kTypes) {
    SCOPED_TRACE(linalg_testing::type_text(dtype));
    const linalg_testing::ProductCase one{
        dtype, VACCEL_COLUMN_MAJOR, VACCEL_TRANSPOSE, VACCEL_NO_TRANSPOSE, kSize, kSize, kSize, 0.3, 1};
    auto a = one.a(5, 0, 1, random);
    auto b = one.b(0, 0, 1, random);
    for (const int64_t gap : {0, 7}) {
      auto c = one.c(gap, 0, 1, random);
      const auto before = c;
      ASSERT_EQ(
          vaccel_gemm(session.get(), dtype, one.order, one.transpose_a, one.transpose_b, kSize, kSize, kSize,
                      one.alpha, a.data(), a.ld(), b.data(), b.ld(), one.beta, c.data(), c.ld(), nullptr),
          VACCEL_OK)
          << vaccel_error_message();
      one.expect(a, 0, b, 0, before, c, 0);
      EXPECT_TRUE(c.has_gaps_of(linalg_testing::kUntouched));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Windows, LinearAlgebra,
                         testing::Values(0u, VACCEL_OPEN_NO_RINGS, VACCEL_OPEN_NO_WINDOW),
                         [](const auto& one) {
                           return one.param == 0                      ? "rings"
                                  : one.param == VACCEL_OPEN_NO_RINGS ? "window"
                                                                      : "stream";
                         });

// a is full of ones with gaps of NaN, b and c are dense; then c = a b is k everywhere.
struct Ones {
  static constexpr int64_t kSize = 520;  // each larger than a mebibyte
  static constexpr int64_t kGap = 24;
  static constexpr size_t kCount = kSize * (kSize + kGap) + 2 * kSize * kSize;

  explicit Ones(std::span<float> memory)
      : a(memory.data()), b(a + kSize * (kSize + kGap)), c(b + kSize * kSize) {
    std::fill_n(a, kCount, 1.0f);
    for (int64_t row = 0; row < kSize; ++row)
      std::fill_n(a + row * (kSize + kGap) + kSize, kGap, std::numeric_limits<float>::quiet_NaN());
    std::fill_n(c, kSize * kSize, 7.0f);
  }
  vaccel_status multiply(const Session& session, double beta = 0,
                         const vaccel_call_options* options = nullptr) const {
    return vaccel_gemm(session.get(), VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE,
                       VACCEL_NO_TRANSPOSE, kSize, kSize, kSize, 1, a, kSize + kGap, b, kSize, beta, c, kSize,
                       options);
  }
  [[nodiscard]] bool c_is(float value) const {
    return std::all_of(c, c + kSize * kSize, [&](float one) { return one == value; });
  }

  float* a;
  float* b;
  float* c;
};

TEST(LinearAlgebraBuffers, AreUsedWhereTheyLie) {
  // So little memory for everything else that a copy of any of the three would not fit, on whatever way it travels.
  const AgentProcess agent({.limits = "segment_bytes = 1048576",
                            .more = "[window]\nmax_leased_bytes = \"4M\"\n",
                            .all_backends = true});
  const Session session(agent.endpoint());
  std::vector<float> elsewhere(Ones::kCount);
  const Ones copied(elsewhere);
  const auto buffer = session.allocate(4 << 20);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  EXPECT_EQ(copied.multiply(session), VACCEL_RESOURCE_EXHAUSTED) << vaccel_error_message();
  EXPECT_TRUE(copied.c_is(7)) << "a result was touched by a call that failed";
  const auto memory = memory_of(buffer.value);
  const Ones shared({reinterpret_cast<float*>(memory.data()), Ones::kCount});
  ASSERT_EQ(shared.multiply(session), VACCEL_OK) << vaccel_error_message();
  EXPECT_TRUE(shared.c_is(Ones::kSize));
  ASSERT_EQ(shared.multiply(session, 2), VACCEL_OK) << vaccel_error_message();
  EXPECT_TRUE(shared.c_is(3 * Ones::kSize)) << "c is read and written in one place";
}

TEST(LinearAlgebraBuffers, ThatOverlapAreRefused) {
  const AgentProcess agent;
  const Session session(agent.endpoint());
  const auto buffer = session.allocate(4 << 20);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  Ones ones({reinterpret_cast<float*>(memory_of(buffer.value).data()), Ones::kCount});
  ones.c = ones.b + 1;
  EXPECT_EQ(ones.multiply(session), VACCEL_INVALID_ARGUMENT);
  EXPECT_NE(std::string(vaccel_error_message()).find("overlaps input 'b'"), std::string::npos)
      << vaccel_error_message();
}

TEST(LinearAlgebraFailures, LeaveTheResultAlone) {
  AgentProcess agent;
  const Session session(agent.endpoint());
  std::vector<float> memory(Ones::kCount);
  const Ones ones(memory);
  const auto late = within_us(1);
  EXPECT_EQ(ones.multiply(session, 0, &late), VACCEL_DEADLINE_EXCEEDED);
  EXPECT_TRUE(ones.c_is(7));
  agent.stop();
  EXPECT_EQ(ones.multiply(session), VACCEL_UNAVAILABLE);
  EXPECT_TRUE(ones.c_is(7));
  agent.start();
  EXPECT_EQ(ones.multiply(session), VACCEL_OK) << vaccel_error_message();
  EXPECT_TRUE(ones.c_is(Ones::kSize));
}

// What a guest changes while it is read makes its own result wrong, and nothing else.
TEST(LinearAlgebraBuffers, MayBeWrittenToMeanwhile) {
  const AgentProcess agent({.all_backends = true});
  const Session session(agent.endpoint());
  const Session other(agent.endpoint());
  const auto buffer = session.allocate(4 << 20);
  ASSERT_TRUE(buffer.ok()) << buffer.text();
  const auto memory = memory_of(buffer.value);
  const Ones ones({reinterpret_cast<float*>(memory.data()), Ones::kCount});
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    auto* bytes = reinterpret_cast<volatile uint32_t*>(memory.data());
    for (uint32_t value = 1; !done; value = value * 1664525 + 1013904223)
      bytes[value % Ones::kCount] = value;
  });
  std::vector<float> own(Ones::kCount);
  const Ones untouched(own);
  for (int turn = 0; turn < 20; ++turn) {
    ASSERT_EQ(ones.multiply(session, 1), VACCEL_OK) << vaccel_error_message();
    ASSERT_EQ(untouched.multiply(other), VACCEL_OK) << vaccel_error_message();
    ASSERT_TRUE(untouched.c_is(Ones::kSize));
  }
  done = true;
}

TEST(LinearAlgebraThreads, MayShareASession) {
  const AgentProcess agent({.all_backends = true});
  const Session session(agent.endpoint());
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      std::vector<float> memory(Ones::kCount);
      const Ones ones(memory);
      for (int turn = 0; turn < 10; ++turn) {
        ASSERT_EQ(ones.multiply(session), VACCEL_OK) << vaccel_error_message();
        ASSERT_TRUE(ones.c_is(Ones::kSize));
      }
    });
  }
}

}  // namespace
}  // namespace vaccel::integration
