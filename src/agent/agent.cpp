// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <sys/epoll.h>

#include <algorithm>
#include <functional>

#include "core/clock.h"

namespace vaccel::agent {
namespace {

/// Connections taken at one go before sessions have their turn.
constexpr int kAcceptsAtOnce = 16;
/// How long a listener rests when descriptors have run out.
constexpr int64_t kAcceptPauseMs = 100;

}  // namespace

Agent::Agent(Reactor& reactor, Log& log, Config config, runtime::Catalogue catalogue,
             std::vector<std::string> worker_arguments)
    : reactor_(reactor),
      log_(log),
      config_(std::move(config)),
      catalogue_(std::move(catalogue)),
      worker_arguments_(std::move(worker_arguments)) {}

Agent::~Agent() {
  ending_ = true;
  for (auto& listener : listeners_)
    stop_listening(*listener);
  for (auto& [name, attached] : vms_)
    reactor_.cancel(attached.patience);
  sessions_.clear();
  reactor_.drop_deferred();  // holds calls of these sessions, and they hold memory of the workers
  for (auto& worker : workers_)
    worker->stop();
}

Status Agent::start(std::move_only_function<void(Status)> ready) {
  for (const auto& [name, entry] : catalogue_.entries()) {
    if (!entry.problem.empty())
      log_.warning("model '%s' cannot be used: %s", name.c_str(), entry.problem.c_str());
  }
  for (const channel::Endpoint& endpoint : config_.listen) {
    if (Status status = listen(endpoint); !status.ok()) return status;
  }
  for (const wire::AttachVm& vm : config_.vms) {
    const auto failed =
        std::make_shared<Status>();  // shared: a window's memory may be taken for long after this
    attach(vm, [this, failed, name = vm.name](Result<wire::VmAttached> attached) {
      if (attached) return;
      log_.error("VM '%s' is not attached: %s", name.c_str(), attached.error().message().c_str());
      *failed = attached.error();
    });
    if (!failed->ok()) return failed->within("attaching VM '" + vm.name + "'");
  }
  on_ready_ = std::move(ready);
  reactor_.set_spin(std::min<int64_t>(channel::default_spin_ns(), int64_t{config_.spin_us} * 1000));
  workers_awaited_ = config_.worker.count;
  for (uint32_t index = 0; index < config_.worker.count; ++index) {
    auto slot = WorkerSlot::create(reactor_, log_,
                                   {.program = config_.worker.program,
                                    .arguments = worker_arguments_,
                                    .threads = config_.worker.threads,
                                    .segment_bytes = config_.limits.segment_bytes,
                                    .index = index,
                                    .spin_us = config_.spin_us,
                                    .metrics = metrics_});
    if (!slot) return slot.error();
    workers_.push_back(std::move(*slot));
  }
  for (auto& worker : workers_)
    worker->start([this](Status status) { worker_ready(std::move(status)); });
  return {};
}

void Agent::worker_ready(Status status) {
  --workers_awaited_;
  if (!on_ready_ || (status.ok() && workers_awaited_ > 0)) return;
  std::exchange(on_ready_, nullptr)(std::move(status));
}

Status Agent::listen(const channel::Endpoint& endpoint, std::shared_ptr<Vm> vm) {
  auto socket = channel::listen_on(endpoint, config_.socket_mode);
  if (!socket) return socket.error();
  listeners_.push_back(std::make_unique<Listener>(Listener{endpoint, std::move(vm), std::move(*socket), {}}));
  Listener& listener = *listeners_.back();
  log_.info("listening on %s", endpoint.text().c_str());
  return reactor_.add(listener.socket.fd(), EPOLLIN, [this, &listener](uint32_t) { accept(listener); });
}

void Agent::stop_listening(Listener& listener) {
  reactor_.cancel(listener.pause);
  reactor_.remove(listener.socket.fd());
}

// Who connects is told by where they connect, and by nothing that they say.
Origin Agent::origin_of(const Listener& listener, int socket) const {
  using Scheme = channel::Endpoint::Scheme;
  Origin origin{.peer = listener.endpoint.text(), .vm = listener.vm, .takes_descriptors = false};
  origin.takes_descriptors = listener.endpoint.scheme == Scheme::kUnix && !listener.vm;
  if (listener.endpoint.scheme == Scheme::kVsock) {
    const uint32_t cid = channel::peer_cid_of(socket);
    origin.peer += " from CID " + std::to_string(cid);
    const auto known = std::ranges::find_if(vms_, [cid](const auto& entry) {
      return cid != 0 && entry.second.vm->cid == cid && !entry.second.detaching;
    });
    if (known != vms_.end()) origin.vm = known->second.vm;
  }
  if (origin.vm) origin.peer += ", VM '" + origin.vm->name + "'";
  return origin;
}

void Agent::accept(Listener& listener) {
  for (int turn = 0; turn < kAcceptsAtOnce; ++turn) {
    auto socket = channel::accept_from(listener.socket.fd());
    if (!socket) {
      log_.warning("%s: %s", listener.endpoint.text().c_str(), socket.error().message().c_str());
      // The connection stays in the backlog, and the descriptor readable: look again in a while.
      reactor_.change(listener.socket.fd(), 0);
      listener.pause = reactor_.after_ms(kAcceptPauseMs, [this, &listener] {
        listener.pause = {};
        reactor_.change(listener.socket.fd(), EPOLLIN);
      });
      return;
    }
    if (!socket->valid()) return;
    const bool full = sessions_.size() >= config_.limits.max_sessions;
    const uint64_t id = next_session_++;
    Origin origin = origin_of(listener, socket->get());
    if (origin.vm) ++origin.vm->sessions;
    auto session = std::make_unique<Session>(*this, id, std::move(*socket), std::move(origin));
    Session& started = *session;
    sessions_.emplace(id, std::move(session));
    if (const Status status = started.start(); !status.ok()) {
      log_.warning("session %llu: %s", static_cast<unsigned long long>(id), status.message().c_str());
      session_ended(id);
    } else if (full) {
      started.refuse(failure(VACCEL_RESOURCE_EXHAUSTED, "this agent has its most sessions, %u, open",
                             config_.limits.max_sessions));
    }
  }
}

WorkerSlot& Agent::worker_for(const std::string& model) {
  if (!model.empty()) return *workers_[std::hash<std::string>{}(model) % workers_.size()];
  return **std::ranges::min_element(workers_, {}, [](const auto& worker) { return worker->load(); });
}

void Agent::session_ended(uint64_t id) {
  reactor_.defer([this, id] { erase_session(id); });
}

void Agent::erase_session(uint64_t id) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  const std::shared_ptr<Vm> vm = session->second->origin().vm;
  sessions_.erase(session);
  if (vm) {
    --vm->sessions;
    go_on_detaching(vm->name);
  }
  finish_if_drained();
}

void Agent::window_ended(uint32_t number) {
  if (ending_) return;
  for (auto& worker : workers_)
    worker->drop_window(number);
}

void Agent::shut_down() {
  if (shutting_down_) return reactor_.stop();
  shutting_down_ = true;
  log_.info("shutting down: %zu sessions", sessions_.size());
  for (auto& listener : listeners_)
    stop_listening(*listener);
  listeners_.clear();
  std::vector<Session*> sessions;
  for (auto& [id, session] : sessions_)
    sessions.push_back(session.get());
  for (Session* session : sessions)
    session->drain();
  reactor_.after_ms(config_.limits.shutdown_timeout_ms, [this] {
    log_.warning("%zu sessions did not finish in time", sessions_.size());
    reactor_.stop();
  });
  finish_if_drained();
}

void Agent::finish_if_drained() {
  if (shutting_down_ && sessions_.empty()) reactor_.stop();
}

}  // namespace vaccel::agent
