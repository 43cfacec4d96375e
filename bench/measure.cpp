// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"

namespace vaccel::bench {
namespace {

constexpr size_t kLeastRounds = 3;
constexpr double kWarmUpPart = 0.1;

double sample_ns(const Side& side) {
  const Stopwatch stopwatch;
  side.sample();
  return static_cast<double>(stopwatch.elapsed_ns()) / static_cast<double>(side.operations);
}

std::vector<double> burst_ns(const Side& side, size_t samples) {
  if (side.burst) return side.burst(samples);
  std::vector<double> burst;
  burst.reserve(samples);
  for (size_t sample = 0; sample < samples; ++sample)
    burst.push_back(sample_ns(side));
  return burst;
}

int64_t seconds_from_now(double seconds) {
  return now_ns() + static_cast<int64_t>(seconds * 1e9);
}

void warm_up(std::span<const Side> sides, double seconds) {
  for (const int64_t until = seconds_from_now(seconds);;) {
    for (const Side& side : sides)
      burst_ns(side, 1);
    if (now_ns() >= until) return;
  }
}

}  // namespace

std::vector<Series> measure(std::span<const Side> sides, const Plan& plan) {
  warm_up(sides, plan.seconds * kWarmUpPart);
  std::vector<Series> series(sides.size());
  const int64_t until = seconds_from_now(plan.seconds * (1 - kWarmUpPart));
  for (size_t round = 0; round < kLeastRounds || now_ns() < until; ++round) {
    for (size_t index = 0; index < sides.size(); ++index) {
      const std::vector<double> burst = burst_ns(sides[index], plan.burst);
      series[index].rounds.push_back(median(burst));
      series[index].samples.insert(series[index].samples.end(), burst.begin(), burst.end());
    }
  }
  return series;
}

double quantile(std::vector<double> values, double part) {
  const auto last = static_cast<double>(values.size() - 1);
  const auto place = static_cast<std::ptrdiff_t>(std::lround(part * last));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<size_t>(place)];
}

double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

std::vector<double> by_round(const std::vector<Series>& series,
                             const std::function<double(std::span<const double>)>& combine) {
  std::vector<double> combined;
  std::vector<double> of_round(series.size());
  for (size_t round = 0; round < series.front().rounds.size(); ++round) {
    for (size_t side = 0; side < series.size(); ++side)
      of_round[side] = series[side].rounds[round];
    combined.push_back(combine(of_round));
  }
  return combined;
}

}  // namespace vaccel::bench
