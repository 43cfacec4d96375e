// SPDX-License-Identifier: Apache-2.0
//
// The agent: listens, makes a session of each connection, and owns the workers. It is what main wires
// together and runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/log.h"
#include "agent/reactor.h"
#include "agent/session.h"
#include "agent/worker_slot.h"
#include "channel/socket.h"
#include "runtime/catalogue.h"

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

  Reactor& reactor() override { return reactor_; }
  Log& log() override { return log_; }
  const Limits& limits() const override { return config_.limits; }
  const runtime::Catalogue& catalogue() const override { return catalogue_; }
  WorkerSlot& worker_for(const std::string& model) override;
  const std::vector<std::unique_ptr<WorkerSlot>>& workers() const override { return workers_; }
  void session_ended(uint64_t id) override;

 private:
  struct Listener {
    channel::Endpoint endpoint;
    channel::ListeningSocket socket;
    Reactor::TimerId pause;
  };

  Status listen(const channel::Endpoint& endpoint);
  void accept(Listener& listener);
  void worker_ready(Status status);
  void finish_if_drained();

  Reactor& reactor_;
  Log& log_;
  const Config config_;
  const runtime::Catalogue catalogue_;
  const std::vector<std::string> worker_arguments_;
  std::vector<std::unique_ptr<WorkerSlot>> workers_;  // before sessions_: they hold memory of these
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::move_only_function<void(Status)> on_ready_;
  size_t workers_awaited_ = 0;
  uint64_t next_session_ = 1;
  bool shutting_down_ = false;
};

}  // namespace vaccel::agent
