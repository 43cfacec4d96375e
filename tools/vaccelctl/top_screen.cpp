// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/top_screen.h"

#include <algorithm>
#include <cstdint>
#include <sstream>

#include "tools/vaccel/text.h"
#include "tools/vaccel/utf8.h"

namespace vaccel::ctl {
namespace {

/// Of a section, besides its rows: an empty line and its heading.
constexpr size_t kFrameRows = 2;

// What is now, and what has come since the earlier reading.
std::vector<std::string> summary_of(const Reading* before, const Reading& now) {
  const wire::StatusReport& report = now.report;
  const auto rate = [&](uint64_t wire::StatusReport::*number) {
    if (before == nullptr) return std::optional<double>();
    return rate_of(before->report.*number, report.*number, now.at_ns - before->at_ns);
  };
  uint64_t queued = 0;
  uint64_t running = 0;
  for (const wire::WorkerStatus& worker : report.worker_list) {
    queued += worker.calls_queued;
    running += worker.calls_running;
  }
  using Report = wire::StatusReport;
  const auto ready = std::ranges::count_if(report.worker_list, &wire::WorkerStatus::ready);
  return {report.server + ", " + std::to_string(report.sessions) + " sessions, " +
              std::to_string(report.tenants.size()) + " tenants, " + std::to_string(ready) + " of " +
              std::to_string(report.workers) + " workers ready",
          "calls " + rate_text(rate(&Report::calls)) + "/s, failed " +
              rate_text(rate(&Report::failed_calls)) + "/s, " + std::to_string(queued) + " queued, " +
              std::to_string(running) + " running",
          "tensors " + byte_rate_text(rate(&Report::copied_bytes)) + " copied, " +
              byte_rate_text(rate(&Report::window_bytes)) + " in windows; " +
              tool::size_text(report.leased_bytes) + " leased, " + tool::size_text(report.device_bytes) +
              " in devices"};
}

// How many rows each section may show: all, or as many as the others leave it; those that need less leave more.
std::vector<size_t> share_rows(const std::vector<Section>& sections, size_t rows) {
  std::vector<size_t> shares(sections.size());
  size_t left = rows - std::min(rows, sections.size() * kFrameRows);
  bool gave = true;
  while (left > 0 && gave) {
    gave = false;
    for (size_t index = 0; index < sections.size() && left > 0; ++index) {
      if (shares[index] == sections[index].rows.size()) continue;
      ++shares[index];
      --left;
      gave = true;
    }
  }
  return shares;
}

void put_section(const Section& section, size_t rows, std::vector<ScreenLine>& lines) {
  const bool whole = section.rows.size() <= rows;
  const size_t shown = whole ? section.rows.size() : rows - std::min<size_t>(rows, 1);
  tool::Table table(section.columns);
  for (size_t index = 0; index < shown; ++index)
    table.add(section.rows[index]);
  lines.push_back({});
  std::istringstream text(table.text(/*bold=*/false));
  bool heading = true;
  for (std::string line; std::getline(text, line);)
    lines.push_back({line, std::exchange(heading, false)});
  if (!whole && rows > 0)
    lines.push_back({"and " + std::to_string(section.rows.size() - shown) + " more " + section.things});
}

}  // namespace

std::string cut_to_width(const std::string& text, size_t columns) {
  if (tool::display_width(text) <= columns) return text;
  std::string kept;
  size_t width = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view next = rest.substr(0, tool::first_character(rest).bytes);
    width += tool::display_width(next);
    if (width > columns) break;
    kept += next;
    rest.remove_prefix(next.size());
  }
  return kept;
}

std::vector<ScreenLine> top_screen(const Reading* before, const Reading& now, const ScreenSize& size) {
  std::vector<ScreenLine> lines;
  for (const std::string& line : summary_of(before, now))
    lines.push_back({tool::safe_text(line)});
  const std::vector<Section> sections = sections_of(before, now, /*with_rates=*/true);
  const size_t rows = size.rows == 0 ? SIZE_MAX : size.rows - std::min(size.rows, lines.size());
  const std::vector<size_t> shares = share_rows(sections, rows);
  for (size_t index = 0; index < sections.size(); ++index)
    put_section(sections[index], shares[index], lines);
  if (size.rows != 0 && lines.size() > size.rows) lines.resize(size.rows);
  if (size.columns != 0) {
    for (ScreenLine& line : lines)
      line.text = cut_to_width(line.text, size.columns);
  }
  return lines;
}

}  // namespace vaccel::ctl
