// SPDX-License-Identifier: Apache-2.0
//
// The control socket: where the operator (vaccelctl) attaches and detaches VMs and asks how things stand. The same
// frames as everywhere, with kinds of their own; who may connect is decided by the file's mode, so only root and the
// agent's own user can. No session, no call and no model is ever seen here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "agent/agent.h"
#include "agent/log.h"
#include "agent/reactor.h"
#include "channel/socket.h"

namespace vaccel::agent {

class Control {
 public:
  /// `agent` must outlive it.
  Control(Reactor& reactor, Log& log, Agent& agent);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Listens on a unix socket of mode 0600.
  Status listen(const std::string& path);

 private:
  class Client;

  void accept();
  void client_ended(uint64_t id);

  Reactor& reactor_;
  Log& log_;
  Agent& agent_;
  channel::ListeningSocket socket_;
  Reactor::TimerId pause_;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_client_ = 1;
};

}  // namespace vaccel::agent
