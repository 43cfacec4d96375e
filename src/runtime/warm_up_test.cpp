// SPDX-License-Identifier: Apache-2.0
#include "runtime/warm_up.h"

#include <gtest/gtest.h>

#include "runtime/runtime_testing.h"

namespace vaccel::runtime {
namespace {

TEST(WarmUp, EveryRealModelTakesZeros) {
  const auto catalogue = testing::real_catalogue();
  if (!std::filesystem::exists(catalogue / "mobilenet")) GTEST_SKIP() << "skipped: no " << catalogue;
  const auto runtime = testing::make_runtime(catalogue);
  for (const char* name : {"mobilenet", "mobilenet-batch", "ssd-mobilenet", "mobilenet-tflite"}) {
    const auto model = runtime->open_model(name);
    if (!model) continue;  // its backend is not there
    const Status status = warm_up(*runtime, **model);
    EXPECT_TRUE(status.ok()) << name << ": " << status.message();
    runtime->close_model(*model);
  }
  const auto model = runtime->open_model("mobilenet");
  ASSERT_TRUE(model) << model.error().message();
  EXPECT_TRUE(warm_up(*runtime, **model).ok()) << "and again";
  runtime->close_model(*model);
}

}  // namespace
}  // namespace vaccel::runtime
