// SPDX-License-Identifier: Apache-2.0
//
// How large a joint run should be: learned from what runs of each size cost. Kept for the sizes 1, 2, 4, ... is the cost of a
// row, an average that follows the load. The size is the smallest whose rows cost within 2% of the cheapest: larger ones
// would only let the first caller wait for the last. A size that was never tried is tried when it comes next (twice the
// present size), so that it grows while that pays; and one run in 64 tries the sizes next to the present one again, since
// what was true an hour ago, on an idle machine, need not be now. On a GPU, where a run of one row costs what a run of
// many does, this ends at many; on a CPU, where each row costs the same, at one.
//
// Only arithmetic: no clock, no lock, nothing of calls. Whoever owns it guards it.
#pragma once

#include <array>
#include <cstdint>

namespace vaccel::runtime {

class BatchTuner {
 public:
  /// Sizes are 1 to `most_rows`, at least 1. Not `tuned`: the size is always `most_rows`.
  BatchTuner(uint32_t most_rows, bool tuned) : most_rows_(most_rows), tuned_(tuned) {}

  /// The present size.
  [[nodiscard]] uint32_t size() const { return tuned_ ? size_ : most_rows_; }
  /// How many rows the next joint run may have: the size, or one that is to be tried. `waiting` rows are there; with fewer
  /// than a larger size needs, that is not tried.
  uint32_t next_size(uint32_t waiting);
  /// A run of so many rows took so long, less what others that ran at the same time had of it.
  void ran(uint32_t rows, uint64_t took_ns);
  /// What one more row saves by joining a run instead of having one of its own, as far as is known.
  [[nodiscard]] uint64_t saving_ns() const;
  /// Runs of more rows than `rows` have failed: there are to be none any more.
  void never_above(uint32_t rows);

 private:
  struct Cost {
    double row_ns = 0;
    uint32_t samples = 0;
    [[nodiscard]] bool known() const { return samples >= kLeastSamples; }
  };
  static constexpr uint32_t kLeastSamples = 3;
  static constexpr uint32_t kTryAgainEvery = 64;  // runs
  static constexpr double kAsGood = 1.02;

  void choose();

  uint32_t most_rows_;
  const bool tuned_;
  uint32_t size_ = 1;
  uint32_t turn_ = 0;
  std::array<Cost, 32> costs_;  // [k]: of 2^k to 2^(k+1) - 1 rows
};

}  // namespace vaccel::runtime
