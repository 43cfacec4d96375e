// SPDX-License-Identifier: Apache-2.0
//
// The operator's end of the control socket: connects, greets, and asks one thing after the other.
#pragma once

#include <memory>
#include <string>

#include "channel/stream.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::ctl {

class ControlClient {
 public:
  /// UNAVAILABLE: no agent listens there; PERMISSION_DENIED; DEADLINE_EXCEEDED; PROTOCOL_ERROR: it is no agent.
  static Result<ControlClient> connect(const std::string& path);

  /// These wait for as long as the agent takes, and fail as it says.
  Result<wire::VmAttached> attach(const wire::AttachVm& vm);
  Status detach(const std::string& name);
  Status set_tenant(const wire::SetTenant& set);
  /// TOML.
  Result<std::string> read_tenant(const std::string& name);
  /// What could not be changed, lines.
  Result<std::string> reload();
  Status lift_quarantine(const std::string& subject);
  /// With all VMs, however many there are.
  Result<wire::StatusReport> status();
  /// With all of all lists.
  Result<wire::StatusReport> full_status();

 private:
  explicit ControlClient(UniqueFd socket);

  template <typename Entry>
  Status read_list(wire::StatusList list, std::vector<Entry> wire::StatusReport::*entries,
                   wire::StatusReport& report);
  template <typename Request>
  Status ask(const Request& request, wire::Kind expected, int64_t deadline_ns);
  Status receive(wire::Kind expected, int64_t deadline_ns);

  std::unique_ptr<channel::StreamChannel> channel_;
  wire::Encoder encoder_;
  uint64_t last_id_ = 0;
};

}  // namespace vaccel::ctl
