// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "tools/vaccel/text.h"
#include "tools/vaccelctl/commands.h"
#include "tools/vaccelctl/json.h"

namespace vaccel::ctl {

void print_vmm_options(const std::string& path, uint64_t bytes, tool::Output& output) {
  const VmmOptions options = vmm_options(path, bytes);
  output.line("  QEMU              " + shell_line(options.qemu));
  output.line("                    and in -m a maxmem of at least " + tool::size_text(bytes) +
              " more than the VM's memory");
  output.line("  Cloud Hypervisor  " + shell_line(options.cloud_hypervisor));
  output.line("  Firecracker       PUT " + options.firecracker_resource + " " + options.firecracker_body);
}

Status run_command(const CreateWindowArguments& arguments, const Context& context) {
  const std::string path = std::filesystem::absolute(arguments.path).lexically_normal();
  Status status = channel::create_window_file(path, arguments.bytes, arguments.force);
  if (!status.ok()) return status.within(path);
  if (context.output.json()) {
    context.output.object(json_of_created(path, arguments.bytes, vmm_options(path, arguments.bytes)));
    return {};
  }
  context.output.line(path + ": a window of " + tool::size_text(arguments.bytes) +
                      " for a new VM. Its VMM is given");
  print_vmm_options(path, arguments.bytes, context.output);
  context.output.line("and the agent: vaccelctl vm attach NAME --socket PATH --window " + shell_line({path}));
  return {};
}

Status run_command(const ShowWindowArguments& arguments, const Context& context) {
  const auto state = channel::inspect_window_file(arguments.path);
  if (!state) return state.error().within(arguments.path);
  tool::Output& output = context.output;
  if (output.json()) {
    output.object(json_of_window(arguments.path, *state));
    return {};
  }
  const wire::WindowIdentity& identity = state->header.identity;
  output.line("file        " + arguments.path);
  output.line("size        " + tool::size_text(state->bytes) + ", of which " +
              tool::size_text(state->taken_bytes) + " are taken");
  output.line("window      " + tool::size_text(state->header.bytes));
  output.line("VM          " + vm_text(identity));
  output.line("generation  " + std::to_string(identity.generation) +
              (identity.generation == 0 ? ", no agent has had it yet" : ""));
  output.line(std::string("in use      ") + (state->held ? "yes, by an agent" : "no"));
  return {};
}

}  // namespace vaccel::ctl
