// SPDX-License-Identifier: Apache-2.0
//
// The agent: listens, makes a session of each connection, attaches VMs, and owns the workers. It is what main wires
// together and runs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent_state.h"
#include "agent/config.h"
#include "agent/log.h"
#include "agent/metrics.h"
#include "agent/own_workers.h"
#include "agent/quarantine.h"
#include "agent/reactor.h"
#include "agent/session.h"
#include "agent/tenant.h"
#include "agent/vm_watch.h"
#include "agent/worker_slot.h"
#include "channel/socket.h"
#include "runtime/catalogue.h"
#include "wire/messages.h"
#include "wire/status_page.h"

namespace vaccel::agent {

class Agent final : public SessionHost {
 public:
  /// Reads the configuration again, flags and all.
  using ReadAgain = std::function<Result<Config>()>;

  /// @param worker_arguments  What each worker is given besides its own: where the configuration is.
  Agent(Reactor& reactor, Log& log, Config config, runtime::Catalogue catalogue,
        std::vector<std::string> worker_arguments, ReadAgain read_again);
  ~Agent() override;

  /// Listens and starts the workers. `ready` is called once: when all workers run, or with why not.
  Status start(std::move_only_function<void(Status)> ready);
  /// Stops listening, lets calls in flight finish, then stops the reactor. A second time: stops at once.
  void shut_down();

  /// Attaches a VM: listens on its endpoint, or knows it by its CID from now on, and makes or takes over its window.
  /// `done` is called once, with what the VMM is given as the window's file, or with why not: at once, or when the
  /// window's memory has been taken.
  void attach(const wire::AttachVm& wanted, std::move_only_function<void(Result<wire::VmAttached>)> done);
  /// Detaches a VM: nobody can connect from it any more, its sessions end when their calls are answered, and then the
  /// window is let go. `done` is called once: when that has come about, or with why it cannot.
  void detach(const std::string& name, std::move_only_function<void(Status)> done);
  /// Reads the configuration again, and takes what can be changed while sessions go on. A bad file changes nothing.
  /// @return what could not be changed, lines.
  Result<std::string> reload();
  [[nodiscard]] Tenants& tenants() { return tenants_; }
  /// Lets a model, or "operator NAME", be used again that has ended workers. @return whether anything was held against it.
  bool release(const std::string& subject);
  /// How things stand, with the part of a list that is asked for and goes into one body.
  [[nodiscard]] wire::StatusReport status(const wire::ReadStatus& read) const;
  /// All of it that is now, and what it has done until now.
  [[nodiscard]] AgentState state() const;
  [[nodiscard]] const Metrics& metrics() const { return metrics_; }
  /// UNAVAILABLE: why models cannot be served at present.
  [[nodiscard]] Status readiness() const;

  Reactor& reactor() override { return reactor_; }
  Log& log() override { return log_; }
  const Limits& limits() const override { return config_.limits; }
  Traffic& traffic() override { return traffic_; }
  Metrics& metrics() override { return metrics_; }
  const runtime::Catalogue& catalogue() const override { return catalogue_; }
  WorkerSlot& worker_for(const std::string& model) override;
  const std::vector<std::unique_ptr<WorkerSlot>>& workers() const override { return workers_; }
  const UploadStore& uploads() const override { return uploads_; }
  Result<WorkerSlot*> own_worker(const std::string& tenant) override;
  void session_ended(uint64_t id) override;
  void window_ended(uint32_t number) override;

 private:
  struct Listener {
    channel::Endpoint endpoint;
    std::shared_ptr<Vm> vm;  // whose endpoint it is; null: no VM's
    std::string tenant;      // whose it is; "": anybody's
    channel::ListeningSocket socket;
    Reactor::TimerId pause;
  };

  struct AttachedVm {
    std::shared_ptr<Vm> vm;
    std::weak_ptr<Window> window;  // tells whether it has ended
    std::move_only_function<void(Result<wire::VmAttached>)>
        on_attached;  // until the window's memory is taken
    bool detaching = false;
    std::move_only_function<void(Status)> on_detached = {};
    Reactor::TimerId patience = {};
  };

  Status listen(const channel::Endpoint& endpoint, std::shared_ptr<Vm> vm = nullptr, std::string tenant = {});
  Status listen_for_tenants();
  [[nodiscard]] WorkerSlot::Options options_of(uint32_t index);
  [[nodiscard]] ModelSettings settings_of(const std::string& model) const;
  /// The shared ones, and tenants' own.
  [[nodiscard]] std::vector<const WorkerSlot*> all_workers() const;
  void preload();
  void tell_of_jail();
  void take_catalogue(runtime::Catalogue catalogue);
  void apply(Config config);
  void follow_vms(const std::vector<wire::AttachVm>& before, const std::vector<wire::AttachVm>& now);
  void stop_listening(Listener& listener);
  void accept(Listener& listener);
  void begin_session(const Listener& listener, UniqueFd socket);
  [[nodiscard]] std::vector<WorkerSlot*> workers_of(const std::string& model) const;
  [[nodiscard]] Result<Origin> origin_of(const Listener& listener, int socket);
  [[nodiscard]] Result<std::shared_ptr<Tenant>> tenant_of(const Listener& listener, const Vm* vm, int socket);
  void erase_session(uint64_t id);

  Status find_conflict(const wire::AttachVm& wanted) const;
  Result<std::shared_ptr<Vm>> make_vm(const wire::AttachVm& wanted);
  void attached(const std::shared_ptr<Vm>& vm);
  void lose_patience(const std::string& name);
  void go_on_detaching(const std::string& name);
  void tell_tenants(wire::StatusReport& report, wire::StatusPage& page) const;
  void tell_models(wire::StatusReport& report, wire::StatusPage& page) const;
  void tell_workers(wire::StatusReport& report, wire::StatusPage& page) const;
  void worker_ready(Status status);
  void finish_if_drained();

  Reactor& reactor_;
  Log& log_;
  Config config_;
  runtime::Catalogue catalogue_;
  const std::vector<std::string> worker_arguments_;
  const ReadAgain read_again_;
  jail::Jail jail_;  // before workers_, which are started in it
  UploadStore uploads_;
  Tenants tenants_;
  const std::shared_ptr<Tenant> nobody_ =
      std::make_shared<Tenant>("", TenantSettings{});  // of who is turned away
  Quarantine quarantine_;
  VmWatch vm_watch_;
  Metrics metrics_;                                   // before all that count in it
  std::vector<std::unique_ptr<Log>> worker_logs_;     // before workers_, which write to them
  std::vector<std::unique_ptr<WorkerSlot>> workers_;  // before sessions_: they hold memory of these
  OwnWorkers own_workers_;                            // likewise
  std::map<std::string, AttachedVm> vms_;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::move_only_function<void(Status)> on_ready_;
  size_t workers_awaited_ = 0;
  uint64_t next_session_ = 1;
  bool shutting_down_ = false;
  bool ending_ = false;
  Traffic traffic_;
};

}  // namespace vaccel::agent
