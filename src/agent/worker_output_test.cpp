// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

namespace vaccel::agent {
namespace {

class WorkerOutputTest : public testing::Test {
 protected:
  WorkerOutputTest() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
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
  EXPECT_EQ(all[0]["message"], "worker 3: no device");
  EXPECT_EQ(all[0]["worker"], 3);
  EXPECT_EQ(all[1]["level"], "info");
  EXPECT_EQ(all[1]["message"], "worker 3: as a library says it");
  EXPECT_EQ(all[2]["level"], "error");
  EXPECT_EQ(all[2]["message"], "worker 3: in two pieces");
}

TEST_F(WorkerOutputTest, NoLineCanPassForAnothers) {
  write("2026-11-28T20:00:00.000 vacceld error: session 1: \x1b[2Jforged\r\n");
  run(20);
  const auto all = lines();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["level"], "info");
  EXPECT_TRUE(all[0]["message"].get<std::string>().starts_with("worker 3: 2026-"));
}

TEST_F(WorkerOutputTest, ALongLineIsCutInPieces) {
  write(std::string(WorkerOutput::kMaxLineBytes, 'a') + std::string(WorkerOutput::kMaxLineBytes, 'b') +
        "c\n");
  run(20);
  const auto all = lines();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]["message"], "worker 3: " + std::string(WorkerOutput::kMaxLineBytes, 'a'));
  EXPECT_EQ(all[2]["message"], "worker 3: c");
}

TEST_F(WorkerOutputTest, AFloodIsMeasuredAndHeldBack) {
  ASSERT_EQ(::fcntl(writing_.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string line = "flood\n";
  size_t written = 0;
  const auto flood = [&] {
    while (::write(writing_.get(), line.data(), line.size()) > 0)
      ++written;
  };
  flood();
  // 64 KiB were in the pipe: more lines than may be told, so the loop rests with most of them still there.
  run(20);
  flood();
  run(20);
  EXPECT_LT(written, size_t{100} << 10);
  const size_t told = lines().size();
  EXPECT_GE(told, static_cast<size_t>(WorkerOutput::kBurst));
  EXPECT_LE(told, static_cast<size_t>(WorkerOutput::kBurst) + 2);
  output_.end();
  const auto last = lines().back();
  EXPECT_NE(last["message"].get<std::string>().find("more lines were left out"), std::string::npos) << last;
  EXPECT_GT(last["left_out"], 1000);
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
