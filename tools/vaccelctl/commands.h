// SPDX-License-Identifier: Apache-2.0
//
// The commands. Those of windows need no agent; the others ask one over its control socket.
#pragma once

#include "core/status.h"
#include "tools/vaccel/output.h"
#include "tools/vaccelctl/arguments.h"

namespace vaccel::ctl {

/// What every command gets.
struct Context {
  const CommonArguments& common;
  tool::Output& output;
};

Status run_command(const CreateWindowArguments& arguments, const Context& context);
Status run_command(const ShowWindowArguments& arguments, const Context& context);
Status run_command(const AttachArguments& arguments, const Context& context);
Status run_command(const DetachArguments& arguments, const Context& context);
Status run_command(const ListVmsArguments& arguments, const Context& context);
Status run_command(const StatusArguments& arguments, const Context& context);
Status run_command(const TopArguments& arguments, const Context& context);
Status run_command(const SetTenantArguments& arguments, const Context& context);
Status run_command(const ShowTenantArguments& arguments, const Context& context);
Status run_command(const RemoveTenantArguments& arguments, const Context& context);
Status run_command(const ReloadArguments& arguments, const Context& context);
Status run_command(const ReleaseArguments& arguments, const Context& context);

/// For people: the VMs of a status.
void print_vms(const wire::StatusReport& report, tool::Output& output);
/// For people: what each VMM is given for a window.
void print_vmm_options(const std::string& path, uint64_t bytes, tool::Output& output);

}  // namespace vaccel::ctl
