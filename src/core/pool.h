// SPDX-License-Identifier: Apache-2.0
//
// Things that are dear to make, used by one at a time and again and again. There are as many as are in use at a time, whatever the
// number of threads; the one that came back last, which is warm, goes out first, and those that only a peak needed go by and by.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace vaccel {

/// Thread-safe. Outlives what it has lent.
template <typename Thing>
class Pool {
 public:
  class Lent {
   public:
    Lent(Pool& pool, std::unique_ptr<Thing> thing) : pool_(&pool), thing_(std::move(thing)) {}
    Lent(Lent&& other) noexcept = default;
    Lent& operator=(Lent&&) = delete;
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    ~Lent() {
      if (thing_) pool_->put(std::move(thing_));
    }
    Thing& operator*() const { return *thing_; }
    Thing* operator->() const { return thing_.get(); }

   private:
    Pool* pool_;
    std::unique_ptr<Thing> thing_;
  };

  /// After so many uses it is looked whether some have lain there all the time: half of them go.
  static constexpr uint32_t kLookAfter = 1024;

  /// One that was used before, as it was left, or a new one.
  [[nodiscard]] Lent take() {
    std::unique_ptr<Thing> thing;
    {
      const std::lock_guard lock(mutex_);
      if (!kept_.empty()) {
        thing = std::move(kept_.back());
        kept_.pop_back();
      }
      least_kept_ = std::min(least_kept_, kept_.size());
    }
    return {*this, thing ? std::move(thing) : std::make_unique<Thing>()};
  }

  /// Destroys all that are not in use.
  void clear() {
    std::vector<std::unique_ptr<Thing>> cold;
    const std::lock_guard lock(mutex_);
    cold.swap(kept_);
    least_kept_ = 0;
  }

 private:
  void put(std::unique_ptr<Thing> thing) {
    std::vector<std::unique_ptr<Thing>> cold;  // goes when nobody waits for the lock any more
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(thing));
    if (++uses_ < kLookAfter) return;
    const auto many = static_cast<std::ptrdiff_t>((least_kept_ + 1) / 2);
    cold.assign(std::move_iterator(kept_.begin()), std::move_iterator(kept_.begin() + many));
    kept_.erase(kept_.begin(), kept_.begin() + many);
    uses_ = 0;
    least_kept_ = kept_.size();
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Thing>> kept_;  // the coldest first
  size_t least_kept_ = 0;                     // since it was looked last
  uint32_t uses_ = 0;
};

}  // namespace vaccel
