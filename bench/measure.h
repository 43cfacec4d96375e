// SPDX-License-Identifier: Apache-2.0
//
// Measuring things beside each other. All sides of a comparison take turns in one run, a burst of samples each, so
// that a machine which slows down or is shared hits them alike; what is compared are the rounds, each side's median
// of one burst with the other sides' medians of the same round.
//
// It knows nothing of vAccel: a side is a function that does something a number of times.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace vaccel::bench {

/// What is measured: `sample` does `operations` operations. It throws when one fails.
struct Side {
  std::function<void()> sample;
  size_t operations = 1;
  /// Instead of `sample`, for what takes its own time (in another process, or several at once): does so many samples in
  /// a row and returns nanoseconds an operation of each.
  std::function<std::vector<double>(size_t samples)> burst;
};

/// How long and how finely.
struct Plan {
  double seconds = 2;  ///< For all sides together, the warm-up (a tenth) included.
  size_t burst = 16;   ///< Samples of one side before it is the next one's turn.
};

/// What one side took, in nanoseconds an operation.
struct Series {
  std::vector<double> rounds;   ///< The median sample of each round.
  std::vector<double> samples;  ///< All of them.
};

/// Measures for about plan.seconds, but no fewer than three rounds. Returns one series a side; all have the same
/// number of rounds.
std::vector<Series> measure(std::span<const Side> sides, const Plan& plan);

/// The value below which a part of the values lies: 0.5 is the median. `values` must not be empty.
double quantile(std::vector<double> values, double part);
double median(const std::vector<double>& values);

/// Makes one value a round out of the sides' values in that round, and returns their list.
std::vector<double> by_round(const std::vector<Series>& series,
                             const std::function<double(std::span<const double>)>& combine);

/// Keeps the compiler from dropping what makes `value`.
template <typename T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace vaccel::bench
