// SPDX-License-Identifier: Apache-2.0
//
// How many lines of one kind may be written: some at once, then so many a second. What is more is counted, so that the log
// can say how much it does not.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace vaccel::agent {

class LineMeter {
 public:
  static constexpr int64_t kBurst = 20;
  static constexpr int64_t kEachNs = 200'000'000;  ///< 5 a second.

  explicit LineMeter(int64_t burst = kBurst, int64_t each_ns = kEachNs)
      : burst_(burst), each_ns_(each_ns), left_(burst) {}

  /// Whether a line may be written at this moment. One that may not is counted as left out.
  bool admits(int64_t now_ns) {
    const int64_t earned = (now_ns - refilled_ns_) / each_ns_;
    if (earned > 0) {
      left_ = std::min(burst_, left_ + std::min(earned, burst_));
      refilled_ns_ += earned * each_ns_;
    }
    if (left_ == 0) {
      ++left_out_;
      return false;
    }
    --left_;
    return true;
  }

  /// How many have been left out since this was asked last.
  uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  int64_t burst_;
  int64_t each_ns_;
  int64_t left_;
  int64_t refilled_ns_ = 0;
  uint64_t left_out_ = 0;
};

}  // namespace vaccel::agent
