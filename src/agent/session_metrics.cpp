// SPDX-License-Identifier: Apache-2.0
#include "agent/session_metrics.h"

#include <algorithm>

#include "agent/session.h"

namespace vaccel::agent {
namespace {

bool is_operator(const std::string& name, const SessionMetrics::Workers& workers) {
  if (name == kEcho || name == kDiscard || name == kUpload) return true;
  return std::ranges::any_of(workers, [&](const auto& worker) {
    return std::ranges::find(worker->operators(), name, &wire::OperatorInfo::name) !=
           worker->operators().end();
  });
}

}  // namespace

SessionMetrics::SessionMetrics(Metrics& metrics, std::string_view tenant)
    : metrics_(metrics), tenant_(metrics.tenant(tenant)) {
  ++tenant_.sessions;
  ++tenant_.sessions_opened;
}

// A name that is none of the host's is not remembered, however often it comes.
CallMetrics& SessionMetrics::find(const std::string& operator_name, const std::string& model,
                                  const Workers& workers) {
  CallMetrics* calls = metrics_.find_calls(tenant_, operator_name, model);
  if (calls == nullptr) {
    if (!is_operator(operator_name, workers)) return metrics_.add_calls(tenant_, kUnknownOperator, model);
    calls = &metrics_.add_calls(tenant_, operator_name, model);
  }
  last_ = calls;
  last_operator_ = operator_name;
  last_model_ = model;
  return *calls;
}

}  // namespace vaccel::agent
