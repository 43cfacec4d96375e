// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>

namespace vaccel::bench {
namespace {

const char* unit_name(Unit unit) {
  switch (unit) {
    case Unit::kNanoseconds:
      return "ns";
    case Unit::kMicroseconds:
      return "us";
    case Unit::kMilliseconds:
      return "ms";
    case Unit::kCallsPerSecond:
      return "calls/s";
    case Unit::kCount:
      return "count";
    case Unit::kKibibytes:
      return "KiB";
    case Unit::kBytesPerSecond:
      return "B/s";
  }
  return "";
}

double in_unit(Unit unit, double measured) {
  switch (unit) {
    case Unit::kNanoseconds:
    case Unit::kCount:
    case Unit::kBytesPerSecond:
      return measured;
    case Unit::kMicroseconds:
      return measured / 1e3;
    case Unit::kMilliseconds:
      return measured / 1e6;
    case Unit::kCallsPerSecond:
      return 1e9 / measured;
    case Unit::kKibibytes:
      return measured / 1024;
  }
  return 0;
}

std::vector<double> all_in_unit(Unit unit, std::vector<double> values) {
  for (double& value : values)
    value = in_unit(unit, value);
  return values;
}

std::vector<double> combined(const std::vector<double>& ours, const std::vector<double>& beside,
                             const std::function<double(double, double)>& combine) {
  std::vector<double> values;
  std::transform(ours.begin(), ours.end(), beside.begin(), std::back_inserter(values), combine);
  return values;
}

// ---- Numbers as text

std::string printed(const char* format, double value) {
  std::array<char, 64> text;
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// Three digits that count, and no exponent.
std::string short_number(double value) {
  const double size = std::fabs(value);
  return printed(size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 1 ? "%.2f" : "%.3f", value);
}

std::string goal_text(const Goal& goal, Unit unit) {
  const std::string limit = printed("%g", goal.limit);
  switch (goal.kind) {
    case Goal::Kind::kNone:
      return "";
    case Goal::Kind::kAtMostTimes:
      return "<= " + limit + "x";
    case Goal::Kind::kAtMostMore:
      return "<= +" + limit + " " + unit_name(unit);
    case Goal::Kind::kAtMost:
      return "<= " + limit + " " + unit_name(unit);
    case Goal::Kind::kAtLeastTimes:
      return ">= " + limit + "x";
    case Goal::Kind::kWithinTimes:
      return "1x +-" + printed("%g", goal.limit * 100) + "%";
  }
  return "";
}

// Nothing: there is no goal, or nothing beside that it asks for.
std::optional<bool> reached(const Goal& goal, double ours, std::optional<double> ratio, double difference) {
  switch (goal.kind) {
    case Goal::Kind::kNone:
      return std::nullopt;
    case Goal::Kind::kAtMost:
      return ours <= goal.limit;
    default:
      break;
  }
  if (!ratio) return std::nullopt;
  switch (goal.kind) {
    case Goal::Kind::kAtMostTimes:
      return *ratio <= goal.limit;
    case Goal::Kind::kAtLeastTimes:
      return *ratio >= goal.limit;
    case Goal::Kind::kWithinTimes:
      return std::fabs(*ratio - 1) <= goal.limit;
    default:
      return difference <= goal.limit;
  }
}

// ---- The table

using Cells = std::array<std::string, 8>;

std::string aligned(const std::vector<Cells>& lines) {
  constexpr std::array<bool, 8> kRight{false, false, true, true, false, true, false, false};
  std::array<size_t, 8> widths{};
  for (const Cells& line : lines) {
    for (size_t column = 0; column < line.size(); ++column)
      widths[column] = std::max(widths[column], line[column].size());
  }
  std::string text;
  for (const Cells& line : lines) {
    std::string row;
    for (size_t column = 0; column < line.size(); ++column) {
      const std::string padding(widths[column] - line[column].size(), ' ');
      row += (column > 0 ? "  " : "") + (kRight[column] ? padding + line[column] : line[column] + padding);
    }
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + "\n";
  }
  return text;
}

// ---- JSON

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char one : text) {
    if (one == '"' || one == '\\') result += '\\';
    if (static_cast<unsigned char>(one) >= 0x20) result += one;
  }
  return result + "\"";
}

std::string json_number(double value) {
  return std::isfinite(value) ? printed("%.6g", value) : "null";
}

std::string json_row(const Row& row) {
  std::string text = "    {\"section\": " + quoted(row.section) + ", \"case\": " + quoted(row.name) +
                     ", \"unit\": " + quoted(row.unit) + ", \"ours\": " + json_number(row.ours) +
                     ", \"beside\": " + (row.beside ? json_number(*row.beside) : "null") +
                     ", \"beside_name\": " + (row.beside ? quoted(row.beside_name) : "null") +
                     ", \"ratio\": " + (row.ratio ? json_number(*row.ratio) : "null") +
                     ", \"goal\": " + (row.goal.empty() ? "null" : quoted(row.goal)) +
                     ", \"holds\": " + (row.holds ? (*row.holds ? "true" : "false") : "null");
  for (const auto& [name, value] : row.details)
    text += ", " + quoted(name) + ": " + json_number(value);
  return text + "}";
}

std::string json_latency(const std::string& section, const Latency& latency) {
  const auto microseconds = [&](double part) {
    return json_number(in_unit(Unit::kMicroseconds, quantile(latency.samples, part)));
  };
  return "    {\"section\": " + quoted(section) + ", \"path\": " + quoted(latency.path) +
         ", \"ours\": " + (latency.ours ? "true" : "false") +
         ", \"bytes\": " + std::to_string(latency.bytes) +
         ", \"unit\": \"us\", \"p10\": " + microseconds(0.1) + ", \"p50\": " + microseconds(0.5) +
         ", \"p99\": " + microseconds(0.99) + ", \"samples\": " + std::to_string(latency.samples.size()) +
         "}";
}

// ,\n  "name": [ ... ]
std::string json_list(const char* name, const std::vector<std::string>& objects) {
  std::string text = ",\n  " + quoted(name) + ": [";
  for (size_t index = 0; index < objects.size(); ++index)
    text += (index == 0 ? "\n" : ",\n") + objects[index];
  return text + (objects.empty() ? "]" : "\n  ]");
}

// ---- The machine

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    // x86 has "model name", arm64 only numbers.
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string date_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text;
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string compiler_name() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

}  // namespace

Machine this_machine() {
  utsname system{};
  ::uname(&system);
  double load = 0;
  ::getloadavg(&load, 1);
  return {.cpu = cpu_name() + " (" + system.machine + ")",
          .cores = ::sysconf(_SC_NPROCESSORS_ONLN),
          .kernel = std::string(system.sysname) + " " + system.release,
          .compiler = compiler_name(),
          .date = date_now(),
          .load_average = load};
}

void Report::add(const std::string& section, const Finding& finding) {
  Row row{.section = section, .name = finding.name, .unit = unit_name(finding.unit)};
  const std::vector<double> ours = all_in_unit(finding.unit, finding.ours);
  const std::vector<double> beside = all_in_unit(finding.unit, finding.beside);
  row.ours = median(ours);
  row.goal = goal_text(finding.goal, finding.unit);
  row.details = {{"rounds", static_cast<double>(ours.size())}};
  double difference = 0;
  if (!beside.empty()) {
    const std::vector<double> ratios = combined(ours, beside, std::divides<>());
    difference = median(combined(ours, beside, std::minus<>()));
    row.beside = median(beside);
    row.beside_name = finding.beside_name;
    row.details.emplace_back("difference", difference);
    // Of counts that may be zero there is none.
    if (std::isfinite(median(ratios))) {
      row.ratio = median(ratios);
      row.details.insert(row.details.end(),
                         {{"ratio_p25", quantile(ratios, 0.25)}, {"ratio_p75", quantile(ratios, 0.75)}});
    }
  }
  row.holds = reached(finding.goal, row.ours, row.ratio, difference);
  const auto add_percentiles = [&](const std::string& side, const std::vector<double>& samples) {
    if (samples.empty()) return;
    row.details.emplace_back(side + "_p10", in_unit(finding.unit, quantile(samples, 0.1)));
    row.details.emplace_back(side + "_p50", in_unit(finding.unit, quantile(samples, 0.5)));
    row.details.emplace_back(side + "_p99", in_unit(finding.unit, quantile(samples, 0.99)));
    row.details.emplace_back(side + "_samples", static_cast<double>(samples.size()));
  };
  add_percentiles("ours", finding.our_samples);
  add_percentiles("beside", finding.beside_samples);
  rows_.push_back(std::move(row));
}

void Report::add(const std::string& section, const Latency& latency) {
  latencies_.push_back(json_latency(section, latency));
}

void Report::skip(const std::string& section, const std::string& name, const std::string& reason) {
  skipped_.push_back({section, name, reason});
}

std::string Report::table() const {
  std::vector<Cells> lines{{"case", "unit", "ours", "beside", "beside_name", "ratio", "goal", "holds"}};
  std::string section;
  for (const Row& row : rows_) {
    if (row.section != section) {
      section = row.section;
      lines.push_back({"-- " + section});
    }
    lines.push_back({row.name, row.unit, short_number(row.ours), row.beside ? short_number(*row.beside) : "-",
                     row.beside ? row.beside_name : "-", row.ratio ? short_number(*row.ratio) : "-",
                     row.goal.empty() ? "-" : row.goal, row.holds ? (*row.holds ? "yes" : "no") : "-"});
  }
  std::string skipped;
  for (const Skipped& one : skipped_)
    skipped += "skipped: " + one.section + ": " + one.name + ": " + one.reason + "\n";
  return machine_.cpu + ", " + std::to_string(machine_.cores) + " cores, " + machine_.kernel + ", " +
         machine_.compiler + ", " + machine_.date + ", load " + printed("%.1f", machine_.load_average) +
         "\n" + aligned(lines) + skipped;
}

std::string Report::json(const std::string& section) const {
  std::string text =
      "{\n  \"section\": " + quoted(section) + ",\n  \"machine\": {\"cpu\": " + quoted(machine_.cpu) +
      ", \"cores\": " + std::to_string(machine_.cores) + ", \"kernel\": " + quoted(machine_.kernel) +
      ", \"compiler\": " + quoted(machine_.compiler) + ", \"date\": " + quoted(machine_.date) +
      ", \"load_average\": " + json_number(machine_.load_average) + "}";
  std::vector<std::string> rows;
  std::transform(rows_.begin(), rows_.end(), std::back_inserter(rows), json_row);
  std::vector<std::string> skipped;
  for (const Skipped& one : skipped_) {
    skipped.push_back("    {\"section\": " + quoted(one.section) + ", \"case\": " + quoted(one.name) +
                      ", \"reason\": " + quoted(one.reason) + "}");
  }
  return text + json_list("rows", rows) + json_list("latencies", latencies_) + json_list("skipped", skipped) +
         "\n}\n";
}

}  // namespace vaccel::bench
