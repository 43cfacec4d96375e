// SPDX-License-Identifier: Apache-2.0
#include "core/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace vaccel {
namespace {

struct Counted {
  static inline std::atomic<int> alive = 0;
  Counted() { ++alive; }
  ~Counted() { --alive; }
  int uses = 0;
};

TEST(Pool, TheOneThatCameBackLastGoesOutFirst) {
  Pool<Counted> pool;
  std::optional<Pool<Counted>::Lent> first(pool.take());
  std::optional<Pool<Counted>::Lent> second(pool.take());
  Counted* last = &**first;
  second.reset();
  first.reset();
  const auto again = pool.take();
  EXPECT_EQ(&*again, last);
  EXPECT_EQ(Counted::alive, 2);
}

TEST(Pool, WhatOnlyAPeakNeededGoes) {
  {
    Pool<Counted> pool;
    {
      std::vector<Pool<Counted>::Lent> all;
      for (int count = 0; count < 20; ++count)
        all.push_back(pool.take());
    }
    EXPECT_EQ(Counted::alive, 20) << "for the next peak, if it comes soon";
    for (uint32_t use = 0; use < 10 * Pool<Counted>::kLookAfter; ++use) {
      const auto one = pool.take();
      const auto two = pool.take();
    }
    EXPECT_EQ(Counted::alive, 2) << "as many as are in use at a time";
    pool.clear();
    EXPECT_EQ(Counted::alive, 0);
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(Pool, NobodySharesWhatHeHas) {
  Pool<Counted> pool;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&pool] {
      for (int time = 0; time < 2'000; ++time) {
        const auto mine = pool.take();
        const int before = mine->uses++;
        EXPECT_EQ(mine->uses, before + 1);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

}  // namespace
}  // namespace vaccel
