// SPDX-License-Identifier: Apache-2.0
#include "agent/fair_queue.h"

#include <gtest/gtest.h>

#include <random>

namespace vaccel::agent {
namespace {

using Queue = FairQueue<int>;

std::shared_ptr<Tenant> tenant(const std::string& name, uint32_t weight = 1) {
  return std::make_shared<Tenant>(name, TenantSettings{.weight = weight});
}

constexpr auto kAnyLane = [](const std::string&) { return true; };
constexpr auto kAnybody = [](const Queue::Entry&) { return true; };

class FairQueueTest : public ::testing::Test {
 protected:
  uint64_t push(const std::shared_ptr<Tenant>& whose, double cost_ns = 1, const std::string& lane = "",
                int32_t priority = 0, int64_t deadline_ns = 0) {
    queue_.push({.ticket = ++last_,
                 .tenant = whose,
                 .lane = lane,
                 .priority = priority,
                 .deadline_ns = deadline_ns,
                 .cost_ns = cost_ns,
                 .least_ns = cost_ns,
                 .item = 0});
    return last_;
  }
  // Takes one and has it cost what was expected.
  std::optional<Queue::Entry> serve() {
    auto entry = queue_.pop(kAnyLane, kAnybody);
    if (entry) queue_.settle(*entry->tenant, entry->cost_ns, entry->cost_ns);
    return entry;
  }
  // Keeps every tenant busy, `count` times. @return what each has had of the worker's time.
  std::map<std::string, double> shares(const std::vector<std::shared_ptr<Tenant>>& tenants,
                                       const std::map<std::string, double>& costs, int count) {
    std::map<std::string, double> had;
    for (const auto& one : tenants) {
      push(one, costs.at(one->name()));
      push(one, costs.at(one->name()));
    }
    for (int turn = 0; turn < count; ++turn) {
      const auto entry = serve();
      had[entry->tenant->name()] += entry->cost_ns;
      push(entry->tenant, entry->cost_ns);
    }
    return had;
  }

  Queue queue_;
  uint64_t last_ = 0;
};

TEST_F(FairQueueTest, GivesOneTenantsCallsInTheirOrder) {
  const auto one = tenant("one");
  const uint64_t first = push(one);
  const uint64_t second = push(one);
  EXPECT_EQ(queue_.size(), 2u);
  EXPECT_EQ(serve()->ticket, first);
  EXPECT_EQ(serve()->ticket, second);
  EXPECT_FALSE(serve());
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FairQueueTest, SharesByCostAndNotByNumber) {
  const auto had = shares({tenant("cheap"), tenant("dear")}, {{"cheap", 10}, {"dear", 1000}}, 20'000);
  EXPECT_NEAR(had.at("cheap") / had.at("dear"), 1.0, 0.02);
}

TEST_F(FairQueueTest, SharesByWeight) {
  const auto had =
      shares({tenant("a", 1), tenant("b", 2), tenant("c", 4)}, {{"a", 30}, {"b", 50}, {"c", 70}}, 20'000);
  EXPECT_NEAR(had.at("b") / had.at("a"), 2.0, 0.04);
  EXPECT_NEAR(had.at("c") / had.at("a"), 4.0, 0.08);
}

TEST_F(FairQueueTest, ChargesWhatACallDidCost) {
  const auto honest = tenant("honest");
  const auto liar = tenant("liar");
  std::map<std::string, double> had;
  for (const auto& one : {honest, liar}) {
    push(one, 100);
    push(one, 100);
  }
  for (int turn = 0; turn < 10'000; ++turn) {
    auto entry = queue_.pop(kAnyLane, kAnybody);
    const double cost = entry->tenant == liar ? 500 : 100;  // expected: 100 of both
    had[entry->tenant->name()] += cost;
    queue_.settle(*entry->tenant, entry->cost_ns, cost);
    push(entry->tenant, 100);
  }
  EXPECT_NEAR(had.at("liar") / had.at("honest"), 1.0, 0.02);
}

TEST_F(FairQueueTest, WhatNeedNotWaitIsChargedAllTheSame) {
  const auto passing = tenant("passing");
  const auto other = tenant("other");
  push(other, 10);
  serve();
  for (int turn = 0; turn < 10; ++turn) {
    queue_.pass({.ticket = ++last_, .tenant = passing, .lane = "", .cost_ns = 10, .item = 0});
    queue_.settle(*passing, 10, 10);
  }
  for (int turn = 0; turn < 20; ++turn) {
    push(passing, 10);
    push(other, 10);
  }
  int of_other = 0;
  for (int turn = 0; turn < 10; ++turn)
    of_other += serve()->tenant == other ? 1 : 0;
  EXPECT_LE(of_other, 6) << "it was idle while the other was served, and has saved nothing up";
  EXPECT_GE(of_other, 5);
}

TEST_F(FairQueueTest, ATenantThatWasIdleHasSavedNothingUp) {
  const auto busy = tenant("busy");
  const auto late = tenant("late");
  push(late);
  serve();
  for (int turn = 0; turn < 1000; ++turn) {
    push(busy);
    serve();
  }
  for (int turn = 0; turn < 100; ++turn) {
    push(busy);
    push(late);
  }
  int of_late = 0;
  for (int turn = 0; turn < 50; ++turn)
    of_late += serve()->tenant == late ? 1 : 0;
  EXPECT_GE(of_late, 24);
  EXPECT_LE(of_late, 26);
}

TEST_F(FairQueueTest, ATenantAtTenTimesItsShareWaitsForItselfAlone) {
  const auto greedy = tenant("greedy");
  const auto modest = tenant("modest");
  for (int index = 0; index < 1000; ++index)
    push(greedy);
  for (int turn = 0; turn < 100; ++turn) {
    push(modest);
    const auto next = serve();
    const auto after = next->tenant == modest ? next : serve();
    EXPECT_EQ(after->tenant, modest) << "it waits for one call of the other's at most, at turn " << turn;
  }
}

TEST_F(FairQueueTest, PriorityThenDeadlineThenOrderWithinATenant) {
  const auto one = tenant("one");
  const uint64_t plain = push(one);
  const uint64_t late = push(one, 1, "", 0, 2000);
  const uint64_t soon = push(one, 1, "", 0, 1000);
  const uint64_t urgent = push(one, 1, "", 5);
  const uint64_t background = push(one, 1, "", -5, 1);
  for (const uint64_t expected : {urgent, soon, late, plain, background})
    EXPECT_EQ(serve()->ticket, expected);
}

TEST_F(FairQueueTest, PriorityCountsAmongATenantsOwnOnly) {
  const auto one = tenant("one");
  const auto other = tenant("other");
  push(one, 1, "", 100);
  push(one, 1, "", 100);
  push(other);
  const auto first = serve();
  const auto second = serve();
  EXPECT_NE(first->tenant, second->tenant);
}

TEST_F(FairQueueTest, ALaneWithoutRoomHoldsNobodyUp) {
  const auto one = tenant("one");
  const auto other = tenant("other");
  push(one, 1, "full");
  push(other, 1, "full");
  const uint64_t open = push(one, 1, "open");
  const auto has_room = [](const std::string& lane) { return lane != "full"; };
  EXPECT_EQ(queue_.pop(has_room, kAnybody)->ticket, open);
  EXPECT_FALSE(queue_.pop(has_room, kAnybody));
  EXPECT_EQ(queue_.size(), 2u);
  EXPECT_EQ(queue_.lane_sizes().at("full"), 2u);
  EXPECT_FALSE(queue_.lane_sizes().contains("open"));
}

TEST_F(FairQueueTest, WhoMayNotRunIsPassedOver) {
  const auto one = tenant("one");
  const auto other = tenant("other");
  push(one, 1, "model");
  const uint64_t allowed = push(other, 1, "model");
  const auto may_run = [&](const Queue::Entry& entry) { return entry.tenant != one; };
  EXPECT_EQ(queue_.pop(kAnyLane, may_run)->ticket, allowed);
  EXPECT_FALSE(queue_.pop(kAnyLane, may_run));
}

TEST_F(FairQueueTest, TakesOutOneOrALane) {
  const auto one = tenant("one");
  const uint64_t first = push(one, 1, "a");
  push(one, 1, "b");
  const uint64_t third = push(one, 1, "a");
  EXPECT_EQ(queue_.take(first)->ticket, first);
  EXPECT_FALSE(queue_.take(first));
  EXPECT_FALSE(queue_.take(999));
  const auto lane = queue_.take_lane("a");
  ASSERT_EQ(lane.size(), 1u);
  EXPECT_EQ(lane[0].ticket, third);
  EXPECT_EQ(queue_.size(), 1u);
  EXPECT_EQ(queue_.take_all().size(), 1u);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(FairQueueTest, TellsTheWaitAtATenantsShare) {
  constexpr double kAll = 1e18;
  const auto one = tenant("one", 1);
  const auto other = tenant("other", 3);
  const auto wait_of = [&](const std::shared_ptr<Tenant>& whose, int32_t priority, int64_t deadline_ns,
                           double enough) {
    return queue_.least_wait_ns({.ticket = last_ + 1,
                                 .tenant = whose,
                                 .lane = "new",
                                 .priority = priority,
                                 .deadline_ns = deadline_ns,
                                 .cost_ns = 1,
                                 .item = 0},
                                enough);
  };
  EXPECT_EQ(wait_of(one, 0, 0, kAll), 0);
  push(one, 100);
  push(one, 200, "a", 0, 5000);
  EXPECT_DOUBLE_EQ(wait_of(one, 0, 0, kAll), 300);
  EXPECT_DOUBLE_EQ(wait_of(one, 0, 6000, kAll), 200) << "those without a deadline come after it";
  EXPECT_DOUBLE_EQ(wait_of(one, 0, 4000, kAll), 0);
  EXPECT_DOUBLE_EQ(wait_of(one, 1, 0, kAll), 0) << "and those of lesser priority";
  EXPECT_DOUBLE_EQ(wait_of(one, -1, 4000, kAll), 300);
  EXPECT_DOUBLE_EQ(wait_of(one, 0, 0, 50), 100) << "no further than is asked";
  push(other, 1000);
  EXPECT_DOUBLE_EQ(wait_of(one, 0, 0, kAll), 1200);
  EXPECT_NEAR(wait_of(other, 0, 0, kAll), 1000 * 4.0 / 3, 1e-9);
}

// Whatever is done to it, it neither loses a call nor gives one out twice, and it forgets tenants that have gone.
TEST_F(FairQueueTest, KeepsCountUnderAnything) {
  std::mt19937 random(7);
  std::map<uint64_t, std::pair<std::shared_ptr<Tenant>, double>> running;
  std::set<uint64_t> queued;
  for (int turn = 0; turn < 50'000; ++turn) {
    switch (random() % 4) {
      case 0:
      case 1:
        queued.insert(push(tenant("t" + std::to_string(random() % 500)), static_cast<double>(random() % 1000),
                           std::string(1, static_cast<char>('a' + random() % 3)),
                           static_cast<int32_t>(random() % 3)));
        break;
      case 2:
        if (auto entry = queue_.pop([&](const std::string& lane) { return lane != "b" || random() % 2 == 0; },
                                    kAnybody)) {
          ASSERT_EQ(queued.erase(entry->ticket), 1u);
          running[entry->ticket] = {entry->tenant, entry->cost_ns};
        }
        break;
      default:
        if (!running.empty() && random() % 2 == 0) {
          const auto [whose, cost] = running.begin()->second;
          queue_.settle(*whose, cost, static_cast<double>(random() % 1000));
          running.erase(running.begin());
        } else if (!queued.empty()) {
          ASSERT_TRUE(queue_.take(*queued.begin()));
          queued.erase(queued.begin());
        }
    }
    ASSERT_EQ(queue_.size(), queued.size());
  }
}

}  // namespace
}  // namespace vaccel::agent
