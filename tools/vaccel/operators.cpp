// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>

#include "core/tensor.h"
#include "tools/vaccel/commands.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"

namespace vaccel::tool {
namespace {

std::span<const vaccel_operator_backend> backends_of(const vaccel_operator& one) {
  return {one.backends, one.backend_count};
}

// Each once, whatever types it takes.
std::string names_of(std::span<const vaccel_operator_backend> backends) {
  std::vector<std::string_view> names;
  std::string text;
  for (const vaccel_operator_backend& backend : backends) {
    if (std::find(names.begin(), names.end(), backend.name) != names.end()) continue;
    text += (names.empty() ? "" : ", ") + std::string(backend.name);
    names.emplace_back(backend.name);
  }
  return text;
}

void list_operators(const std::string& endpoint, const vaccel_operator_list& list, Output& output) {
  if (output.json()) return output.object(json_of_operators(endpoint, list));
  Table table({{"name"}, {"description"}, {"backends"}});
  for (const vaccel_operator* one : std::span(list.operators, list.count))
    table.add({one->name, one->description, names_of(backends_of(*one))});
  output.table(table);
}

void print_parts(const char* title, vaccel_operator_part_kind kind, const vaccel_operator& one,
                 Output& output) {
  Table table({{title}, {"type"}, {""}});
  bool is_empty = true;
  for (const vaccel_operator_part& part : std::span(one.parts, one.part_count)) {
    if (part.kind != kind) continue;
    table.add({part.name, part.type, part.description});
    is_empty = false;
  }
  if (is_empty) return;
  output.line("");
  output.table(table);
}

// One line a type of elements, the most promising backend first; without types they stand among the facts.
void print_backends(const vaccel_operator& one, Output& output) {
  Table table({{"elements"}, {"backends (score)"}});
  int32_t dtype = 0;
  std::string line;
  const auto end_line = [&] {
    if (!line.empty()) table.add({dtype_name(dtype), line});
    line.clear();
  };
  bool is_empty = true;
  for (const vaccel_operator_backend& backend : backends_of(one)) {
    if (backend.dtype == 0) continue;
    if (backend.dtype != dtype) end_line();
    dtype = backend.dtype;
    line +=
        (line.empty() ? "" : ", ") + std::string(backend.name) + " (" + std::to_string(backend.score) + ")";
    is_empty = false;
  }
  end_line();
  if (is_empty) return;
  output.line("");
  output.table(table);
}

void print_operator(const vaccel_operator& one, Output& output) {
  Table facts({{""}, {""}});
  facts.add({"name", one.name});
  facts.add({"description", one.description});
  if (one.backend_count > 0) facts.add({"backends", names_of(backends_of(one))});
  output.table(facts);
  print_parts("input", VACCEL_OPERATOR_INPUT, one, output);
  print_parts("output", VACCEL_OPERATOR_OUTPUT, one, output);
  print_parts("attribute", VACCEL_OPERATOR_ATTRIBUTE, one, output);
  print_backends(one, output);
}

}  // namespace

Status run_command(const OperatorsArguments& arguments, const Context& context) {
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto list = session->operators();
  if (!list) return list.error();
  if (!arguments.name) {
    list_operators(session->endpoint(), **list, context.output);
    return {};
  }
  const std::span operators((*list)->operators, (*list)->count);
  const auto found = std::find_if(operators.begin(), operators.end(),
                                  [&](const vaccel_operator* one) { return *arguments.name == one->name; });
  if (found == operators.end()) {
    return failure(VACCEL_NOT_FOUND, "no operator '%s' at %s; 'vaccel operators' lists what there is",
                   printable(*arguments.name).c_str(), session->endpoint().c_str());
  }
  if (context.output.json()) {
    context.output.object(json_of_operator(session->endpoint(), **found));
  } else {
    print_operator(**found, context.output);
  }
  return {};
}

}  // namespace vaccel::tool
