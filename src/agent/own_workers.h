// SPDX-License-Identifier: Apache-2.0
//
// Workers of tenants that have brought models: each tenant's own, in a jail with its models and no others, while somebody needs it.
// What a hostile model does to it is its tenant's loss alone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/upload_store.h"
#include "agent/worker_slot.h"
#include "jail/jail.h"

namespace vaccel::agent {

class OwnWorkers {
 public:
  /// What they have in common with others. @param config, store, metrics  outlive this.
  OwnWorkers(Reactor& reactor, Log& log, const Config& config, const UploadStore& store, Metrics& metrics,
             std::vector<std::string> arguments);

  /// A tenant's; made when it is first asked for. UNIMPLEMENTED: models of tenants' own are not allowed here; UNAVAILABLE.
  Result<WorkerSlot*> of(const std::string& tenant);
  /// Each there is.
  void visit(const std::function<void(WorkerSlot&)>& visit);
  void visit(const std::function<void(const WorkerSlot&)>& visit) const;
  /// As Quarantine::release(), of any of them.
  bool release(const std::string& subject);
  void stop();

 private:
  struct Own {
    std::unique_ptr<Quarantine> quarantine;  // its own: names of its models mean nothing to others
    std::unique_ptr<jail::Jail> jail;        // before the slot, which refers to it
    std::unique_ptr<Log> log;                // likewise
    std::unique_ptr<WorkerSlot> slot;
  };

  Reactor& reactor_;
  Log& log_;
  const Config& config_;
  const UploadStore& store_;
  Metrics& metrics_;
  const std::vector<std::string> arguments_;
  std::map<std::string, Own> workers_;  // by tenant
};

}  // namespace vaccel::agent
