// SPDX-License-Identifier: Apache-2.0
//
// What the tool says on standard output: tables and lines for people, or one JSON object for scripts. Everything that is printed
// for people passes safe_text(), so that no label of the other end is a command to the terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace vaccel::tool {

enum class Align { kLeft, kRight };

/// Rows of text below a heading, as wide as what they hold.
class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// As many cells as there are columns.
  void add(std::vector<std::string> cells);

  /// Its lines. `bold`: with escape sequences that make the heading bold. Columns are two spaces apart, and no line ends with
  /// spaces.
  [[nodiscard]] std::string text(bool bold) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

class Output {
 public:
  /// Looks at standard output, NO_COLOR, TERM and the locale's variables once.
  explicit Output(bool json);

  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] bool is_terminal() const { return is_terminal_; }

  void table(const Table& table);
  /// One line for people, shown at once. "" leaves a line empty.
  void line(std::string_view text);
  /// Our own lines, such as a help.
  void text(std::string_view text);
  /// One JSON object, ASCII only.
  void object(std::string_view json);

  /// A bar of up to `columns` columns for a share from 0 to 1; "" where the output is no terminal.
  [[nodiscard]] std::string bar(double share, size_t columns) const;

  /// Whether everything could be written: RESOURCE_EXHAUSTED where the disk is full, else INTERNAL. Call it last.
  Status finish();

 private:
  void write(std::string_view text);

  bool json_;
  bool is_terminal_;
  bool bold_;
  bool unicode_;
  int error_number_ = 0;
};

}  // namespace vaccel::tool
