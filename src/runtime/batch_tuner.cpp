// SPDX-License-Identifier: Apache-2.0
#include "runtime/batch_tuner.h"

#include <algorithm>
#include <bit>

namespace vaccel::runtime {
namespace {

// The cost of `rows` is kept under the largest power of two within them.
size_t slot_of(uint32_t rows) {
  return static_cast<size_t>(std::bit_width(rows) - 1);
}

}  // namespace

uint32_t BatchTuner::next_size(uint32_t waiting) {
  if (!tuned_) return most_rows_;
  ++turn_;
  if (!costs_[slot_of(size_)].known()) return size_;  // what others are compared with
  if (size_ <= most_rows_ / 2 && waiting / 2 >= size_) {
    const uint32_t larger = size_ * 2;
    if (!costs_[slot_of(larger)].known() || turn_ % kTryAgainEvery == 0) return larger;
  }
  if (size_ > 1 && turn_ % kTryAgainEvery == kTryAgainEvery / 2) return size_ / 2;
  return size_;
}

void BatchTuner::ran(uint32_t rows, uint64_t took_ns) {
  if (rows == 0) return;
  Cost& cost = costs_[slot_of(rows)];
  const double sample = static_cast<double>(took_ns) / rows;
  // A run that was held up by something else says little: what is quicker counts more, and what is slower than twice the
  // average counts as twice. The first ones of a size also pay for what a framework prepares for it.
  if (cost.samples == 0) {
    cost.row_ns = sample;
  } else if (!cost.known()) {
    cost.row_ns = std::min(cost.row_ns, sample);
  } else {
    const double share = sample < cost.row_ns ? 0.5 : 0.125;
    cost.row_ns += share * (std::min(sample, 2 * cost.row_ns) - cost.row_ns);
  }
  if (!cost.known()) ++cost.samples;
  choose();
}

void BatchTuner::choose() {
  double best = 0;
  for (const Cost& cost : costs_) {
    if (cost.known() && (best == 0 || cost.row_ns < best)) best = cost.row_ns;
  }
  for (size_t slot = 0; slot < costs_.size(); ++slot) {
    if (!costs_[slot].known() || costs_[slot].row_ns > best * kAsGood) continue;
    size_ = std::min(uint32_t{1} << slot, most_rows_);
    return;
  }
}

uint64_t BatchTuner::saving_ns() const {
  const Cost& alone = costs_[0];
  const Cost& joined = costs_[slot_of(size())];
  if (!alone.known() || !joined.known() || joined.row_ns >= alone.row_ns) return 0;
  return static_cast<uint64_t>(alone.row_ns - joined.row_ns);
}

void BatchTuner::never_above(uint32_t rows) {
  most_rows_ = std::max<uint32_t>(1, std::min(rows, most_rows_));
  size_ = std::min(size_, most_rows_);
  for (size_t slot = slot_of(most_rows_) + 1; slot < costs_.size(); ++slot)
    costs_[slot] = {};
}

}  // namespace vaccel::runtime
