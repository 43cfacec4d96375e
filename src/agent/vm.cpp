// SPDX-License-Identifier: Apache-2.0
#include "agent/vm.h"

#include "channel/endpoint.h"
#include "channel/window_file.h"

namespace vaccel::agent {
namespace {

std::string listen_problem(const std::string& text) {
  using Scheme = channel::Endpoint::Scheme;
  const auto endpoint = channel::parse_endpoint(text);
  if (!endpoint) return endpoint.error().message();
  if (endpoint->scheme == Scheme::kHybridVsock || endpoint->scheme == Scheme::kUnix) return {};
  return "a VM's own endpoint is 'hvsock:/path:PORT', not '" + printable(text) +
         "'; one that comes in at an endpoint of all is told by its 'cid'";
}

}  // namespace

std::optional<AttachmentProblem> find_problem(const wire::AttachVm& vm) {
  using Problem = AttachmentProblem;
  if (!is_tenant_name(vm.name)) {  // the same rule
    return Problem{"name",
                   "'" + printable(vm.name) + "' cannot be a VM's name; it has 1 to 64 of A-Z a-z 0-9 . _ -"};
  }
  if (!vm.tenant.empty() && !is_tenant_name(vm.tenant)) {
    return Problem{"tenant", "'" + printable(vm.tenant) +
                                 "' cannot be a tenant's name; it has 1 to 64 of A-Z a-z 0-9 . _ -"};
  }
  if (vm.listen.empty() == (vm.cid == 0)) {
    return Problem{"name", "VM '" + vm.name + "' needs either 'listen', an endpoint of its own, or 'cid'" +
                               (vm.listen.empty() ? "" : ", and has both")};
  }
  if (!vm.listen.empty()) {
    if (std::string problem = listen_problem(vm.listen); !problem.empty()) return Problem{"listen", problem};
  } else if (vm.cid == channel::kHostCid || vm.cid == channel::kAnyCid) {
    return Problem{"cid", std::to_string(vm.cid) + " is no VM's context id"};
  }
  if (!vm.window.empty() && vm.memory_bytes != 0) {
    return Problem{"memory", "VM '" + vm.name + "' has a window in a file, so it can have none in 'memory'"};
  }
  if (!vm.window.empty() && !vm.window.starts_with('/')) {
    return Problem{"window", "'" + printable(vm.window) + "' is not an absolute path"};
  }
  if (vm.memory_bytes != 0) {
    if (const Status status = channel::check_window_file_size(vm.memory_bytes); !status.ok())
      return Problem{"memory", status.message()};
  }
  if (vm.prefault && vm.window.empty() && vm.memory_bytes == 0) {
    return Problem{"prefault", "VM '" + vm.name + "' has no window whose memory could be taken"};
  }
  return std::nullopt;
}

}  // namespace vaccel::agent
