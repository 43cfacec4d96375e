// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/text.h"
#include "tools/vaccelctl/commands.h"
#include "tools/vaccelctl/control_client.h"
#include "tools/vaccelctl/json.h"

namespace vaccel::ctl {
namespace {

std::string place_of(const std::string& listen, uint32_t cid) {
  return listen.empty() ? "CID " + std::to_string(cid) : listen;
}

std::string window_of(const wire::VmStatus& vm) {
  if (vm.window.empty()) return "none";
  if (!vm.problem.empty()) return vm.window + ": " + vm.problem;
  return vm.window + ", " + tool::size_text(vm.window_bytes);
}

}  // namespace

void print_vms(const wire::StatusReport& report, tool::Output& output) {
  using tool::Align;
  tool::Table table({{"VM"},
                     {"tenant"},
                     {"comes in at"},
                     {"sessions", Align::kRight},
                     {"leases", Align::kRight},
                     {"leased", Align::kRight},
                     {"window"}});
  for (const wire::VmStatus& vm : report.vms) {
    table.add({vm.name, vm.tenant.empty() ? "-" : vm.tenant, place_of(vm.listen, vm.cid),
               std::to_string(vm.sessions), std::to_string(vm.leases), tool::size_text(vm.leased_bytes),
               window_of(vm)});
  }
  output.table(table);
}

Status run_command(const AttachArguments& arguments, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  const auto attached = client->attach(arguments.vm);
  if (!attached) return attached.error();
  tool::Output& output = context.output;
  if (output.json()) {
    output.object(json_of_attached(arguments.vm, *attached));
    return {};
  }
  output.line("VM '" + arguments.vm.name + "' is attached, at " +
              place_of(arguments.vm.listen, arguments.vm.cid) + ".");
  if (attached->window.empty()) {
    output.line("It has no window: what it sends is copied.");
    return {};
  }
  output.line("Its window is " + attached->window + ", " + tool::size_text(attached->bytes) +
              ". Its VMM is given");
  print_vmm_options(attached->window, attached->bytes, output);
  return {};
}

Status run_command(const DetachArguments& arguments, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  if (Status status = client->detach(arguments.name); !status.ok()) return status;
  if (context.output.json()) {
    context.output.object(json_of_detached(arguments.name));
  } else {
    context.output.line("VM '" + arguments.name + "' is detached.");
  }
  return {};
}

Status run_command(const ListVmsArguments& /*arguments*/, const Context& context) {
  auto client = ControlClient::connect(context.common.control);
  if (!client) return client.error();
  const auto report = client->status();
  if (!report) return report.error();
  if (context.output.json()) {
    context.output.object(json_of_vms(*report));
  } else if (report->vms.empty()) {
    context.output.line("No VM is attached.");
  } else {
    print_vms(*report, context.output);
  }
  return {};
}

}  // namespace vaccel::ctl
