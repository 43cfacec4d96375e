// SPDX-License-Identifier: Apache-2.0
//
// A session's window: opening it, its rings, its leases.
#include <sys/epoll.h>

#include "agent/session.h"

namespace vaccel::agent {
namespace {

constexpr uint64_t kRingAlignment = 4096;

}  // namespace

Status Session::handle_open_window() {
  const auto open = wire::decode_open_window(channel_.body());
  if (!open) return open.error();
  const uint64_t id = channel_.header().request_id;
  if (window_) return failure(VACCEL_PROTOCOL_ERROR, "a client may not open its window twice");
  if (!calls_.empty())
    return failure(VACCEL_PROTOCOL_ERROR, "a window is opened before the first call, not after");
  if (origin_.vm) return open_vm_window(id);
  if (!host_.limits().window_enabled)
    return failure(VACCEL_UNIMPLEMENTED, "windows are switched off at this agent");
  if (!origin_.takes_descriptors || !open->takes_descriptors) {
    return failure(VACCEL_UNIMPLEMENTED,
                   "memory can be shared over a unix socket, or with a VM that is attached to the "
                   "agent with a window ('vaccelctl vm attach')");
  }
  return open_own_window(id);
}

// A window for this session alone, whose memory ends with it.
Status Session::open_own_window(uint64_t request_id) {
  auto window = Window::for_session(host_.limits().session_window_bytes);
  if (!window) return window.error();
  const uint32_t number = (*window)->number();
  (*window)->at_end([&host = host_, number] { host.window_ended(number); });
  window_ = std::make_unique<SessionWindow>(std::move(*window), host_.limits(), origin_.tenant);
  count_window(+1);
  auto wakes = channel::make_wake_sockets();
  if (!wakes) return wakes.error();
  auto& [wake, wake_of_client] = *wakes;
  const int descriptors[] = {window_->window().fd(), wake_of_client.get()};
  wire::WindowOpened opened;
  if (Status status = begin_rings(opened, std::move(wake)); !status.ok()) return status;
  Status status =
      host_.reactor().add(channel_.wake_fd(), EPOLLIN, [this](uint32_t events) { on_wake(events); });
  if (!status.ok()) return status;
  status = channel_.stream().send_with_descriptors(wire::Kind::kWindowOpened, request_id,
                                                   encoder_.encode(opened), descriptors);
  if (status.ok() && channel_.sending()) update_interest();
  return status;
}

// The window of the VM that this session is in; its other sessions use other parts of it.
Status Session::open_vm_window(uint64_t request_id) {
  const Vm& vm = *origin_.vm;
  if (!vm.window)
    return failure(VACCEL_UNIMPLEMENTED, "VM '%s' is attached to the agent without a window",
                   vm.name.c_str());
  if (const std::string problem = vm.window->problem(); !problem.empty()) {
    return failure(VACCEL_UNAVAILABLE, "the window of VM '%s' cannot be used: %s", vm.name.c_str(),
                   problem.c_str());
  }
  window_ = std::make_unique<SessionWindow>(vm.window, host_.limits(), origin_.tenant);
  wire::WindowOpened opened;
  if (Status status = begin_rings(opened, {}); !status.ok()) {
    window_.reset();
    return status;
  }
  send(request_id, opened);
  return {};
}

// Leases memory for the rings and begins to use them. The client does when it has found the window; until it has put
// something in, nothing goes to it through the ring.
Status Session::begin_rings(wire::WindowOpened& opened, UniqueFd wake) {
  Window& window = window_->window();
  opened.kind = window.kind();
  opened.bytes = window.bytes();
  opened.identity = window.identity();
  opened.max_leased_bytes = host_.limits().max_leased_bytes;
  opened.max_leases = host_.limits().max_leases;
  auto lease = window.lease(channel::kRingPairBytes, kRingAlignment);
  if (!lease) return lease.error();
  auto mapping = window.map((*lease)->offset(), channel::kRingPairBytes);
  if (!mapping) return mapping.error();
  auto memory = std::make_shared<channel::WindowMapping>(std::move(*mapping));
  std::byte* pair = memory->bytes().data();
  channel::initialise_rings(pair);
  ring_lease_ = std::move(*lease);
  opened.ring_offset = ring_lease_->offset();
  opened.ring_bytes = channel::kRingPairBytes;
  channel_.attach(pair, std::move(memory), channel::RingChannel::Side::kServer, std::move(wake),
                  /*spin_ns=*/0);
  return {};
}

Status Session::handle_lease() {
  const auto wanted = wire::decode_lease(channel_.body());
  if (!wanted) return wanted.error();
  if (!window_) return failure(VACCEL_INVALID_ARGUMENT, "this session has no window to lease from");
  const auto leased = window_->lease(*wanted);
  if (!leased) return leased.error();
  if (!origin_.vm) {
    host_.traffic().leased_bytes += leased->bytes;
    ++host_.traffic().leases;
  }
  send(channel_.header().request_id, *leased);
  return {};
}

// Has no answer; a client that gives back what it does not have is told, and nothing else comes of it.
Status Session::handle_release() {
  const auto release = wire::decode_release(channel_.body());
  if (!release) return release.error();
  if (!window_)
    return failure(VACCEL_PROTOCOL_ERROR, "a client may not send a release frame before it has a window");
  const uint64_t before = window_->leased_bytes();
  const size_t leases_before = window_->leases();
  Status status;
  for (const uint64_t offset : release->offsets) {
    if (Status one = window_->release(offset); !one.ok()) status = std::move(one);
  }
  if (!origin_.vm) {
    host_.traffic().leased_bytes -= before - window_->leased_bytes();
    host_.traffic().leases -= leases_before - window_->leases();
  }
  return status;
}

// Sessions with windows of their own, for the status; those of VMs are read from the VMs.
void Session::count_window(int change) {
  if (!window_ || origin_.vm) return;
  Traffic& traffic = host_.traffic();
  traffic.windows = static_cast<uint32_t>(static_cast<int>(traffic.windows) + change);
  if (change > 0) return;
  traffic.leased_bytes -= window_->leased_bytes();
  traffic.leases -= window_->leases();
}

}  // namespace vaccel::agent
