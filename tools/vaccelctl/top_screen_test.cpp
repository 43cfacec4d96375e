// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccelctl/top_screen.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tools/vaccel/text.h"

namespace vaccel::ctl {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

Reading reading_at(int64_t at_ns, std::vector<wire::TenantStatus> tenants) {
  Reading reading{.at_ns = at_ns};
  reading.report.server = "vacceld 1.2.3";
  reading.report.tenants = std::move(tenants);
  return reading;
}

std::string text_of(const std::vector<ScreenLine>& lines) {
  std::string text;
  for (const ScreenLine& line : lines)
    text += line.text + "\n";
  return text;
}

std::vector<std::string> first_words(const std::vector<ScreenLine>& lines) {
  std::vector<std::string> words;
  for (const ScreenLine& line : lines)
    words.push_back(line.text.substr(0, line.text.find(' ')));
  return words;
}

TEST(Rates, AreWhatGrewInTheTime) {
  EXPECT_EQ(rate_of(100, 150, 2 * kSecondNs), 25.0);
  EXPECT_EQ(rate_of(100, 100, kSecondNs), 0.0);
  EXPECT_EQ(rate_of(0, UINT64_MAX, kSecondNs), 18446744073709551616.0);
  EXPECT_FALSE(rate_of({}, 5, kSecondNs)) << "it was not there";
  EXPECT_FALSE(rate_of(100, 99, kSecondNs)) << "it began anew";
  EXPECT_FALSE(rate_of(100, 150, 0)) << "no time went by";
  EXPECT_EQ(rate_text({}), "-");
  EXPECT_EQ(rate_text(0.0), "0");
  EXPECT_EQ(rate_text(0.01), "0.1") << "seldom is not never";
  EXPECT_EQ(rate_text(12.34), "12.3");
  EXPECT_EQ(rate_text(99.97), "100");
  EXPECT_EQ(rate_text(12'345.6), "12346");
  EXPECT_EQ(byte_rate_text(1536.0), "1.5 KiB/s");
  EXPECT_EQ(byte_rate_text({}), "-");
}

TEST(TopScreen, TheBusiestTenantComesFirst) {
  const Reading before =
      reading_at(kSecondNs, {{.name = "a", .calls = 1000},
                             {.name = "b", .calls = 10, .failed_calls = 0, .copied_bytes = 0},
                             {.name = "c", .calls = 0}});
  const Reading now = reading_at(3 * kSecondNs, {{.name = "a", .calls = 1010},
                                                 {.name = "b",
                                                  .weight = 4,
                                                  .sessions = 2,
                                                  .calls_queued = 3,
                                                  .calls_running = 5,
                                                  .calls = 110,
                                                  .failed_calls = 4,
                                                  .copied_bytes = 2048,
                                                  .window_bytes = 2048,
                                                  .bytes_in_flight = 1 << 20},
                                                 {.name = "c", .calls = 0},
                                                 {.name = "new", .calls = 7}});
  const auto lines = top_screen(&before, now, {});
  ASSERT_EQ(lines.size(), 9u) << text_of(lines);
  EXPECT_TRUE(lines[4].heading);
  EXPECT_EQ(first_words(lines),
            (std::vector<std::string>{"vacceld", "calls", "tensors", "", "tenant", "b", "a", "new", "c"}));
  std::string row = lines[5].text;
  row.erase(
      std::unique(row.begin(), row.end(), [](char one, char other) { return one == ' ' && other == ' '; }),
      row.end());
  EXPECT_EQ(row, "b 4 2 3 5 50.0 2.0 0 2 KiB/s 1 MiB 0 0 B");
}

TEST(TopScreen, WithoutAnEarlierReadingNoRateIsKnown) {
  const Reading now = reading_at(kSecondNs, {{.name = "a", .calls = 1000}});
  const std::string text = text_of(top_screen(nullptr, now, {}));
  EXPECT_NE(text.find("calls -/s"), std::string::npos) << text;
  EXPECT_EQ(text.find("1000"), std::string::npos) << text;
}

TEST(TopScreen, ModelsAndWorkersAreThere) {
  Reading now = reading_at(kSecondNs, {});
  now.report.workers = 2;
  now.report.models = {{.name = "mobilenet",
                        .state = wire::LoadState::kLoaded,
                        .backend = "onnxruntime",
                        .problem = "",
                        .workers = {0, 1, 2, 4, 6, 7}},
                       {.name = "broken",
                        .state = wire::LoadState::kUnusable,
                        .backend = "",
                        .problem = "no file",
                        .workers = {}}};
  now.report.worker_list = {
      {.index = 0, .pid = 42, .ready = true, .problem = "", .calls_running = 3, .cpus = "0-3", .device = ""},
      {.index = 1, .problem = "was killed", .cpus = "", .device = "1"}};
  now.report.backends = {{"onnxruntime", "1.20", "CPU", ""}};
  const std::string text = text_of(top_screen(nullptr, now, {}));
  for (const char* words : {"0-2,4,6,7", "unusable", "no file", "1 of 2 workers ready", "was killed",
                            "not ready", "0-3", "3 running", "1.20"})
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
}

TEST(TopScreen, FitsTheWindowWhateverThereIs) {
  std::vector<wire::TenantStatus> tenants;
  for (int number = 0; number < 1000; ++number)
    tenants.push_back({.name = "tenant-" + std::to_string(number)});
  Reading now = reading_at(kSecondNs, std::move(tenants));
  for (uint32_t index = 0; index < 256; ++index)
    now.report.worker_list.push_back({.index = index, .problem = "", .cpus = "", .device = ""});
  now.report.models = {{.name = "only", .backend = "", .problem = "", .workers = {}}};
  for (size_t rows = 1; rows < 60; ++rows) {
    for (const size_t columns : {size_t{1}, size_t{10}, size_t{80}, size_t{300}}) {
      const auto lines = top_screen(nullptr, now, {rows, columns});
      EXPECT_LE(lines.size(), rows);
      for (const ScreenLine& line : lines)
        EXPECT_LE(tool::display_width(line.text), columns) << line.text;
    }
  }
  const std::string text = text_of(top_screen(nullptr, now, {40, 200}));
  EXPECT_NE(text.find("\nonly "), std::string::npos) << "each section has its part\n" << text;
  EXPECT_NE(text.find(" more tenants\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" more workers\n"), std::string::npos) << text;
  EXPECT_EQ(top_screen(nullptr, now, {40, 200}).size(), 40u) << "and no row is wasted";
  EXPECT_GT(top_screen(nullptr, now, {}).size(), 1256u);
}

TEST(TopScreen, NoNameCommandsTheTerminal) {
  Reading now = reading_at(kSecondNs, {{.name = "a\x1b[2J\nb\xff"}});
  now.report.server = "x\x1b]0;y\x07";
  now.report.models = {{.name = "\x9b"
                                "1m",
                        .backend = "\xe2\x80\xae",
                        .problem = "\r\n",
                        .workers = {}}};
  now.report.worker_list = {{.index = 0, .problem = "\x1b[0m", .cpus = "\x7f", .device = "\t"}};
  for (const ScreenLine& line : top_screen(nullptr, now, {}))
    EXPECT_EQ(line.text, tool::safe_text(line.text));
}

TEST(TopScreen, CutsBetweenCharacters) {
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(cut_to_width("abc", 2), "ab");
  EXPECT_EQ(cut_to_width("\xc3\xa4\xc3\xa4", 1), "\xc3\xa4");
  EXPECT_EQ(cut_to_width("\xe4\xb8\xad\xe4\xb8\xad", 3), "\xe4\xb8\xad") << "two columns each";
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

}  // namespace
}  // namespace vaccel::ctl
