// SPDX-License-Identifier: Apache-2.0
//
// soak: mixed load for a long time, every answer looked at, and whether agent and worker grow. Now and then all clients
// close their sessions for three seconds, and what the processes have then is a sample: of memory that is in use for a call or a
// session nothing is left in it.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent_figures.h"
#include "catalogue_model.h"
#include "checked_load.h"
#include "core/clock.h"
#include "failure.h"
#include "measure.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "soak";
constexpr size_t kClients = 4;
constexpr double kSamples = 40;
constexpr double kLeastPauseSeconds = 0.25;  // between samples
// A worker gives back what its heap keeps two seconds after its last call.
constexpr int kSettleUs = 3'000'000;
constexpr double kMebibyteAnHour = 1'048'576.0 / 3600;

// Classifies a photo again and again, on one session; it must always show the same.
class Classifier {
 public:
  Classifier(const std::string& endpoint, const Setting& setting)
      : session_(endpoint), photo_(read(setting.photo)), best_(session_.classify(photo_)) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  /// Between two calls, until it is given back.
  [[nodiscard]] std::unique_lock<std::mutex> rest() { return std::unique_lock(mutex_); }
  [[nodiscard]] uint64_t answers() const { return answers_; }
  void throw_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  static std::vector<std::byte> read(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  }
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      {
        const std::lock_guard lock(mutex_);
        try {
          if (const int32_t best = session_.classify(photo_); best != best_)
            give_up("a photo that showed class %d shows class %d", best_, best);
        } catch (...) {
          failure_ = std::current_exception();
          return;
        }
        ++answers_;
      }
      ::usleep(1'000);  // whoever wants it to rest has a chance
    }
  }

  Session session_;
  std::vector<std::byte> photo_;
  int32_t best_;
  std::mutex mutex_;  // of what follows, and of the session
  uint64_t answers_ = 0;
  std::exception_ptr failure_;
  std::jthread thread_;
};

struct Sample {
  double seconds = 0;
  double agent_bytes = 0;
  double worker_bytes = 0;
  double calls = 0;
};

// Least squares: how much `value` grows by for each unit of `over`.
double slope(const std::vector<Sample>& samples, double Sample::*over, double Sample::*value) {
  double mean_over = 0;
  double mean_value = 0;
  for (const Sample& sample : samples) {
    mean_over += sample.*over / static_cast<double>(samples.size());
    mean_value += sample.*value / static_cast<double>(samples.size());
  }
  double together = 0;
  double alone = 0;
  for (const Sample& sample : samples) {
    together += (sample.*over - mean_over) * (sample.*value - mean_value);
    alone += (sample.*over - mean_over) * (sample.*over - mean_over);
  }
  return alone > 0 ? together / alone : 0;
}

class Soak {
 public:
  explicit Soak(const Setting& setting)
      : folder_(setting), agent_(setting, folder_), load_(folder_.agent_endpoint(), kClients) {
    if (is_in_catalogue(setting, kModel)) classifier_.emplace(folder_.agent_endpoint(), setting);
  }

  void run(double seconds);
  void add_to(Report& report) const;

 private:
  [[nodiscard]] Sample sample(double seconds);

  WorkFolder folder_;
  AgentProcess agent_;
  CheckedLoad load_;
  std::optional<Classifier> classifier_;
  std::vector<Sample> samples_;
};

Sample Soak::sample(double seconds) {
  std::unique_lock<std::mutex> rest;
  if (classifier_) {
    rest = classifier_->rest();
    classifier_->throw_failure();
  }
  load_.pause();
  ::usleep(kSettleUs);
  Sample sample{.seconds = seconds, .calls = static_cast<double>(load_.totals().right)};
  if (classifier_) sample.calls += static_cast<double>(classifier_->answers());
  sample.agent_bytes = static_cast<double>(footprint_of(agent_.pid()).resident_bytes);
  for (const pid_t worker : children_of(agent_.pid()))
    sample.worker_bytes += static_cast<double>(footprint_of(worker).resident_bytes);
  load_.resume();
  return sample;
}

void Soak::run(double seconds) {
  const double pause = std::max(kLeastPauseSeconds, seconds / kSamples);
  const Stopwatch stopwatch;
  for (double elapsed = 0; elapsed < seconds;) {
    ::usleep(static_cast<useconds_t>(pause * 1e6));
    elapsed = static_cast<double>(stopwatch.elapsed_ns()) / 1e9;
    samples_.push_back(sample(elapsed));
  }
}

void Soak::add_to(Report& report) const {
  const LoadTotals totals = load_.totals();
  for (const std::string& problem : totals.problems)
    std::fprintf(stderr, "vaccel-bench: soak: %s\n", problem.c_str());
  const auto add = [&](const std::string& name, Unit unit, double value, const Goal& goal = {}) {
    report.add(kSection, {.name = name, .unit = unit, .ours = {value}, .goal = goal});
  };
  const std::vector<Sample> later(samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2),
                                  samples_.end());
  add("minutes", Unit::kCount, samples_.back().seconds / 60);
  add("right answers", Unit::kCount, samples_.back().calls);
  add("wrong answers", Unit::kCount, static_cast<double>(totals.wrong), Goal::at_most(0));
  add("calls without a right answer", Unit::kCount,
      static_cast<double>(totals.stuck + totals.unavailable + totals.refused), Goal::at_most(0));
  const auto grown = [&](const char* whose, double Sample::*bytes) {
    const std::string process = whose;
    add(process + ": memory grows by, in the later half", Unit::kBytesPerSecond,
        slope(later, &Sample::seconds, bytes), Goal::at_most(std::round(kMebibyteAnHour)));
    add(process + ": ..., for 1000 calls", Unit::kKibibytes, 1000 * slope(later, &Sample::calls, bytes));
    report.add(kSection, {.name = process + ": memory at the end",
                          .unit = Unit::kKibibytes,
                          .ours = {later.back().*bytes},
                          .beside_name = "when half of the time was over",
                          .beside = {later.front().*bytes}});
  };
  grown("agent", &Sample::agent_bytes);
  grown("worker", &Sample::worker_bytes);
}

}  // namespace

void measure_soak(const Setting& setting, Report& report) {
  if (setting.soak_seconds <= 0)
    return report.skip(kSection, "mixed load", "it takes minutes; --soak-minutes says how many");
  Soak soak(setting);
  soak.run(setting.soak_seconds);
  soak.add_to(report);
}

}  // namespace vaccel::bench
