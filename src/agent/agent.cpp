// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <sys/epoll.h>

#include <algorithm>
#include <functional>

#include "agent/worker_jail.h"
#include "core/clock.h"

namespace vaccel::agent {
namespace {

/// Connections taken at one go before sessions have their turn.
constexpr int kAcceptsAtOnce = 16;
/// How long a listener rests when descriptors have run out.
constexpr int64_t kAcceptPauseMs = 100;

}  // namespace

Agent::Agent(Reactor& reactor, Log& log, Config config, runtime::Catalogue catalogue,
             std::vector<std::string> worker_arguments, ReadAgain read_again)
    : reactor_(reactor),
      log_(log),
      config_(std::move(config)),
      catalogue_(std::move(catalogue)),
      worker_arguments_(std::move(worker_arguments)),
      read_again_(std::move(read_again)),
      jail_(policy_of_workers(config_)),
      uploads_(config_.uploads),
      vm_watch_(
          reactor, log,
          {.attach =
               [this](const wire::AttachVm& vm, VmWatch::Done done) {
                 attach(vm, [then = std::move(done)](const Result<wire::VmAttached>& attached) mutable {
                   then(attached ? Status() : attached.error());
                 });
               },
           .detach = [this](const std::string& name, VmWatch::Done done) { detach(name, std::move(done)); }}),
      own_workers_(reactor, log, config_, uploads_, metrics_, worker_arguments_) {
  tenants_.apply(config_.tenants);
  uploads_.tidy();
}

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
  own_workers_.stop();
}

bool Agent::release(const std::string& subject) {
  const bool of_all = quarantine_.release(subject);
  return own_workers_.release(subject) || of_all;
}

Result<WorkerSlot*> Agent::own_worker(const std::string& tenant) {
  return own_workers_.of(tenant);
}

Status Agent::start(std::move_only_function<void(Status)> ready) {
  for (const auto& [name, entry] : catalogue_.entries()) {
    if (!entry.problem.empty())
      log_.warning("model '%s' cannot be used: %s", name.c_str(), entry.problem.c_str());
  }
  for (const channel::Endpoint& endpoint : config_.listen) {
    if (Status status = listen(endpoint); !status.ok()) return status;
  }
  if (Status status = listen_for_tenants(); !status.ok()) return status;
  for (const wire::AttachVm& vm : config_.vms) {
    const auto failed =
        std::make_shared<Status>();  // shared: a window's memory may be taken for long after this
    attach(vm, [this, failed, name = vm.name](Result<wire::VmAttached> attached) {
      if (attached) return;
      log_.line(LogLevel::kError, {.vm = name}, "VM '%s' is not attached: %s", name.c_str(),
                attached.error().message().c_str());
      *failed = attached.error();
    });
    if (!failed->ok()) return failed->within("attaching VM '" + vm.name + "'");
  }
  on_ready_ = std::move(ready);
  reactor_.set_spin(std::min<int64_t>(channel::default_spin_ns(), int64_t{config_.spin_us} * 1000));
  workers_awaited_ = config_.worker.count;
  for (uint32_t index = 0; index < config_.worker.count; ++index) {
    worker_logs_.push_back(std::make_unique<Log>(log_, index));
    auto slot = WorkerSlot::create(reactor_, *worker_logs_.back(), options_of(index));
    if (!slot) return slot.error();
    workers_.push_back(std::move(*slot));
  }
  for (auto& worker : workers_)
    worker->start([this](Status status) { worker_ready(std::move(status)); });
  vm_watch_.watch(config_.watched);
  return {};
}

WorkerSlot::Options Agent::options_of(uint32_t index) {
  const WorkerConfig& worker = config_.worker;
  return {.jail = jail_,
          .program = worker.program,
          .arguments = worker_arguments_,
          .config = config_.file,
          .threads = worker.threads,
          .segment_bytes = config_.limits.segment_bytes,
          .index = index,
          .spin_us = config_.spin_us,
          .cpus = of_worker(worker.cpus, index),
          .device = of_worker(worker.devices, index),
          .model_bytes = worker.model_bytes,
          .settings_of = [this](const std::string& model) { return settings_of(model); },
          .supervision = worker.supervision,
          .quarantine = &quarantine_,
          .metrics = metrics_};
}

ModelSettings Agent::settings_of(const std::string& model) const {
  const auto settings = config_.models.find(model);
  return settings == config_.models.end() ? ModelSettings{.instances = config_.worker.instances}
                                          : settings->second;
}

void Agent::preload() {
  for (const auto& [name, settings] : config_.models) {
    if (!settings.preload || catalogue_.find(name) == nullptr) continue;
    for (WorkerSlot* worker : workers_of(name))
      worker->preload(name);
  }
}

void Agent::worker_ready(Status status) {
  --workers_awaited_;
  if (!on_ready_ || (status.ok() && workers_awaited_ > 0)) return;
  if (status.ok()) {
    tell_of_jail();
    preload();
  }
  std::exchange(on_ready_, nullptr)(std::move(status));
}

// Once: what this host does not allow is so for each worker, and each time that it starts.
void Agent::tell_of_jail() {
  if (!config_.jail.enabled) return log_.warning("workers run without a jail: [jail] enabled = false");
  std::string missing;
  for (const std::string& one : jail_.missing())
    missing += (missing.empty() ? "" : "; ") + one;
  if (missing.empty()) return log_.info("workers are jailed");
  log_.warning("the workers' jail lacks %s. [jail] require = true has the agent refuse to run so",
               missing.c_str());
}

Status Agent::listen(const channel::Endpoint& endpoint, std::shared_ptr<Vm> vm, std::string tenant) {
  auto socket = channel::listen_on(endpoint, config_.socket_mode);
  if (!socket) return socket.error();
  listeners_.push_back(std::make_unique<Listener>(
      Listener{endpoint, std::move(vm), std::move(tenant), std::move(*socket), {}}));
  Listener& listener = *listeners_.back();
  log_.info("listening on %s", endpoint.text().c_str());
  return reactor_.add(listener.socket.fd(), EPOLLIN, [this, &listener](uint32_t) { accept(listener); });
}

void Agent::stop_listening(Listener& listener) {
  reactor_.cancel(listener.pause);
  reactor_.remove(listener.socket.fd());
}

// The endpoints of tenants of their own; those of tenants that have gone, or have changed, are closed.
Status Agent::listen_for_tenants() {
  std::map<std::string, std::string> wanted;  // endpoint, tenant
  std::map<std::string, channel::Endpoint> endpoints;
  for (const TenantConfig& tenant : config_.tenants.tenants) {
    for (const channel::Endpoint& endpoint : tenant.listen) {
      wanted[endpoint.text()] = tenant.name;
      endpoints.emplace(endpoint.text(), endpoint);
    }
  }
  std::erase_if(listeners_, [&](const auto& listener) {
    if (listener->tenant.empty()) return false;
    const auto still = wanted.find(listener->endpoint.text());
    const bool stays = still != wanted.end() && still->second == listener->tenant;
    if (stays) {
      wanted.erase(still);
    } else {
      stop_listening(*listener);
    }
    return !stays;
  });
  for (const auto& [text, tenant] : wanted) {
    if (Status status = listen(endpoints.at(text), nullptr, tenant); !status.ok()) return status;
  }
  return {};
}

// Who connects is told by where they connect, and by nothing that they say.
Result<Origin> Agent::origin_of(const Listener& listener, int socket) {
  using Scheme = channel::Endpoint::Scheme;
  Origin origin{
      .peer = listener.endpoint.text(), .tenant = nullptr, .vm = listener.vm, .takes_descriptors = false};
  origin.takes_descriptors = listener.endpoint.scheme == Scheme::kUnix && !listener.vm;
  if (listener.endpoint.scheme == Scheme::kVsock) {
    const uint32_t cid = channel::peer_cid_of(socket);
    origin.peer += " from CID " + std::to_string(cid);
    const auto known = std::ranges::find_if(vms_, [cid](const auto& entry) {
      return cid != 0 && entry.second.vm->cid == cid && !entry.second.detaching;
    });
    if (known != vms_.end()) origin.vm = known->second.vm;
  }
  auto tenant = tenant_of(listener, origin.vm.get(), socket);
  if (!tenant) return Unexpected{tenant.error()};
  origin.tenant = std::move(*tenant);
  return origin;
}

Result<std::shared_ptr<Tenant>> Agent::tenant_of(const Listener& listener, const Vm* vm, int socket) {
  if (vm != nullptr) return vm->tenant;
  if (!listener.tenant.empty()) return tenants_.of_name(listener.tenant);
  const bool of_this_host = listener.endpoint.scheme == channel::Endpoint::Scheme::kUnix;
  return tenants_.of_uid(of_this_host ? channel::peer_uid_of(socket) : std::nullopt);
}

void Agent::accept(Listener& listener) {
  for (int turn = 0; turn < kAcceptsAtOnce; ++turn) {
    auto socket = channel::accept_from(listener.socket.fd());
    if (!socket) {
      log_.client_line(ClientLine::kConnection, LogLevel::kWarning, {}, "%s: %s",
                       listener.endpoint.text().c_str(), socket.error().message().c_str());
      // The connection stays in the backlog, and the descriptor readable: look again in a while.
      reactor_.change(listener.socket.fd(), 0);
      listener.pause = reactor_.after_ms(kAcceptPauseMs, [this, &listener] {
        listener.pause = {};
        reactor_.change(listener.socket.fd(), EPOLLIN);
      });
      return;
    }
    if (!socket->valid()) return;
    begin_session(listener, std::move(*socket));
  }
}

void Agent::begin_session(const Listener& listener, UniqueFd socket) {
  Status refused;
  if (sessions_.size() >= config_.limits.max_sessions) {
    refused = failure(VACCEL_RESOURCE_EXHAUSTED, "this agent has its most sessions, %u, open",
                      config_.limits.max_sessions);
  }
  auto origin = origin_of(listener, socket.get());
  if (!origin) {
    refused = origin.error();
    origin = Origin{.peer = listener.endpoint.text(), .tenant = nobody_, .vm = nullptr};
  }
  auto taken = refused.ok() ? origin->tenant->take(Resource::kSessions) : Result<Taken>(Taken());
  if (!taken) refused = taken.error();
  const uint64_t id = next_session_++;
  if (origin->vm) ++origin->vm->sessions;
  auto session = std::make_unique<Session>(*this, id, std::move(socket), std::move(*origin),
                                           taken ? std::move(*taken) : Taken());
  Session& started = *session;
  sessions_.emplace(id, std::move(session));
  if (const Status status = started.start(); !status.ok()) {
    log_.client_line(ClientLine::kConnection, LogLevel::kWarning, started.log_subject(), "%s",
                     status.message().c_str());
    session_ended(id);
  } else if (!refused.ok()) {
    started.refuse(refused);
  }
}

// A model's own: the same ones whenever it is asked for, and spread over all (rendezvous hashing).
std::vector<WorkerSlot*> Agent::workers_of(const std::string& model) const {
  std::vector<std::pair<size_t, WorkerSlot*>> ranked;
  for (const auto& worker : workers_)
    ranked.emplace_back(std::hash<std::string>{}(model + "/" + std::to_string(worker->index())),
                        worker.get());
  std::ranges::sort(ranked);
  const uint32_t instances = settings_of(model).instances;
  if (instances != 0 && instances < ranked.size()) ranked.resize(instances);
  std::vector<WorkerSlot*> chosen;
  for (const auto& [rank, worker] : ranked)
    chosen.push_back(worker);
  return chosen;
}

WorkerSlot& Agent::worker_for(const std::string& model) {
  const auto load_of = [](const auto& worker) { return worker->load(); };
  if (workers_.size() == 1) return *workers_.front();
  if (model.empty()) return **std::ranges::min_element(workers_, {}, load_of);
  const auto own = workers_of(model);
  return **std::ranges::min_element(own, {}, load_of);
}

void Agent::session_ended(uint64_t id) {
  reactor_.defer([this, id] { erase_session(id); });
}

void Agent::erase_session(uint64_t id) {
  const auto session = sessions_.find(id);
  if (session == sessions_.end()) return;
  const std::shared_ptr<Vm> vm = session->second->origin().vm;
  const std::string tenant = session->second->origin().tenant->name();
  sessions_.erase(session);
  tenants_.forget_if_unused(tenant);
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
  own_workers_.visit([number](WorkerSlot& worker) { worker.drop_window(number); });
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
