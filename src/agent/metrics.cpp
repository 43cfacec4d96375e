// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics.h"

#include "agent/tenant_settings.h"

namespace vaccel::agent {
namespace {

constexpr std::array<const char*, kStages> kStageNames{"queue", "worker",      "decode", "prepare",
                                                       "infer", "postprocess", "agent"};
constexpr std::array<const char*, kRefusals> kRefusalNames{
    "sessions",    "limit",     "rate",       "queue",   "deadline", "shutting_down",
    "unavailable", "not_found", "permission", "invalid", "other"};
constexpr std::array<const char*, kWorkerEnds> kWorkerEndNames{"exit",  "signal", "protocol",
                                                               "start", "hang",   "stopped"};

}  // namespace

const char* name_of(Stage stage) {
  return kStageNames[static_cast<size_t>(stage)];
}

const char* name_of(Refusal reason) {
  return kRefusalNames[static_cast<size_t>(reason)];
}

const char* name_of(WorkerEnd reason) {
  return kWorkerEndNames[static_cast<size_t>(reason)];
}

Refusal refusal_of(vaccel_status code) {
  switch (code) {
    case VACCEL_RESOURCE_EXHAUSTED:
      return Refusal::kLimit;
    case VACCEL_DEADLINE_EXCEEDED:
      return Refusal::kDeadline;
    case VACCEL_UNAVAILABLE:
      return Refusal::kUnavailable;
    case VACCEL_NOT_FOUND:
      return Refusal::kNotFound;
    case VACCEL_PERMISSION_DENIED:
      return Refusal::kPermission;
    case VACCEL_INVALID_ARGUMENT:
      return Refusal::kInvalid;
    default:
      return Refusal::kOther;
  }
}

// A stage that took no time did not happen: a matrix is not decoded.
void CallMetrics::ended(vaccel_status code, const vaccel_timings& timings, uint32_t batch) {
  ended(code);
  tenant.queue_wait.add(timings.queue_ns, kDurationBounds);
  tenant.call_duration.add(timings.agent_ns, kDurationBounds);
  const auto add = [this](Stage stage, uint64_t ns) {
    if (ns > 0) kind.stages[static_cast<size_t>(stage)].add(ns, kDurationBounds);
  };
  add(Stage::kQueue, timings.queue_ns);
  add(Stage::kAgent, timings.agent_ns);
  if (code != VACCEL_OK) return;  // how far it came, nobody has told
  add(Stage::kWorker, timings.worker_ns);
  add(Stage::kDecode, timings.decode_ns);
  add(Stage::kPrepare, timings.prepare_ns);
  add(Stage::kInfer, timings.infer_ns);
  add(Stage::kPostprocess, timings.postprocess_ns);
  kind.batches.add(batch, kBatchBounds);
}

// The default tenant and the one for all that are too many are there from the start, so that they cannot be crowded out.
Metrics::Metrics() {
  tenant(kDefaultTenant);
}

TenantMetrics& Metrics::tenant(std::string_view name) {
  if (name.empty()) name = kDefaultTenant;
  if (const auto found = tenants_.find(name); found != tenants_.end()) return *found->second;
  if (tenants_.size() >= kMostTenantSeries && name != kOtherName) return tenant(kOtherName);
  auto made = std::make_unique<TenantMetrics>();
  made->name = name;
  return *tenants_.emplace(made->name, std::move(made)).first->second;
}

CallMetrics* Metrics::find_calls(const TenantMetrics& tenant, std::string_view operator_name,
                                 std::string_view model) {
  const auto of_tenant = calls_.find(&tenant);
  if (of_tenant == calls_.end()) return nullptr;
  const auto found = of_tenant->second.find(std::pair{operator_name, model});
  return found != of_tenant->second.end() ? found->second.get() : nullptr;
}

KindMetrics& Metrics::kind(std::string_view operator_name, std::string_view model) {
  if (const auto found = kinds_.find(std::pair{operator_name, model}); found != kinds_.end())
    return *found->second;
  if (kinds_.size() >= kMostKindSeries && operator_name != kOtherName) return kind(kOtherName, kOtherName);
  auto made = std::make_unique<KindMetrics>();
  made->operator_name = operator_name;
  made->model = model;
  return *kinds_.emplace(CallKey{operator_name, model}, std::move(made)).first->second;
}

CallMetrics& Metrics::add_calls(TenantMetrics& tenant, std::string_view operator_name,
                                std::string_view model) {
  if (CallMetrics* known = find_calls(tenant, operator_name, model)) return *known;
  // One more for each tenant, at most: what is beyond the others.
  if (call_series_ >= kMostCallSeries && operator_name != kOtherName)
    return add_calls(tenant, kOtherName, kOtherName);
  ++call_series_;
  auto made = std::make_unique<CallMetrics>(CallMetrics{tenant, kind(operator_name, model), {}});
  return *calls_[&tenant].emplace(CallKey{operator_name, model}, std::move(made)).first->second;
}

Totals& Metrics::model_totals(std::string_view model) {
  const auto known = models_.find(model);
  return known != models_.end() ? known->second : models_[std::string(model)];
}

void Metrics::model_loaded(const std::string& model, bool ok) {
  LoadMetrics& load = loads_[model];
  ++(ok ? load.loaded : load.failed);
}

}  // namespace vaccel::agent
