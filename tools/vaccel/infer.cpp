// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/commands.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/tensors.h"

namespace vaccel::tool {

Status run_command(const InferArguments& arguments, const Context& context) {
  const auto inputs = InputTensors::read(arguments.tensors.inputs);
  if (!inputs) return inputs.error();
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto outputs = session->infer(arguments.model, inputs->views());
  if (!outputs) return outputs.error();
  return deliver(**outputs, {"infer", arguments.model.c_str(), session->endpoint()}, arguments.tensors,
                 context.output);
}

}  // namespace vaccel::tool
