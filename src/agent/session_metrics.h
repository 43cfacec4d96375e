// SPDX-License-Identifier: Apache-2.0
//
// Where one session counts: its tenant's figures, and those of the calls that it makes, found anew only when it calls
// something else than last time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/metrics.h"
#include "agent/worker_slot.h"

namespace vaccel::agent {

class SessionMetrics {
 public:
  /// Counts as one open session of the tenant's from now on. Both must outlive it.
  SessionMetrics(Metrics& metrics, Tenant& tenant);
  ~SessionMetrics() { --tenant_.sessions; }
  SessionMetrics(const SessionMetrics&) = delete;
  SessionMetrics& operator=(const SessionMetrics&) = delete;

  [[nodiscard]] TenantMetrics& tenant() { return tenant_; }
  void refused(Refusal reason) {
    ++tenant_.refused[static_cast<size_t>(reason)];
    ++totals_.refused;
  }
  void protocol_error() { ++tenant_.protocol_errors; }
  void count_bytes(uint64_t copied, uint64_t in_windows) {
    tenant_.copied_bytes += copied;
    tenant_.window_bytes += in_windows;
    totals_.copied_bytes += copied;
    totals_.window_bytes += in_windows;
  }

  using Workers = std::vector<std::unique_ptr<WorkerSlot>>;
  /// Where calls of an operator with a model count. @param operator_name  A client's word: it counts under its own name only
  /// if a worker knows it. @param model  Of the catalogue, or "".
  CallFigures calls_of(const std::string& operator_name, const std::string& model, const Workers& workers) {
    const bool is_last = last_.series != nullptr && operator_name == last_operator_ && model == last_model_;
    return is_last ? last_ : find(operator_name, model, workers);
  }

 private:
  CallFigures find(const std::string& operator_name, const std::string& model, const Workers& workers);

  Metrics& metrics_;
  TenantMetrics& tenant_;
  Totals& totals_;
  CallFigures last_;
  std::string last_operator_;
  std::string last_model_;
};

}  // namespace vaccel::agent
