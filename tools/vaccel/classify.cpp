// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "tools/vaccel/commands.h"
#include "tools/vaccel/file.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/timings.h"

namespace vaccel::tool {
namespace {

constexpr uint64_t kMostPhotoBytes = uint64_t{1} << 30;
constexpr const char* kUsualModel = "mobilenet";
constexpr std::string_view kTask = "classify";

// The only model that classifies, usable or not (then the agent says why); else the usual one.
Result<std::string> choose_model(Session& session) {
  const auto list = session.models();
  if (!list) return Unexpected{list.error()};
  const vaccel_model* found = nullptr;
  for (const vaccel_model* model : std::span((*list)->models, (*list)->count)) {
    if (model->task != kTask) continue;
    if (found != nullptr) return kUsualModel;
    found = model;
  }
  return found != nullptr ? found->name : kUsualModel;
}

std::string score_text(float score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(score));
  return text;
}

void print_classes(const vaccel_classes& classes, Output& output) {
  Table table({{"rank", Align::kRight}, {"score", Align::kRight}, {"label"}, {"index", Align::kRight}});
  for (size_t rank = 0; rank < classes.count; ++rank) {
    const vaccel_class& item = classes.items[rank];
    table.add({std::to_string(rank + 1), score_text(item.score), item.label, std::to_string(item.index)});
  }
  output.table(table);
}

}  // namespace

Status run_command(const ClassifyArguments& arguments, const Context& context) {
  const auto photo = read_file(arguments.photo, kMostPhotoBytes);
  if (!photo) return photo.error();
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto model = arguments.model ? Result<std::string>(*arguments.model) : choose_model(*session);
  if (!model) return model.error();

  Owned<vaccel_classes> classes;
  std::vector<vaccel_timings> runs;
  while (runs.size() < arguments.repeat) {
    auto result = session->classify(*model, *photo, arguments.top);
    if (!result) return result.error();
    classes = std::move(*result);
    runs.push_back(classes->timings);
  }

  if (context.output.json()) {
    context.output.object(json_of_classes(*model, session->endpoint(), *classes, runs));
    return {};
  }
  print_classes(*classes, context.output);
  context.output.line("");
  print_timings(runs, context.output);
  print_copied(classes->copied_bytes, context.output);
  return {};
}

}  // namespace vaccel::tool
