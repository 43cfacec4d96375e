// SPDX-License-Identifier: Apache-2.0
#include "agent/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <vector>

#include "agent/line_meter.h"

namespace vaccel::agent {
namespace {

using Json = nlohmann::json;

// Text that a guest might send so that a line of the log becomes two, or a command to a terminal.
constexpr const char* kHostile = "a\"b\\c\nd\r\x1b[2Je\t\x7f\xc2\x9b\xff{\"level\":\"error\"}";

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { std::fclose(file_); }

  Log make(LogFormat format, const char* level = "info") {
    return Log({.level = level, .format = format, .file = file_, .clock = [this] { return now_ns_; }});
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::rewind(file_);
    std::string text;
    char piece[4096];
    for (size_t got = 0; (got = std::fread(piece, 1, sizeof piece, file_)) > 0;)
      text.append(piece, got);
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      all.push_back(line);
    return all;
  }
  [[nodiscard]] std::vector<Json> objects() const {
    std::vector<Json> all;
    for (const std::string& line : lines())
      all.push_back(Json::parse(line));
    return all;
  }

  std::FILE* const file_ = std::tmpfile();
  int64_t now_ns_ = 1'000'000'000'000;
};

TEST_F(LogTest, APersonsLineSaysWhoseItIs) {
  Log log = make(LogFormat::kHuman);
  log.info("worker %u runs", 3u);
  log.line(LogLevel::kWarning,
           {.session = 7, .request = 12, .peer = "unix:/run/a.sock", .tenant = "acme", .vm = "vm1"},
           "that is too much");
  log.debug("nobody asked");
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(std::regex_match(
      all[0], std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} vacceld info: worker 3 runs)")))
      << all[0];
  EXPECT_TRUE(all[1].ends_with(
      " vacceld warning: session 7 (unix:/run/a.sock, tenant acme, VM vm1), request 12: that is too much"))
      << all[1];
}

TEST_F(LogTest, AProgramsLineHasAFieldForEachPart) {
  Log log = make(LogFormat::kJson, "debug");
  const uint32_t worker = 0;
  const LogNumber number{"duration_us", 1500};
  log.info("ready");
  log.line(LogLevel::kDebug,
           {.session = 7,
            .request = UINT64_MAX,
            .peer = "unix:/run/a.sock",
            .tenant = "acme",
            .vm = "vm1",
            .operator_name = "infer",
            .model = "mobilenet",
            .worker = &worker,
            .numbers = {&number, 1}},
           "it failed");
  const auto all = objects();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(std::regex_match(all[0]["time"].get<std::string>(),
                               std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  EXPECT_EQ(all[0]["level"], "info");
  EXPECT_EQ(all[0]["message"], "ready");
  EXPECT_EQ(all[0].size(), 3u) << all[0];
  Json rest = all[1];
  rest.erase("time");
  EXPECT_EQ(rest, (Json{{"level", "debug"},
                        {"message", "it failed"},
                        {"session", 7},
                        {"request", UINT64_MAX},
                        {"peer", "unix:/run/a.sock"},
                        {"tenant", "acme"},
                        {"vm", "vm1"},
                        {"worker", 0},
                        {"operator", "infer"},
                        {"model", "mobilenet"},
                        {"duration_us", 1500}}));
}

TEST_F(LogTest, LinesOfAWorkersSlotSayWhichOne) {
  Log log = make(LogFormat::kJson);
  Log slot(log, 5);
  slot.error("worker 5, pid 12, was killed");
  slot.line(LogLevel::kError, {.model = "mobilenet"}, "it is too large");
  log.set_level("error");
  slot.warning("not any more");
  const auto all = objects();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["worker"], 5);
  EXPECT_EQ(all[1]["worker"], 5);
  EXPECT_EQ(all[1]["model"], "mobilenet");
}

TEST_F(LogTest, NoTextBreaksALineOrCommandsATerminal) {
  {
    Log log = make(LogFormat::kHuman);
    log.line(LogLevel::kInfo, {.session = 1, .peer = kHostile, .tenant = kHostile, .vm = kHostile}, "%s",
             kHostile);
    log.warning("%s", std::string(100'000, '\n').c_str());
  }
  const auto all = lines();
  ASSERT_EQ(all.size(), 2u);
  for (const std::string& line : all) {
    EXPECT_LT(line.size(), 4096u);
    for (const char character : line)
      EXPECT_TRUE(static_cast<unsigned char>(character) >= 0x20 && character != 0x7f) << line;
    EXPECT_EQ(line.find("\xc2\x9b"), std::string::npos);
  }
}

TEST_F(LogTest, NoTextBreaksJson) {
  {
    Log log = make(LogFormat::kJson);
    const LogSubject subject{.session = 1,
                             .peer = kHostile,
                             .tenant = kHostile,
                             .vm = kHostile,
                             .operator_name = kHostile,
                             .model = kHostile};
    log.line(LogLevel::kInfo, subject, "%s", kHostile);
    // Cut within a character.
    log.info("%s", (std::string(2046, 'x') + "\xe2\x82\xac").c_str());
  }
  const auto all = objects();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["level"], "info");
  EXPECT_EQ(all[0]["message"], "a\"b\\c\nd\r\x1b[2Je\t\x7f\xc2\x9b\xef\xbf\xbd{\"level\":\"error\"}");
  for (const std::string& line : lines()) {
    for (const char character : line)
      EXPECT_TRUE(character >= 0x20 && character < 0x7f) << line;
  }
}

TEST_F(LogTest, AFloodOfAKindIsCountedAndOtherLinesAreNotTouched) {
  {
    Log log = make(LogFormat::kJson);
    const auto break_protocol = [&](int times) {
      for (int time = 0; time < times; ++time)
        log.client_line(ClientLine::kBrokenProtocol, LogLevel::kWarning, {.session = 1, .peer = "x"},
                        "no frame");
    };
    break_protocol(1000);
    EXPECT_EQ(lines().size(), 20u);
    for (int time = 0; time < 100; ++time)
      log.warning("worker 0 is started again");
    EXPECT_EQ(lines().size(), 120u);
    log.client_line(ClientLine::kRefusedSession, LogLevel::kWarning, {.session = 2, .peer = "x"}, "full");
    EXPECT_EQ(lines().size(), 121u);
    now_ns_ += 1'000'000'000;
    break_protocol(10);
    auto all = objects();
    ASSERT_EQ(all.size(), 127u) << "five in a second, and one that tells of the others";
    EXPECT_EQ(all[121]["message"],
              "980 more lines like this were left out: sessions that broke the protocol");
    EXPECT_EQ(all[121]["left_out"], 980);
    EXPECT_EQ(all[122]["session"], 1);
    // What is not written for its level is not left out.
    for (int time = 0; time < 100; ++time)
      log.client_line(ClientLine::kFailedCall, LogLevel::kDebug, {.session = 2, .peer = "x"}, "failed");
  }
  const auto all = objects();
  ASSERT_EQ(all.size(), 128u) << "the end tells of the rest";
  EXPECT_EQ(all.back()["left_out"], 5);
}

TEST(LineMeter, GivesABurstAndThenFiveASecond) {
  LineMeter meter;
  int64_t now_ns = 5'000'000'000;
  int admitted = 0;
  for (int time = 0; time < 1000; ++time)
    admitted += meter.admits(now_ns) ? 1 : 0;
  EXPECT_EQ(admitted, 20);
  EXPECT_EQ(meter.take_left_out(), 980u);
  EXPECT_EQ(meter.take_left_out(), 0u);
  // However often it is asked, ten seconds are fifty lines.
  admitted = 0;
  for (int step = 0; step < 10'000; ++step) {
    now_ns += 1'000'000;
    admitted += meter.admits(now_ns) ? 1 : 0;
  }
  EXPECT_EQ(admitted, 50);
  now_ns += int64_t{3600} * 1'000'000'000;
  admitted = 0;
  for (int time = 0; time < 1000; ++time)
    admitted += meter.admits(now_ns) ? 1 : 0;
  EXPECT_EQ(admitted, 20);
}

}  // namespace
}  // namespace vaccel::agent
