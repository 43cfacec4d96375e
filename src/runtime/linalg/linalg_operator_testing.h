// SPDX-License-Identifier: Apache-2.0
//
// Tests of linear algebra through the runtime, once for each backend and type.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>

#include "runtime/linalg/linalg_testing.h"
#include "runtime/runtime_testing.h"
#include "vaccel/backend.h"

namespace vaccel::runtime::testing {

struct BackendAndType {
  std::string backend;
  vaccel_dtype dtype;
};

inline std::vector<std::string> linalg_backends() {
  return {"cuda", "openblas", "opencl", "reference"};
}

inline auto every_backend_and_type() {
  std::vector<BackendAndType> all;
  for (const std::string& backend : linalg_backends()) {
    for (const vaccel_dtype dtype : linalg_testing::kTypes)
      all.push_back({backend, dtype});
  }
  return ::testing::ValuesIn(all);
}

inline std::string name_of_parameter(const ::testing::TestParamInfo<BackendAndType>& info) {
  return info.param.backend + "_" + dtype_name(info.param.dtype);
}

class LinalgTest : public ::testing::TestWithParam<BackendAndType> {
 protected:
  static void SetUpTestSuite() {
    if (runtime_ == nullptr) runtime_ = make_runtime("");
  }
  // Before the process ends: drivers have destructors of their own, and theirs may come first.
  static void TearDownTestSuite() { runtime_.reset(); }

  static Runtime& runtime() { return *runtime_; }
  [[nodiscard]] static vaccel_dtype dtype() { return GetParam().dtype; }
  [[nodiscard]] static const char* backend() { return GetParam().backend.c_str(); }

  void SetUp() override {
    const std::string why = why_not(*runtime_, GetParam().backend);
    if (!why.empty()) GTEST_SKIP() << "skipped: " << why;
  }

  /// Whether the backend offers this; which ones do is no matter of these tests.
  static bool does(vaccel_linalg_operation operation) {
    static const std::map<vaccel_linalg_operation, std::pair<const char*, int>> kNamesAndInputs = {
        {VACCEL_LINALG_GEMM, {"gemm", 2}}, {VACCEL_LINALG_GEMV, {"gemv", 2}},
        {VACCEL_LINALG_AXPY, {"axpy", 2}}, {VACCEL_LINALG_SCAL, {"scal", 1}},
        {VACCEL_LINALG_DOT, {"dot", 2}},   {VACCEL_LINALG_NRM2, {"nrm2", 1}},
        {VACCEL_LINALG_ADD, {"add", 2}},   {VACCEL_LINALG_COPY, {"copy", 1}},
        {VACCEL_LINALG_MIN, {"min", 1}},   {VACCEL_LINALG_MAX, {"max", 1}}};
    const auto& [name, inputs] = kNamesAndInputs.at(operation);
    const linalg_testing::Elements one(dtype(), std::vector<double>{1});
    TestCall probe(name);
    probe.backend(backend());
    const bool on_matrices = operation == VACCEL_LINALG_GEMM || operation == VACCEL_LINALG_GEMV;
    for (int count = 0; count < inputs; ++count)
      probe.input(nullptr, dtype(), on_matrices ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{1},
                  one.bytes());
    const vaccel_status status = probe.run(*runtime_);
    EXPECT_TRUE(status == VACCEL_OK || status == VACCEL_UNIMPLEMENTED) << probe.sentence;
    return status == VACCEL_OK;
  }

 private:
  static inline std::unique_ptr<Runtime> runtime_;  // frameworks start slowly: one for all
};

}  // namespace vaccel::runtime::testing
