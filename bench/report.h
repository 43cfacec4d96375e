// SPDX-License-Identifier: Apache-2.0
//
// What the benchmark found, in the one form that every section has: rows of case, unit, ours, beside, beside_name,
// ratio, goal, holds; what could not be measured, and why. As a table for people or as JSON for programs, which also
// get latencies over payload sizes, to be drawn.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure.h"

namespace vaccel::bench {

/// What a case should measure up to. A goal that is not reached is told, and is no failure.
struct Goal {
  enum class Kind {
    kNone,
    kAtMostTimes,   ///< ours / beside <= limit
    kAtMostMore,    ///< ours - beside <= limit, in the row's unit
    kAtMost,        ///< ours <= limit, in the row's unit
    kAtLeastTimes,  ///< ours / beside >= limit
    kWithinTimes,   ///< ours / beside differs from 1 by no more than limit
  };
  Kind kind = Kind::kNone;
  double limit = 0;

  static Goal at_most_times(double limit) { return {Kind::kAtMostTimes, limit}; }
  static Goal at_most_more(double limit) { return {Kind::kAtMostMore, limit}; }
  static Goal at_most(double limit) { return {Kind::kAtMost, limit}; }
  static Goal at_least_times(double limit) { return {Kind::kAtLeastTimes, limit}; }
  static Goal within_times(double limit) { return {Kind::kWithinTimes, limit}; }
};

/// A row's numbers are in it.
enum class Unit {
  kNanoseconds,
  kMicroseconds,
  kMilliseconds,
  kCallsPerSecond,
  // What is no time:
  kCount,
  kKibibytes,
  kBytesPerSecond,
};

/// A case to be reported, and what was measured of it in each round: nanoseconds for units of time (and for
/// kCallsPerSecond, which is made of them), bytes for kKibibytes, and else numbers of the unit.
struct Finding {
  std::string name;
  Unit unit = Unit::kMicroseconds;
  std::vector<double> ours;
  std::string beside_name;     ///< "": there is nothing beside.
  std::vector<double> beside;  ///< As many as ours; empty where nothing is beside.
  Goal goal;
  /// All samples, for percentiles; empty where the numbers are made from several measurements.
  std::vector<double> our_samples;
  std::vector<double> beside_samples;
};

struct Row {
  std::string section;
  std::string name;
  std::string unit;
  double ours = 0;  ///< The median of the rounds, as is `beside`.
  std::optional<double> beside;
  std::string beside_name;
  /// The median of the rounds' ratios: steadier than the ratio of the medians, from which it may differ a little.
  std::optional<double> ratio;
  std::string goal;  ///< "<= 1.5x", "<= +30 ns", "<= 5 ms"; "": none.
  std::optional<bool> holds;
  std::vector<std::pair<std::string, double>> details;  ///< Percentiles and counts, in JSON only.
};

/// How long calls take with a payload of some size, over one of several paths: a point of a line in a drawing.
struct Latency {
  std::string path;  ///< "ring spinning", "gRPC"; the same name is the same line.
  bool ours = true;  ///< Else it is a floor or a peer.
  size_t bytes = 0;
  std::vector<double> samples;  ///< Nanoseconds; not empty.
};

/// The machine that it was measured on.
struct Machine {
  std::string cpu;
  long cores = 0;
  std::string kernel;
  std::string compiler;
  std::string date;         ///< "2026-01-31T12:00:00Z"
  double load_average = 0;  ///< Of the last minute, at the start: what else was going on.
};

Machine this_machine();

class Report {
 public:
  Report() : machine_(this_machine()) {}
  void add(const std::string& section, const Finding& finding);
  void add(const std::string& section, const Latency& latency);
  /// Something that is not measured here. @param reason  A sentence.
  void skip(const std::string& section, const std::string& name, const std::string& reason);

  [[nodiscard]] std::string table() const;
  /// @param section  What was asked for: a section's name, or "all".
  [[nodiscard]] std::string json(const std::string& section) const;

 private:
  struct Skipped {
    std::string section;
    std::string name;
    std::string reason;
  };

  Machine machine_;
  std::vector<Row> rows_;
  std::vector<std::string> latencies_;  ///< As JSON objects.
  std::vector<Skipped> skipped_;
};

}  // namespace vaccel::bench
