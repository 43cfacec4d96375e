// SPDX-License-Identifier: Apache-2.0
//
// Tenants that load an agent at the same time: what each asks for, and what it gets. A client is a session and a thread
// that calls an operator of known cost, one call after the other; a tenant that wants more of the worker has more clients.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "session.h"

namespace vaccel::bench {

/// A tenant, by where it connects.
struct TenantLoad {
  std::string endpoint;
  size_t clients = 1;
  /// Of each client, at random moments; 0: the next one when the last one was answered.
  double calls_per_second = 0;
};

/// What a tenant got while all of them called.
struct TenantFigures {
  double calls_per_second = 0;
  /// Nanoseconds of each call: from when it was wanted, which is before its turn where its client was still waiting for
  /// the one before it.
  std::vector<double> latencies;
};

/// Sessions of some tenants, which can be made to call again and again.
class TenantClients {
 public:
  /// Connects them all.
  /// @param call  What a client does.
  TenantClients(std::vector<TenantLoad> tenants, std::function<void(const Session&)> call);

  /// All tenants call for so long, after a start of a tenth of it that is not counted. Throws when a call fails.
  [[nodiscard]] std::vector<TenantFigures> run(double seconds) const;

 private:
  std::vector<TenantLoad> tenants_;
  std::function<void(const Session&)> call_;
  std::vector<std::vector<std::unique_ptr<Session>>> sessions_;  // of each tenant
};

}  // namespace vaccel::bench
