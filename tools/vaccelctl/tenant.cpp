// SPDX-License-Identifier: Apache-2.0
//
// Commands about tenants, the configuration, and what is in quarantine.
#include <sstream>

#include "tools/vaccelctl/commands.h"
#include "tools/vaccelctl/control_client.h"
#include "tools/vaccelctl/json.h"

namespace vaccel::ctl {
namespace {

Status change(const wire::SetTenant& set, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  if (Status status = client->set_tenant(set); !status.ok()) return status;
  if (context.output.json()) {
    const auto settings = set.remove ? Result<std::string>(std::string()) : client->read_tenant(set.name);
    if (!settings) return settings.error();
    context.output.object(json_of_tenant(set.name, *settings));
  } else {
    context.output.line("Tenant '" + set.name + "' is " + (set.remove ? "removed." : "set."));
  }
  return {};
}

}  // namespace

Status run_command(const SetTenantArguments& arguments, const Context& context) {
  return change({arguments.name, arguments.settings, false}, context);
}

Status run_command(const RemoveTenantArguments& arguments, const Context& context) {
  return change({arguments.name, {}, true}, context);
}

Status run_command(const ShowTenantArguments& arguments, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  const auto settings = client->read_tenant(arguments.name);
  if (!settings) return settings.error();
  if (context.output.json()) {
    context.output.object(json_of_tenant(arguments.name, *settings));
  } else {
    context.output.text(*settings);
  }
  return {};
}

Status run_command(const ReloadArguments& /*arguments*/, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  const auto notes = client->reload();
  if (!notes) return notes.error();
  std::vector<std::string> lines;
  std::istringstream text(*notes);
  for (std::string line; std::getline(text, line);)
    lines.push_back(line);
  if (context.output.json()) {
    context.output.object(json_of_reloaded(lines));
    return {};
  }
  context.output.line("The configuration was read again.");
  for (const std::string& line : lines)
    context.output.line(line + ".");
  return {};
}

Status run_command(const ReleaseArguments& arguments, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  if (Status status = client->lift_quarantine(arguments.subject); !status.ok()) return status;
  if (context.output.json()) {
    context.output.object(json_of_released(arguments.subject));
  } else {
    context.output.line("'" + arguments.subject + "' may be used again.");
  }
  return {};
}

}  // namespace vaccel::ctl
