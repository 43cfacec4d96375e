// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/commands.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/tensors.h"
#include "tools/vaccel/timings.h"

namespace vaccel::tool {

Status run_command(const InferArguments& arguments, const Context& context) {
  const auto inputs = InputTensors::read(arguments.tensors.inputs);
  if (!inputs) return inputs.error();
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto outputs = session->infer(arguments.model, inputs->views());
  if (!outputs) return outputs.error();
  const auto summaries = take_outputs(**outputs, arguments.tensors);
  if (!summaries) return summaries.error();
  const vaccel_timings& timings = (*outputs)->timings;
  if (context.output.json()) {
    context.output.object(
        json_of_outputs("infer", arguments.model.c_str(), session->endpoint(), *summaries, timings));
    return {};
  }
  print_outputs(*summaries, context.output);
  context.output.line("");
  print_timings({&timings, 1}, context.output);
  return {};
}

}  // namespace vaccel::tool
