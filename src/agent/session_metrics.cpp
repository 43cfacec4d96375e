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

SessionMetrics::SessionMetrics(Metrics& metrics, Tenant& tenant)
    : metrics_(metrics), tenant_(metrics.tenant(tenant.name())), totals_(tenant.totals()) {
  ++tenant_.sessions;
  ++tenant_.sessions_opened;
}

// A name that is none of the host's is not remembered, however often it comes.
CallFigures SessionMetrics::find(const std::string& operator_name, const std::string& model,
                                 const Workers& workers) {
  CallFigures figures{.series = metrics_.find_calls(tenant_, operator_name, model),
                      .tenant = &totals_,
                      .model = model.empty() ? nullptr : &metrics_.model_totals(model)};
  if (figures.series == nullptr) {
    const bool known = is_operator(operator_name, workers);
    figures.series = &metrics_.add_calls(tenant_, known ? operator_name : kUnknownOperator, model);
    if (!known) return figures;
  }
  last_ = figures;
  last_operator_ = operator_name;
  last_model_ = model;
  return figures;
}

}  // namespace vaccel::agent
