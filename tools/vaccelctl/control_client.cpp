// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/control_client.h"

#include <iterator>

#include "channel/socket.h"
#include "client/poll.h"
#include "core/clock.h"

namespace vaccel::ctl {
namespace {

constexpr int64_t kPatienceNs = 5'000'000'000;  // for somebody to answer at all
/// An agent that says for ever that there is more is none.
constexpr int kMostPages = 1000;

Status no_agent(const std::string& why) {
  return failure(VACCEL_PROTOCOL_ERROR, "what answers at the control socket is not an agent: %s",
                 why.c_str());
}

}  // namespace

ControlClient::ControlClient(UniqueFd socket)
    : channel_(std::make_unique<channel::StreamChannel>(std::move(socket), wire::kOldestVersion)) {}

Result<ControlClient> ControlClient::connect(const std::string& path) {
  const int64_t deadline = now_ns() + kPatienceNs;
  auto endpoint = channel::parse_endpoint("unix:" + path);
  if (!endpoint) return Unexpected{endpoint.error().within("--control")};
  auto socket = channel::connect_to(*endpoint, deadline);
  if (!socket) return Unexpected{socket.error()};
  ControlClient client(std::move(*socket));
  Status status =
      client.ask(wire::Hello{.client = "vaccelctl " VACCEL_VERSION_TEXT}, wire::Kind::kWelcome, deadline);
  if (!status.ok()) return Unexpected{std::move(status)};
  const auto welcome = wire::decode_welcome(client.channel_->body());
  if (!welcome) return Unexpected{no_agent(welcome.error().message())};
  client.channel_->set_version(welcome->version);
  return client;
}

template <typename Request>
Status ControlClient::ask(const Request& request, wire::Kind expected, int64_t deadline_ns) {
  Status status = channel_->send(Request::kKind, ++last_id_, encoder_.encode(request), {}, nullptr);
  while (status.ok() && channel_->sending()) {
    if (!client::poll_until(channel_->fd(), POLLOUT, deadline_ns))
      return failure(VACCEL_DEADLINE_EXCEEDED, "the agent takes nothing in");
    status = channel_->flush();
  }
  if (!status.ok()) return status;
  return receive(expected, deadline_ns);
}

Status ControlClient::receive(wire::Kind expected, int64_t deadline_ns) {
  for (;;) {
    const auto event = channel_->receive(false);
    if (!event) return event.error();
    if (*event == channel::Event::kClosed)
      return failure(VACCEL_UNAVAILABLE, "the agent closed the connection instead of answering");
    if (*event == channel::Event::kFrame) break;
    if (*event == channel::Event::kBlocked && !client::poll_until(channel_->fd(), POLLIN, deadline_ns))
      return failure(VACCEL_DEADLINE_EXCEEDED, "the agent does not answer");
  }
  const wire::Header& header = channel_->header();
  const bool is_for_us = header.request_id == last_id_ || header.request_id == 0;
  if (is_for_us && header.kind == wire::Kind::kFailure) {
    const auto refusal = wire::decode_failure(channel_->body());
    return refusal ? refusal->status() : no_agent(refusal.error().message());
  }
  if (header.request_id != last_id_ || header.kind != expected || header.payload_bytes > 0)
    return no_agent(std::string("it answered with a ") + wire::kind_name(header.kind) + " frame");
  return {};
}

Result<wire::VmAttached> ControlClient::attach(const wire::AttachVm& vm) {
  if (Status status = ask(vm, wire::Kind::kVmAttached, 0); !status.ok()) return Unexpected{std::move(status)};
  return wire::decode_vm_attached(channel_->body());
}

Status ControlClient::detach(const std::string& name) {
  return ask(wire::DetachVm{name}, wire::Kind::kDone, 0);
}

Status ControlClient::set_tenant(const wire::SetTenant& set) {
  return ask(set, wire::Kind::kDone, 0);
}

Result<std::string> ControlClient::read_tenant(const std::string& name) {
  if (Status status = ask(wire::ReadTenant{name}, wire::Kind::kTenantSettings, 0); !status.ok())
    return Unexpected{std::move(status)};
  auto tenant = wire::decode_tenant_settings(channel_->body());
  if (!tenant) return Unexpected{tenant.error()};
  return std::move(tenant->settings);
}

Result<std::string> ControlClient::reload() {
  if (Status status = ask(wire::Reload{}, wire::Kind::kReloaded, 0); !status.ok())
    return Unexpected{std::move(status)};
  auto reloaded = wire::decode_reloaded(channel_->body());
  if (!reloaded) return Unexpected{reloaded.error()};
  return std::move(reloaded->notes);
}

Status ControlClient::lift_quarantine(const std::string& subject) {
  return ask(wire::LiftQuarantine{subject}, wire::Kind::kDone, 0);
}

// Page by page. The numbers of the whole agent are those of the last one.
template <typename Entry>
Status ControlClient::read_list(wire::StatusList list, std::vector<Entry> wire::StatusReport::*entries,
                                wire::StatusReport& report) {
  wire::StatusReport all = std::move(report);
  for (int page = 0; page < kMostPages; ++page) {
    const wire::ReadStatus read{.start = static_cast<uint32_t>((all.*entries).size()), .list = list};
    if (Status status = ask(read, wire::Kind::kStatus, now_ns() + kPatienceNs); !status.ok()) return status;
    auto part = wire::decode_status_report(channel_->body());
    if (!part) return part.error();
    std::vector<Entry> got = std::move((*part).*entries);
    const bool more = part->more;
    const bool progressed = !got.empty();
    (all.*entries)
        .insert((all.*entries).end(), std::make_move_iterator(got.begin()),
                std::make_move_iterator(got.end()));
    if (!more) {
      part->vms = std::move(all.vms);
      part->tenants = std::move(all.tenants);
      part->models = std::move(all.models);
      part->worker_list = std::move(all.worker_list);
      part->backends = std::move(all.backends);
      part->more = false;
      report = std::move(*part);
      return {};
    }
    if (!progressed) break;
  }
  return no_agent("a list of its status has no end");
}

Result<wire::StatusReport> ControlClient::status() {
  wire::StatusReport report;
  if (Status status = read_list(wire::StatusList::kVms, &wire::StatusReport::vms, report); !status.ok())
    return Unexpected{std::move(status)};
  return report;
}

Result<wire::StatusReport> ControlClient::full_status() {
  using enum wire::StatusList;
  using Report = wire::StatusReport;
  Report report;
  Status status = read_list(kVms, &Report::vms, report);
  if (status.ok()) status = read_list(kModels, &Report::models, report);
  if (status.ok()) status = read_list(kWorkers, &Report::worker_list, report);
  if (status.ok()) status = read_list(kBackends, &Report::backends, report);
  if (status.ok()) status = read_list(kTenants, &Report::tenants, report);
  if (!status.ok()) return Unexpected{std::move(status)};
  return report;
}

}  // namespace vaccel::ctl
