// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/timings.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace vaccel::tool {
namespace {

constexpr size_t kBarColumns = 30;

std::string milliseconds(uint64_t nanoseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", static_cast<double>(nanoseconds) / 1e6);
  return text;
}

// Ascending.
std::vector<uint64_t> values_of(const Stage& stage, std::span<const vaccel_timings> runs) {
  std::vector<uint64_t> values;
  values.reserve(runs.size());
  for (const vaccel_timings& run : runs)
    values.push_back(run.*stage.nanoseconds);
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace

vaccel_timings median_of(std::span<const vaccel_timings> runs) {
  vaccel_timings median{};
  for (const Stage& stage : kStages)
    median.*stage.nanoseconds = values_of(stage, runs)[(runs.size() - 1) / 2];
  return median;
}

void print_timings(std::span<const vaccel_timings> runs, Output& output) {
  const bool one = runs.size() == 1;
  Table table = one ? Table({{"stage"}, {"ms", Align::kRight}, {""}})
                    : Table({{"stage"},
                             {"median ms", Align::kRight},
                             {"min ms", Align::kRight},
                             {"max ms", Align::kRight}});
  const vaccel_timings median = median_of(runs);
  const auto total = static_cast<double>(std::max<uint64_t>(1, median.total_ns));
  for (const Stage& stage : kStages) {
    const std::vector<uint64_t> values = values_of(stage, runs);
    if (values.back() == 0) continue;
    const uint64_t typical = median.*stage.nanoseconds;
    const std::string name = std::string(static_cast<size_t>(stage.depth) * 2, ' ') + stage.name;
    if (one) {
      table.add({name, milliseconds(typical), output.bar(static_cast<double>(typical) / total, kBarColumns)});
    } else {
      table.add({name, milliseconds(typical), milliseconds(values.front()), milliseconds(values.back())});
    }
  }
  output.table(table);
}

void print_copied(uint64_t bytes, Output& output) {
  output.line("copied " + std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes"));
}

}  // namespace vaccel::tool
