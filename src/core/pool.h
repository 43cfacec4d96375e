// SPDX-License-Identifier: Apache-2.0
//
// Things that are dear to make, used by one at a time and again and again. There are as many as are in use at a time, whatever the
// number of threads, and the one that came back last, which is warm, goes out first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
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

  /// @param most_kept  What comes back beyond it is destroyed. No more threads run at a time than there are CPUs.
  explicit Pool(size_t most_kept = std::max(4U, std::thread::hardware_concurrency()))
      : most_kept_(most_kept) {
    kept_.reserve(most_kept);
  }

  /// One that was used before, as it was left, or a new one.
  [[nodiscard]] Lent take() {
    std::unique_ptr<Thing> thing;
    {
      const std::lock_guard lock(mutex_);
      if (!kept_.empty()) {
        thing = std::move(kept_.back());
        kept_.pop_back();
      }
    }
    return {*this, thing ? std::move(thing) : std::make_unique<Thing>()};
  }

 private:
  void put(std::unique_ptr<Thing> thing) {
    const std::lock_guard lock(mutex_);
    if (kept_.size() < most_kept_) kept_.push_back(std::move(thing));
  }  // or it goes, when nobody waits for the lock any more

  const size_t most_kept_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Thing>> kept_;
};

}  // namespace vaccel
