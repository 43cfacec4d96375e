// SPDX-License-Identifier: Apache-2.0
#include "core/tensor.h"
#include "tools/vaccel/commands.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"

namespace vaccel::tool {
namespace {

std::string state_of(const vaccel_model& model) {
  if (*model.problem != '\0') return std::string("unusable: ") + model.problem;
  return *model.backend != '\0' ? std::string("loaded (") + model.backend + ")" : "ready to load";
}

std::string shape_of(const vaccel_tensor_info& info) {
  return info.rank < 0 ? "any" : shape_text({info.shape, static_cast<size_t>(info.rank)});
}

// Nothing of a model that cannot be loaded.
void print_infos(const char* title, const vaccel_tensor_info* infos, size_t count, Output& output) {
  if (count == 0) return;
  Table table({{title}, {"dtype"}, {"shape"}});
  for (const vaccel_tensor_info& info : std::span(infos, count))
    table.add({info.name, dtype_name(info.dtype), shape_of(info)});
  output.line("");
  output.table(table);
}

void print_metadata(const vaccel_model& model, Output& output) {
  if (model.metadata_count == 0) return;
  Table table({{"metadata"}, {""}});
  for (const vaccel_metadata& pair : std::span(model.metadata, model.metadata_count))
    table.add({pair.key, pair.value});
  output.line("");
  output.table(table);
}

Status list_models(Session& session, Output& output) {
  const auto list = session.models();
  if (!list) return list.error();
  if (output.json()) {
    output.object(json_of_models(session.endpoint(), **list));
    return {};
  }
  if ((*list)->count == 0) {
    output.line("there are no models at " + session.endpoint());
    return {};
  }
  Table table({{"name"}, {"task"}, {"description"}, {"state"}});
  for (const vaccel_model* model : std::span((*list)->models, (*list)->count))
    table.add({model->name, model->task, model->description, state_of(*model)});
  output.table(table);
  return {};
}

Status describe_model(Session& session, const std::string& name, Output& output) {
  const auto found = session.model(name);
  if (!found) return found.error();
  const vaccel_model& model = **found;
  if (output.json()) {
    output.object(json_of_model(session.endpoint(), model));
    return {};
  }
  Table facts({{""}, {""}});
  const auto add = [&](const char* title, const std::string& value) {
    if (!value.empty()) facts.add({title, value});
  };
  add("name", model.name);
  add("task", model.task);
  add("description", model.description);
  add("version", model.version);
  add("license", model.license);
  add("backend", model.backend);
  add("state", state_of(model));
  output.table(facts);
  print_infos("input", model.inputs, model.input_count, output);
  print_infos("output", model.outputs, model.output_count, output);
  print_metadata(model, output);
  return {};
}

}  // namespace

Status run_command(const ModelsArguments& arguments, const Context& context) {
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  return arguments.name ? describe_model(*session, *arguments.name, context.output)
                        : list_models(*session, context.output);
}

}  // namespace vaccel::tool
