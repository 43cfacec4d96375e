// SPDX-License-Identifier: Apache-2.0
//
// What the session admits: whether a call may be made at all, by this tenant and now.
#include <algorithm>

#include "agent/session.h"
#include "core/clock.h"

namespace vaccel::agent {

Result<std::string> Session::model_of(const wire::Call& call) const {
  if (call.model == 0) return std::string{};
  const auto model = models_.find(call.model);
  if (model == models_.end()) {
    return fail(VACCEL_NOT_FOUND, "model handle %u is none of this session's open models", call.model);
  }
  // Since it was opened the operator may have thought better of it.
  if (!may_use(model->second.name)) {
    return fail(VACCEL_PERMISSION_DENIED, "tenant '%s' may not use model '%s' any more",
                origin_.tenant->name().c_str(), model->second.name.c_str());
  }
  return model->second.name;
}

Status Session::admit(const wire::Call& call, uint64_t request_id, uint64_t payload_bytes) {
  const Limits& limits = host_.limits();
  Tenant& tenant = *origin_.tenant;
  if (draining_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  if (calls_.contains(request_id)) {
    return failure(VACCEL_PROTOCOL_ERROR, "request %llu is still in flight",
                   static_cast<unsigned long long>(request_id));
  }
  if (const size_t count = calls_.size() + given_up_; count >= limits.max_calls_in_flight) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "%zu calls of this session are in flight; the limit is %u",
                   count, limits.max_calls_in_flight)
        .with_retry_after(tenant.next_done_us());
  }
  if (call.operator_name.empty()) return failure(VACCEL_INVALID_ARGUMENT, "the call names no operator");
  const bool own =
      call.operator_name == kEcho || call.operator_name == kDiscard || is_upload_operator(call.operator_name);
  if (!own && !tenant.settings().operators.allows(call.operator_name)) {
    return failure(VACCEL_PERMISSION_DENIED, "tenant '%s' may not use operator '%s'", tenant.name().c_str(),
                   printable(call.operator_name).c_str());
  }
  if (Status status = tenant.count_call(now_ns()); !status.ok()) {
    refused_for_ = Refusal::kRate;
    return status;
  }
  return admit_bytes(payload_bytes);
}

// Of memory that the call takes in agent and worker.
Status Session::admit_bytes(uint64_t payload_bytes) const {
  const Limits& limits = host_.limits();
  if (payload_bytes > limits.max_payload_bytes) {
    return failure(VACCEL_RESOURCE_EXHAUSTED, "a payload of %llu bytes is over this agent's limit of %llu",
                   static_cast<unsigned long long>(payload_bytes),
                   static_cast<unsigned long long>(limits.max_payload_bytes));
  }
  const uint64_t held = bytes_in_flight_ + channel_.unsent_bytes();
  if (payload_bytes >
      limits.max_session_bytes_in_flight - std::min(held, limits.max_session_bytes_in_flight)) {
    return failure(
        VACCEL_RESOURCE_EXHAUSTED,
        "this session's calls in flight have %llu bytes; with %llu more it would be over the limit of %llu",
        static_cast<unsigned long long>(held), static_cast<unsigned long long>(payload_bytes),
        static_cast<unsigned long long>(limits.max_session_bytes_in_flight));
  }
  return {};
}

// The one that runs the model, which is known since it was loaded for the first time.
Status Session::permit_backend_of(const std::string& model, const Permission& permission) const {
  std::string backend;
  if (is_own_model(model)) {
    if (const auto worker = host_.own_worker(origin_.tenant->name())) backend = (*worker)->backend_of(model);
  }
  for (const auto& worker : host_.workers()) {
    if (backend.empty()) backend = worker->backend_of(model);
  }
  if (permission.allows(backend)) return {};
  return failure(VACCEL_PERMISSION_DENIED,
                 "tenant '%s' may not use backend '%s', which runs model '%s'; name another one",
                 origin_.tenant->name().c_str(), backend.c_str(), model.c_str());
}

// Where a tenant may use some backends only, the agent chooses, as the runtime would, among these.
Status Session::permit_backend(wire::Call& call, const std::string& model, const WorkerSlot& worker) const {
  const Permission& permission = origin_.tenant->settings().backends;
  if (!permission.patterns || (!call.backend.empty() && permission.allows(call.backend))) return {};
  const char* tenant = origin_.tenant->name().c_str();
  if (!call.backend.empty()) {
    return failure(VACCEL_PERMISSION_DENIED, "tenant '%s' may not use backend '%s'", tenant,
                   printable(call.backend).c_str());
  }
  if (!model.empty()) return permit_backend_of(model, permission);
  int32_t best = -1;
  bool any = false;
  for (const wire::OperatorInfo& info : worker.operators()) {
    if (info.name != call.operator_name) continue;
    for (const wire::OperatorBackend& offer : info.backends) {
      any = true;
      if (!permission.allows(offer.name) || offer.score <= best) continue;
      if (offer.dtype != 0 && !call.inputs.empty() && offer.dtype != call.inputs.front().dtype) continue;
      best = offer.score;
      call.backend = offer.name;
    }
  }
  if (!any || best >= 0) return {};  // some operators are no backend's
  return failure(VACCEL_PERMISSION_DENIED, "tenant '%s' may use no backend that has operator '%s'", tenant,
                 printable(call.operator_name).c_str());
}

}  // namespace vaccel::agent
