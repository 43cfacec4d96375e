// SPDX-License-Identifier: Apache-2.0
//
// A session's part of a window: its leases, and the check that what its calls refer to lies within them. Everything
// that a client says about the window is a number from elsewhere; what is kept here is the agent's own.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "agent/config.h"
#include "agent/tenant.h"
#include "agent/window.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::agent {

/// What a call has leased to it until it is done, also when its session has given it back or has gone.
using HeldLeases = std::vector<std::shared_ptr<WindowLease>>;

class SessionWindow {
 public:
  SessionWindow(std::shared_ptr<Window> window, const Limits& limits, std::shared_ptr<Tenant> tenant)
      : window_(std::move(window)), limits_(limits), tenant_(std::move(tenant)) {}

  [[nodiscard]] Window& window() const { return *window_; }
  [[nodiscard]] const std::shared_ptr<Window>& shared() const { return window_; }
  [[nodiscard]] uint64_t leased_bytes() const { return leased_bytes_; }
  [[nodiscard]] size_t leases() const { return leases_.size(); }

  /// INVALID_ARGUMENT; RESOURCE_EXHAUSTED: this session's limits, its tenant's, or the window has no such piece left.
  Result<wire::Leased> lease(const wire::Lease& wanted);
  /// INVALID_ARGUMENT: none of its leases begins there.
  Status release(uint64_t offset);

  /// Checks that what a call refers to in the window lies in leases of this session's, adds these to `held`, and puts the
  /// window's number among workers for "the session's window".
  /// @return how many bytes of inputs lie there. INVALID_ARGUMENT: outside of its leases, or places that overlap.
  Result<uint64_t> resolve(wire::Call& call, HeldLeases& held) const;
  /// The other way round, for the results that a worker has put there; INTERNAL: it was told of no such place.
  /// @return how many bytes of results lie there.
  Result<uint64_t> translate(wire::CallResult& result, const HeldLeases& held) const;

 private:
  Status hold(uint64_t offset, uint64_t bytes, const std::string& what, HeldLeases& held) const;

  std::shared_ptr<Window> window_;  // shared: with the other sessions of a VM, and with leases
  const Limits& limits_;
  struct Leased {
    std::shared_ptr<WindowLease> lease;  // shared: calls may hold it longer
    std::array<Taken, 2> taken;          // of its tenant's leases and their bytes
  };

  std::shared_ptr<Tenant> tenant_;
  std::map<uint64_t, Leased> leases_;  // by offset
  uint64_t leased_bytes_ = 0;
};

}  // namespace vaccel::agent
