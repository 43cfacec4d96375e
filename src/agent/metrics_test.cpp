// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics.h"

#include <gtest/gtest.h>

#include "agent/metrics_text.h"

namespace vaccel::agent {
namespace {

std::string text_of(const Metrics& metrics) {
  return metrics_text(metrics, {}, {}, "1.2.3");
}

bool has_line(const std::string& text, const std::string& line) {
  return text.find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, ACallCountsOnceAndItsStagesWhereTheyBelong) {
  Metrics metrics;
  CallMetrics& calls = metrics.add_calls(metrics.tenant("acme"), "classify", "mobilenet");
  vaccel_timings timings{};
  timings.agent_ns = 2'500'000;
  timings.queue_ns = 10'000;
  timings.worker_ns = 2'000'001;
  timings.infer_ns = 1'000'000;
  calls.ended(VACCEL_OK, timings, 4);
  calls.ended(VACCEL_CANCELLED);
  const std::string text = text_of(metrics);
  const std::string kind = R"(operator="classify",model="mobilenet")";
  EXPECT_TRUE(has_line(text, R"(vaccel_calls_total{tenant="acme",)" + kind + R"(,code="OK"} 1)")) << text;
  EXPECT_TRUE(has_line(text, R"(vaccel_calls_total{tenant="acme",)" + kind + R"(,code="CANCELLED"} 1)"));
  const std::string bucket = "vaccel_stage_duration_seconds_bucket{stage=";
  // A bound belongs to its bucket: one nanosecond more does not.
  EXPECT_TRUE(has_line(text, bucket + R"("queue",)" + kind + R"(,le="0.00001"} 1)")) << text;
  EXPECT_TRUE(has_line(text, bucket + R"("infer",)" + kind + R"(,le="0.0005"} 0)"));
  EXPECT_TRUE(has_line(text, bucket + R"("infer",)" + kind + R"(,le="0.001"} 1)"));
  EXPECT_TRUE(has_line(text, bucket + R"("worker",)" + kind + R"(,le="+Inf"} 1)"));
  EXPECT_TRUE(
      has_line(text, R"(vaccel_stage_duration_seconds_sum{stage="worker",)" + kind + "} 0.002000001"));
  EXPECT_EQ(text.find(R"(stage="decode")"), std::string::npos) << "a stage that did not happen";
  EXPECT_TRUE(has_line(text, R"(vaccel_call_duration_seconds_count{tenant="acme"} 1)"));
  EXPECT_TRUE(has_line(text, "vaccel_batch_size_bucket{" + kind + R"(,le="2"} 0)"));
  EXPECT_TRUE(has_line(text, "vaccel_batch_size_bucket{" + kind + R"(,le="4"} 1)"));
}

TEST(Metrics, SeriesAreBoundedAndNothingIsLost) {
  Metrics metrics;
  for (size_t index = 0; index < kMostTenantSeries + 10; ++index)
    metrics.tenant("tenant" + std::to_string(index)).sessions_opened = 1;
  EXPECT_EQ(metrics.tenants().size(), kMostTenantSeries + 1);
  EXPECT_EQ(&metrics.tenant("one more"), &metrics.tenant("another"));
  EXPECT_EQ(metrics.tenant("one more").name, kOtherName);
  EXPECT_EQ(metrics.tenant("").name, "default");

  TenantMetrics& tenant = metrics.tenant("");
  constexpr size_t kCalls = kMostCallSeries + 10;
  for (size_t index = 0; index < kCalls; ++index)
    metrics.add_calls(tenant, "operator" + std::to_string(index), "").ended(VACCEL_OK);
  EXPECT_EQ(metrics.calls().at(&tenant).size(), kMostCallSeries + 1);
  EXPECT_EQ(metrics.kinds().size(), kMostKindSeries + 1);
  uint64_t counted = 0;
  for (const auto& [key, calls] : metrics.calls().at(&tenant))
    counted += calls->by_code[VACCEL_OK];
  EXPECT_EQ(counted, kCalls);
  EXPECT_EQ(tenant.calls, kCalls);
}

TEST(Metrics, LabelsAreEscaped) {
  Metrics metrics;
  metrics.tenant("a\"b\\c\nd").sessions = 3;
  EXPECT_TRUE(has_line(text_of(metrics), R"(vaccel_sessions{tenant="a\"b\\c\nd"} 3)")) << text_of(metrics);
}

}  // namespace
}  // namespace vaccel::agent
