// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/commands.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/tensors.h"

namespace vaccel::tool {
namespace {

vaccel_attribute view_of(const Attribute& attribute) {
  vaccel_attribute view{};
  view.name = attribute.name.c_str();
  if (const auto* integer = std::get_if<int64_t>(&attribute.value)) {
    view.type = VACCEL_ATTRIBUTE_INT;
    view.value.integer = *integer;
  } else if (const auto* real = std::get_if<double>(&attribute.value)) {
    view.type = VACCEL_ATTRIBUTE_FLOAT;
    view.value.real = *real;
  } else {
    view.type = VACCEL_ATTRIBUTE_STRING;
    view.value.string = std::get<std::string>(attribute.value).c_str();
  }
  return view;
}

}  // namespace

Status run_command(const CallArguments& arguments, const Context& context) {
  const auto inputs = InputTensors::read(arguments.tensors.inputs);
  if (!inputs) return inputs.error();
  std::vector<vaccel_attribute> attributes;
  for (const Attribute& attribute : arguments.attributes)
    attributes.push_back(view_of(attribute));
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const char* model = arguments.model ? arguments.model->c_str() : nullptr;
  const auto outputs = session->call(arguments.operator_name, model, attributes, inputs->views());
  if (!outputs) return outputs.error();
  return deliver(**outputs, {arguments.operator_name, model, session->endpoint()}, arguments.tensors,
                 context.output);
}

}  // namespace vaccel::tool
