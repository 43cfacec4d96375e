// SPDX-License-Identifier: Apache-2.0
//
// The agent: listens, makes a session of each connection, attaches VMs, and owns the workers. It is what main wires
// together and runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent_state.h"
#include "agent/config.h"
#include "agent/log.h"
#include "agent/metrics.h"
#include "agent/reactor.h"
#include "agent/session.h"
#include "agent/worker_slot.h"
#include "channel/socket.h"
#include "runtime/catalogue.h"
#include "wire/messages.h"

namespace vaccel::agent {

class Agent final : public SessionHost {
 public:
  /// @param worker_arguments  What each worker is given besides its own: where the configuration is.
  Agent(Reactor& reactor, Log& log, Config config, runtime::Catalogue catalogue,
        std::vector<std::string> worker_arguments);
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
  /// How things stand; of VMs, those from number `start` on that go into one body.
  [[nodiscard]] wire::StatusReport status(uint32_t start) const;
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
  void session_ended(uint64_t id) override;
  void window_ended(uint32_t number) override;

 private:
  struct Listener {
    channel::Endpoint endpoint;
    std::shared_ptr<Vm> vm;  // whose endpoint it is; null: anybody's
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

  Status listen(const channel::Endpoint& endpoint, std::shared_ptr<Vm> vm = nullptr);
  void stop_listening(Listener& listener);
  void accept(Listener& listener);
  [[nodiscard]] Origin origin_of(const Listener& listener, int socket) const;
  void erase_session(uint64_t id);

  Status find_conflict(const wire::AttachVm& wanted) const;
  Result<std::shared_ptr<Vm>> make_vm(const wire::AttachVm& wanted);
  void attached(const std::shared_ptr<Vm>& vm);
  void lose_patience(const std::string& name);
  void go_on_detaching(const std::string& name);
  void worker_ready(Status status);
  void finish_if_drained();

  Reactor& reactor_;
  Log& log_;
  const Config config_;
  const runtime::Catalogue catalogue_;
  const std::vector<std::string> worker_arguments_;
  Metrics metrics_;                                   // before all that count in it
  std::vector<std::unique_ptr<WorkerSlot>> workers_;  // before sessions_: they hold memory of these
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
