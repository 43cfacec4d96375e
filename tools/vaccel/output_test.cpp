// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/output.h"

#include <gtest/gtest.h>

namespace vaccel::tool {
namespace {

TEST(Table, AlignsColumns) {
  Table table({{"rank", Align::kRight}, {"label"}, {"index", Align::kRight}});
  table.add({"1", "Egyptian cat", "286"});
  table.add({"10", "tabby", "7"});
  EXPECT_EQ(table.text(false),
            "rank  label         index\n"
            "   1  Egyptian cat    286\n"
            "  10  tabby             7\n");
}

TEST(Table, EndsNoLineWithSpaces) {
  Table table({{"name"}, {"problem"}});
  table.add({"mobilenet", ""});
  EXPECT_EQ(table.text(false), "name       problem\nmobilenet\n");
}

TEST(Table, CountsColumnsOfTheTerminalNotBytes) {
  Table table({{"label"}, {"index"}});
  table.add({"\u732B", "1"});
  table.add({"caf\u00E9", "2"});
  EXPECT_EQ(table.text(false),
            "label  index\n"
            "\u732B     1\n"
            "caf\u00E9   2\n");
}

TEST(Table, HasNoEscapesButItsOwn) {
  Table table({{"label"}});
  table.add({"\x1B[2J\x1B]0;title\a"});
  EXPECT_EQ(table.text(false).find('\x1B'), std::string::npos);
  EXPECT_EQ(table.text(false).find('\a'), std::string::npos);
  EXPECT_EQ(table.text(true).substr(0, 14), "\x1B[1mlabel\x1B[0m\n");
}

TEST(Table, WithoutTitlesHasNoHeading) {
  Table table({{""}, {""}});
  table.add({"endpoint", "unix:/run/vaccel/agent.sock"});
  EXPECT_EQ(table.text(true), "endpoint  unix:/run/vaccel/agent.sock\n");
}

}  // namespace
}  // namespace vaccel::tool
