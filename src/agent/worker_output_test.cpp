// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "core/clock.h"

namespace vaccel::agent {
namespace {

class WorkerOutputTest : public testing::Test {
 protected:
  WorkerOutputTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    writing_ = UniqueFd{ends[1]};
    EXPECT_TRUE(output_.begin(UniqueFd{ends[0]}).ok());
  }
  ~WorkerOutputTest() override { std::fclose(file_); }

  void write(const std::string& text) const {
    ASSERT_EQ(::write(writing_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // Lets the loop do what there is to do, for so long.
  void run(int64_t milliseconds) {
    reactor_->after_ms(milliseconds, [this] { reactor_->stop(); });
    reactor_->run();
  }
  [[nodiscard]] std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> all;
    std::rewind(file_);
    std::string text;
    char piece[4096];
    for (size_t got = 0; (got = std::fread(piece, 1, sizeof piece, file_)) > 0;)
      text.append(piece, got);
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      all.push_back(nlohmann::json::parse(line));
    return all;
  }

  std::FILE* const file_ = std::tmpfile();
  std::unique_ptr<Reactor> reactor_ = std::move(*Reactor::create());
  Log all_{{.format = LogFormat::kJson, .file = file_}};
  Log log_{all_, 3};
  WorkerOutput output_{*reactor_, log_, "worker 3"};
  UniqueFd writing_;
};

TEST_F(WorkerOutputTest, LinesSayWhoseTheyAreAndHowBad) {
  write("<4>no device\n<7>of no interest\nas a library says it\n<3>");
  write("in two pieces");
  run(20);
  ASSERT_EQ(lines().size(), 2u) << "the last one has not ended";
  output_.end();
  const auto all = lines();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["level"], "warning");
  EXPECT_EQ(all[0]["message"], "worker 3 says: no device");
  EXPECT_EQ(all[0]["worker"], 3);
  EXPECT_EQ(all[1]["level"], "info");
  EXPECT_EQ(all[1]["message"], "worker 3 says: as a library says it");
  EXPECT_EQ(all[2]["level"], "error");
  EXPECT_EQ(all[2]["message"], "worker 3 says: in two pieces");
}

TEST_F(WorkerOutputTest, NoLineCanPassForAnothers) {
  write("2026-11-28T20:00:00.000 vacceld error: session 1: \x1b[2Jforged\r\n");
  run(20);
  const auto all = lines();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["level"], "info");
  EXPECT_TRUE(all[0]["message"].get<std::string>().starts_with("worker 3 says: 2026-"));
}

TEST_F(WorkerOutputTest, ALongLineIsCutInPieces) {
  write(std::string(WorkerOutput::kMaxLineBytes, 'a') + std::string(WorkerOutput::kMaxLineBytes, 'b') +
        "c\n");
  run(20);
  const auto all = lines();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["message"], "worker 3 says: " + std::string(WorkerOutput::kMaxLineBytes, 'a'));
  EXPECT_EQ(all[2]["message"], "worker 3 says: c");
}

TEST_F(WorkerOutputTest, PiecesOfALineAreOfItsLevel) {
  write("<3>" + std::string(3 * WorkerOutput::kMaxLineBytes, 'x') + "\nand another\n");
  run(20);
  const auto all = lines();
  ASSERT_EQ(all.size(), 5u);
  for (size_t piece = 0; piece < 4; ++piece)
    EXPECT_EQ(all[piece]["level"], "error") << piece;
  EXPECT_EQ(all[4]["level"], "info");
}

TEST_F(WorkerOutputTest, NothingIsHiddenBehindANul) {
  write(std::string("before\0after\n", 13));
  run(20);
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_EQ(lines()[0]["message"], "worker 3 says: before?after");
}

TEST_F(WorkerOutputTest, AFloodIsMeasured) {
  std::string flood;  // at once: a socket holds few small writes
  for (int count = 0; count < 1'000; ++count)
    flood += "flood\n";
  write(flood);
  run(100);
  const size_t told = lines().size();
  EXPECT_GE(told, static_cast<size_t>(WorkerOutput::kBurst));
  EXPECT_LE(told, static_cast<size_t>(WorkerOutput::kBurst) + 10);
  output_.end();
  const auto last = lines().back();
  EXPECT_NE(last["message"].get<std::string>().find("more lines, which were left out"), std::string::npos)
      << last;
  EXPECT_GT(last["left_out"], 700);
}

// Lines, lines that nobody wants to know of, empty ones, and one that does not end.
class AFlood : public WorkerOutputTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Of, AFlood, testing::Values("flood\n", "<7>x\n", "\n", "x"));

TEST_P(AFlood, IsReadAtAMeasuredRate) {
  ASSERT_EQ(::fcntl(writing_.get(), F_SETFL, O_NONBLOCK), 0);
  std::string piece;
  while (piece.size() < 16'384)
    piece += GetParam();
  int64_t written = 0;
  const std::function<void()> flood = [&] {
    for (ssize_t got = 1; got > 0;) {
      got = ::write(writing_.get(), piece.data(), piece.size());
      written += std::max<ssize_t>(got, 0);
    }
    reactor_->after_ms(1, flood);
  };
  flood();
  const int64_t began_ns = now_ns();
  run(1'000);
  const int64_t took_ms = (now_ns() - began_ns) / 1'000'000;
  constexpr int64_t kHeldBySocket = 2 << 20;
  EXPECT_LE(written, took_ms * WorkerOutput::kBytesPerMs + kHeldBySocket);
  EXPECT_GT(written, 100'000);
}

TEST_F(WorkerOutputTest, WhoClosesItsEndIsNotAskedAgain) {
  write("the last one\n");
  writing_.reset();
  run(20);
  EXPECT_EQ(lines().size(), 1u);
  output_.end();
  EXPECT_EQ(lines().size(), 1u);
}

}  // namespace
}  // namespace vaccel::agent
