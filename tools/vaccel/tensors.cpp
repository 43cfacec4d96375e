// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/tensors.h"

#include <algorithm>

#include "core/tensor.h"
#include "tools/vaccel/file.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/tensor_summary.h"
#include "tools/vaccel/timings.h"

namespace vaccel::tool {
namespace {

constexpr size_t kMostNameBytes = 200;  // of the 255 that file systems allow

bool is_plain(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '_' || character == '-' || character == '.';
}

std::string name_of(const vaccel_tensor& tensor) {
  return tensor.name != nullptr ? tensor.name : "";
}

std::string names_of(const vaccel_outputs& outputs) {
  std::string names;
  for (const vaccel_tensor& tensor : std::span(outputs.tensors, outputs.count))
    names += (names.empty() ? "'" : ", '") + printable(name_of(tensor)) + "'";
  return names.empty() ? "none" : names;
}

// The position of the output that `file` is for.
Result<size_t> position_of(const TensorFile& file, const vaccel_outputs& outputs) {
  if (file.name.empty() && outputs.count == 1) return size_t{0};
  if (file.name.empty()) {
    return fail(VACCEL_NOT_FOUND, "--output %s names no output, and there are %zu: %s", file.path.c_str(),
                outputs.count, names_of(outputs).c_str());
  }
  for (size_t position = 0; position < outputs.count; ++position) {
    if (name_of(outputs.tensors[position]) == file.name) return position;
  }
  return fail(VACCEL_NOT_FOUND, "there is no output '%s'; there are: %s", printable(file.name).c_str(),
              names_of(outputs).c_str());
}

// A file for an output.
struct Destination {
  size_t position;
  std::string path;
};

Result<std::vector<Destination>> destinations_of(const vaccel_outputs& outputs,
                                                 const TensorArguments& arguments) {
  std::vector<Destination> destinations;
  std::vector<std::string> taken;
  for (size_t position = 0; arguments.output_directory && position < outputs.count; ++position) {
    taken.push_back(file_name_for(name_of(outputs.tensors[position]), taken));
    destinations.push_back({position, *arguments.output_directory + "/" + taken.back()});
  }
  for (const TensorFile& file : arguments.outputs) {
    const auto position = position_of(file, outputs);
    if (!position) return Unexpected{position.error()};
    destinations.push_back({*position, file.path});
  }
  return destinations;
}

Result<std::vector<TensorSummary>> take_outputs(const vaccel_outputs& outputs,
                                                const TensorArguments& arguments) {
  const auto destinations = destinations_of(outputs, arguments);
  if (!destinations) return Unexpected{destinations.error()};
  if (arguments.output_directory) {
    if (Status status = make_folder(*arguments.output_directory); !status.ok())
      return Unexpected{std::move(status)};
  }
  std::vector<TensorSummary> summaries;
  for (const vaccel_tensor& tensor : std::span(outputs.tensors, outputs.count))
    summaries.push_back(summarize(tensor));
  for (const Destination& destination : *destinations) {
    Status status = write_npy(destination.path, outputs.tensors[destination.position]);
    if (!status.ok()) return Unexpected{std::move(status)};
    summaries[destination.position].file = destination.path;
  }
  return summaries;
}

void print_outputs(std::span<const TensorSummary> summaries, Output& output) {
  if (summaries.empty()) return output.line("no outputs");
  const bool any_nan =
      std::any_of(summaries.begin(), summaries.end(), [](const auto& one) { return one.nan_count > 0; });
  const bool any_file =
      std::any_of(summaries.begin(), summaries.end(), [](const auto& one) { return !one.file.empty(); });
  std::vector<Table::Column> columns{{"output"},
                                     {"dtype"},
                                     {"shape"},
                                     {"min", Align::kRight},
                                     {"max", Align::kRight},
                                     {"mean", Align::kRight}};
  if (any_nan) columns.push_back({"NaN", Align::kRight});
  if (any_file) columns.push_back({"file"});
  Table table(std::move(columns));
  for (const TensorSummary& one : summaries) {
    std::vector<std::string> cells{one.name,
                                   one.dtype,
                                   shape_text(one.shape),
                                   number_text(one.min),
                                   number_text(one.max),
                                   number_text(one.mean)};
    if (any_nan) cells.push_back(std::to_string(one.nan_count));
    if (any_file) cells.push_back(one.file);
    table.add(std::move(cells));
  }
  output.table(table);
}

}  // namespace

Result<InputTensors> InputTensors::read(std::span<const TensorFile> files) {
  InputTensors inputs;
  inputs.arrays_.reserve(files.size());
  for (const TensorFile& file : files) {
    auto array = read_npy(file.path);
    if (!array) return Unexpected{array.error()};
    inputs.arrays_.push_back(std::move(*array));
    inputs.views_.push_back(inputs.arrays_.back().view(file.name.empty() ? nullptr : file.name.c_str()));
  }
  return inputs;
}

Status deliver(const vaccel_outputs& outputs, const CallNames& names, const TensorArguments& arguments,
               Output& output) {
  const auto summaries = take_outputs(outputs, arguments);
  if (!summaries) return summaries.error();
  if (output.json()) {
    output.object(json_of_outputs(names.operator_name, names.model, names.endpoint, *summaries, outputs));
    return {};
  }
  print_outputs(*summaries, output);
  output.line("");
  print_timings({&outputs.timings, 1}, output);
  print_copied(outputs.copied_bytes, output);
  return {};
}

std::string file_name_for(const std::string& tensor_name, std::span<const std::string> taken) {
  std::string stem = tensor_name.substr(0, kMostNameBytes);
  for (char& character : stem) {
    if (!is_plain(character)) character = '_';
  }
  if (stem.empty()) stem = "output";
  if (stem.front() == '.') stem.front() = '_';
  std::string name = stem + ".npy";
  for (size_t number = 2; std::find(taken.begin(), taken.end(), name) != taken.end(); ++number)
    name = stem + "-" + std::to_string(number) + ".npy";
  return name;
}

}  // namespace vaccel::tool
