// SPDX-License-Identifier: Apache-2.0
//
// The agent's VMs: attaching and detaching them while it runs.
#include <sys/stat.h>

#include <algorithm>

#include "agent/agent.h"
#include "wire/limits.h"

namespace vaccel::agent {
namespace {

/// As many as windows can be guarded; see channel/window_mapping.h.
constexpr size_t kMaxVms = 4096;

bool is_same_file(const std::string& path, int fd) {
  struct stat one {};
  struct stat other {};
  return ::stat(path.c_str(), &one) == 0 && ::fstat(fd, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

}  // namespace

// ---- Attaching

void Agent::attach(const wire::AttachVm& wanted,
                   std::move_only_function<void(Result<wire::VmAttached>)> done) {
  if (Status status = find_conflict(wanted); !status.ok()) return done(Unexpected{std::move(status)});
  auto made = make_vm(wanted);
  if (!made) return done(Unexpected{made.error()});
  const std::shared_ptr<Vm> vm = std::move(*made);
  vms_.emplace(vm->name, AttachedVm{.vm = vm, .window = vm->window, .on_attached = std::move(done)});
  log_.line(LogLevel::kInfo, {.tenant = vm->tenant->name(), .vm = vm->name}, "VM '%s' is attached%s%s",
            vm->name.c_str(), vm->window ? ", window " : ", without a window",
            vm->window ? vm->window->path().c_str() : "");
  if (!vm->window) return attached(vm);
  vm->window->when_settled([this, weak = std::weak_ptr<Vm>(vm)] {
    if (const auto settled = weak.lock()) attached(settled);
  });
}

Status Agent::find_conflict(const wire::AttachVm& wanted) const {
  if (const auto problem = find_problem(wanted))
    return failure(VACCEL_INVALID_ARGUMENT, "%s", problem->sentence.c_str());
  if (shutting_down_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  if (vms_.size() >= kMaxVms) return failure(VACCEL_RESOURCE_EXHAUSTED, "%zu VMs are attached", vms_.size());
  const char* name = wanted.name.c_str();
  if (const auto same = vms_.find(wanted.name); same != vms_.end()) {
    return same->second.detaching
               ? failure(VACCEL_UNAVAILABLE, "VM '%s' is still being detached; try again when it is", name)
               : failure(VACCEL_INVALID_ARGUMENT, "there is a VM '%s' already; detach it first", name);
  }
  for (const auto& [other, attached] : vms_) {
    if (wanted.cid != 0 && attached.vm->cid == wanted.cid)
      return failure(VACCEL_INVALID_ARGUMENT, "VM '%s' has CID %u already", other.c_str(), wanted.cid);
    const auto window = attached.window.lock();
    if (!wanted.window.empty() && window && is_same_file(wanted.window, window->fd())) {
      return failure(VACCEL_INVALID_ARGUMENT,
                     "VM '%s' has the window '%s' already; each VM has one of its own", other.c_str(),
                     wanted.window.c_str());
    }
  }
  using Scheme = channel::Endpoint::Scheme;
  const auto is_vsock = [](const auto& listener) { return listener->endpoint.scheme == Scheme::kVsock; };
  if (wanted.cid != 0 && std::ranges::none_of(listeners_, is_vsock)) {
    return failure(VACCEL_INVALID_ARGUMENT,
                   "VMs are told by their CID at a vsock endpoint, and the agent listens on none; add "
                   "\"vsock:any:%u\" to 'listen' in its configuration",
                   channel::kDefaultPort);
  }
  if (wanted.listen.empty()) return {};
  const std::string path = channel::parse_endpoint(wanted.listen)->socket_path();  // find_problem() read it
  for (const auto& listener : listeners_) {
    if (listener->endpoint.socket_path() != path) continue;
    const std::string whose = listener->vm ? "VM '" + listener->vm->name + "'" : "all comers";
    return failure(VACCEL_INVALID_ARGUMENT, "the agent listens on %s already, for %s", path.c_str(),
                   whose.c_str());
  }
  return {};
}

Result<std::shared_ptr<Vm>> Agent::make_vm(const wire::AttachVm& wanted) {
  auto tenant = tenants_.of_name(wanted.tenant.empty() ? kDefaultTenant : wanted.tenant);
  if (!tenant) return Unexpected{tenant.error()};
  auto vm = std::make_shared<Vm>(Vm{.name = wanted.name,
                                    .tenant = std::move(*tenant),
                                    .listen = wanted.listen,
                                    .cid = wanted.cid,
                                    .window = {}});
  if (!wanted.window.empty() || wanted.memory_bytes != 0) {
    auto window = wanted.memory_bytes != 0
                      ? Window::in_memory(reactor_, wanted.name, wanted.memory_bytes, wanted.prefault)
                      : Window::from_file(reactor_, wanted.window, wanted.prefault);
    if (!window) return Unexpected{window.error()};
    (*window)->at_end([this, number = (*window)->number(), name = wanted.name] {
      window_ended(number);
      if (!ending_) reactor_.defer([this, name] { go_on_detaching(name); });
    });
    vm->window = std::move(*window);
  }
  if (!wanted.listen.empty()) {
    if (Status status = listen(*channel::parse_endpoint(wanted.listen), vm); !status.ok())
      return Unexpected{std::move(status)};
  }
  return vm;
}

// The window's memory has been taken, or could not be.
void Agent::attached(const std::shared_ptr<Vm>& vm) {
  const auto entry = vms_.find(vm->name);
  if (entry == vms_.end() || entry->second.vm != vm || !entry->second.on_attached) return;
  auto done = std::exchange(entry->second.on_attached, nullptr);
  if (!vm->window) return done(wire::VmAttached{});
  const Window& window = *vm->window;
  const wire::VmAttached answer{.window = window.path(), .bytes = window.start() + window.bytes()};
  const std::string problem = window.problem();
  if (problem.empty()) return done(answer);
  detach(vm->name, [](Status) {});
  done(fail(VACCEL_RESOURCE_EXHAUSTED, "window '%s': %s", answer.window.c_str(), problem.c_str()));
}

// ---- Detaching

void Agent::detach(const std::string& name, std::move_only_function<void(Status)> done) {
  const auto entry = vms_.find(name);
  if (entry == vms_.end()) {
    return done(failure(VACCEL_NOT_FOUND, "no VM '%s' is attached", printable(name).c_str()));
  }
  AttachedVm& attached = entry->second;
  if (attached.detaching) {
    return done(failure(VACCEL_UNAVAILABLE, "VM '%s' is being detached already", name.c_str()));
  }
  attached.detaching = true;
  attached.on_detached = std::move(done);
  if (auto waiting = std::exchange(attached.on_attached, nullptr)) {
    waiting(fail(VACCEL_CANCELLED, "VM '%s' was detached meanwhile", name.c_str()));
  }
  const Vm* vm = attached.vm.get();
  std::erase_if(listeners_, [this, vm](const auto& listener) {
    if (listener->vm.get() == vm) stop_listening(*listener);
    return listener->vm.get() == vm;
  });
  for (auto& [id, session] : sessions_) {
    if (session->origin().vm.get() == vm) session->drain();
  }
  attached.patience =
      reactor_.after_ms(config_.limits.shutdown_timeout_ms, [this, name] { lose_patience(name); });
  go_on_detaching(name);
}

void Agent::lose_patience(const std::string& name) {
  const auto entry = vms_.find(name);
  if (entry == vms_.end()) return;
  AttachedVm& attached = entry->second;
  attached.patience = {};
  log_.line(LogLevel::kWarning, {.vm = name}, "VM '%s': %u sessions did not finish in time", name.c_str(),
            attached.vm->sessions);
  for (auto& [id, session] : sessions_) {
    if (session->origin().vm == attached.vm) session_ended(id);
  }
  attached.window.reset();  // a worker's call may have leases yet: the window ends with these
  go_on_detaching(name);
}

// Called when a session or the window has ended; done when all have.
void Agent::go_on_detaching(const std::string& name) {
  const auto entry = vms_.find(name);
  if (entry == vms_.end() || !entry->second.detaching || entry->second.vm->sessions > 0) return;
  AttachedVm& attached = entry->second;
  attached.vm->window.reset();
  if (!attached.window.expired()) return;
  reactor_.cancel(attached.patience);
  auto done = std::move(attached.on_detached);
  const std::string tenant = attached.vm->tenant->name();
  vms_.erase(entry);
  tenants_.forget_if_unused(tenant);
  log_.line(LogLevel::kInfo, {.vm = name}, "VM '%s' is detached", name.c_str());
  done({});
}

}  // namespace vaccel::agent
