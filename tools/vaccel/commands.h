// SPDX-License-Identifier: Apache-2.0
//
// The commands, one file each. What is wrong with the caller's own files is found before an agent is asked.
#pragma once

#include "core/status.h"
#include "tools/vaccel/arguments.h"
#include "tools/vaccel/interrupt.h"
#include "tools/vaccel/output.h"

namespace vaccel::tool {

/// What every command gets.
struct Context {
  const CommonArguments& common;
  const Interrupt& interrupt;
  Output& output;
};

Status run_command(const VisionArguments& arguments, const Context& context);
Status run_command(const InferArguments& arguments, const Context& context);
Status run_command(const ModelsArguments& arguments, const Context& context);
Status run_command(const InfoArguments& arguments, const Context& context);
Status run_command(const BackendsArguments& arguments, const Context& context);
Status run_command(const OperatorsArguments& arguments, const Context& context);
Status run_command(const PingArguments& arguments, const Context& context);
Status run_command(const CallArguments& arguments, const Context& context);
Status run_command(const UploadArguments& arguments, const Context& context);
Status run_command(const DeleteArguments& arguments, const Context& context);

}  // namespace vaccel::tool
