// SPDX-License-Identifier: Apache-2.0
//
// Who is at the other end of a session, as far as the place where it connected tells: a process of this host, or
// one in a VM that the operator attached.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/tenant.h"
#include "agent/window.h"
#include "wire/messages.h"

namespace vaccel::agent {

/// A VM that is attached to the agent: where its functions come in, and the memory that they share with the host.
struct Vm {
  std::string name;
  std::shared_ptr<Tenant> tenant;  ///< Shared with its sessions.
  std::string listen;              ///< Its own endpoint, as text; "": it is told by its CID.
  uint32_t cid = 0;                ///< 0: it is told by its endpoint.
  std::shared_ptr<Window> window;  ///< null: none. Shared: leases keep it while the VM is being detached.
  uint32_t sessions = 0;           ///< Open now.
};

/// Where a session comes from.
struct Origin {
  std::string peer;                ///< Where it connected, for the log.
  std::shared_ptr<Tenant> tenant;  ///< Never null.
  std::shared_ptr<Vm> vm;  ///< null: no VM that is attached. Shared: sessions may outlast its attachment.
  bool takes_descriptors = false;  ///< The other end is a process of this host, on a unix socket.
};

/// What is wrong with the way in which a VM is to be attached.
struct AttachmentProblem {
  const char* key;  ///< As the configuration calls it.
  std::string sentence;
};

/// Looks at what is asked for alone, not at files and not at the VMs there are.
std::optional<AttachmentProblem> find_problem(const wire::AttachVm& vm);

}  // namespace vaccel::agent
