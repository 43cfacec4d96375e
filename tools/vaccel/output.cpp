// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/output.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tools/vaccel/text.h"

namespace vaccel::tool {
namespace {

constexpr std::string_view kBold = "\x1B[1m";
constexpr std::string_view kPlain = "\x1B[0m";
constexpr size_t kGap = 2;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// As a C library would find it, without asking it: guests have no locales installed.
bool says_utf8() {
  std::string_view locale = variable("LC_ALL");
  if (locale.empty()) locale = variable("LC_CTYPE");
  if (locale.empty()) locale = variable("LANG");
  return locale.find("UTF-8") != std::string_view::npos || locale.find("utf8") != std::string_view::npos;
}

std::string padded(const std::string& text, size_t width, Align align) {
  const std::string fill(width - std::min(width, display_width(text)), ' ');
  return align == Align::kRight ? fill + text : text + fill;
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  for (std::string& cell : cells)
    cell = safe_text(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(bool bold) const {
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    titles.push_back(columns_[column].title);
    widths.push_back(display_width(titles.back()));
    for (const auto& row : rows_)
      widths.back() = std::max(widths.back(), display_width(row[column]));
  }
  const auto line_of = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t column = 0; column < cells.size(); ++column) {
      line += padded(cells[column], widths[column], columns_[column].align) + std::string(kGap, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1);
    return line;
  };
  std::string text = line_of(titles);
  if (bold && !text.empty()) text = std::string(kBold) + text + std::string(kPlain);
  if (!text.empty()) text += '\n';
  for (const auto& row : rows_)
    text += line_of(row) + '\n';
  return text;
}

Output::Output(bool json)
    : json_(json),
      is_terminal_(::isatty(STDOUT_FILENO) == 1),
      bold_(is_terminal_ && variable("NO_COLOR").empty() && variable("TERM") != "dumb"),
      unicode_(says_utf8()) {}

void Output::table(const Table& table) {
  write(table.text(bold_));
}

void Output::line(std::string_view text) {
  write(safe_text(text) + '\n');
  if (std::fflush(stdout) != 0 && error_number_ == 0) error_number_ = errno;
}

void Output::text(std::string_view text) {
  write(text);
}

void Output::object(std::string_view json) {
  write(std::string(json) + '\n');
}

std::string Output::bar(double share, size_t columns) const {
  if (!is_terminal_) return {};
  const auto length =
      static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(columns)));
  std::string bar;
  for (size_t column = 0; column < length; ++column)
    bar += unicode_ ? "\u2501" : "=";
  return bar;
}

Status Output::finish() {
  if (std::fflush(stdout) != 0 && error_number_ == 0) error_number_ = errno;
  if (error_number_ == 0) return {};
  return failure(error_number_ == ENOSPC ? VACCEL_RESOURCE_EXHAUSTED : VACCEL_INTERNAL,
                 "cannot write to standard output: %s", errno_text(error_number_).c_str());
}

void Output::write(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!written && error_number_ == 0) error_number_ = errno;
}

}  // namespace vaccel::tool
