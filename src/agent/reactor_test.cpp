// SPDX-License-Identifier: Apache-2.0
#include "agent/reactor.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"

namespace vaccel::agent {
namespace {

TEST(Reactor, TimersFireInTheirOrderAndNotWhenCancelled) {
  auto reactor = std::move(Reactor::create().value());
  std::string order;
  const int64_t now = now_ns();
  reactor->at(now + 2'000'000, [&] { order += 'b'; });
  reactor->at(now + 1'000'000, [&] { order += 'a'; });
  auto cancelled = reactor->at(now + 1'500'000, [&] { order += 'x'; });
  reactor->cancel(cancelled);
  EXPECT_FALSE(cancelled.set());
  reactor->at(now + 3'000'000, [&] { reactor->stop(); });
  reactor->run();
  EXPECT_EQ(order, "ab");
}

TEST(Reactor, ADescriptorMayRemoveItselfAndAnotherWhoseEventIsDue) {
  auto reactor = std::move(Reactor::create().value());
  UniqueFd first{::eventfd(1, EFD_CLOEXEC)};
  UniqueFd second{::eventfd(1, EFD_CLOEXEC)};
  int calls = 0;
  const auto ready = [&](uint32_t) {
    ++calls;
    reactor->remove(first.get());
    reactor->remove(second.get());
    first.reset();
    second.reset();
    reactor->defer([&] { reactor->stop(); });
  };
  ASSERT_TRUE(reactor->add(first.get(), EPOLLIN, ready).ok());
  ASSERT_TRUE(reactor->add(second.get(), EPOLLIN, ready).ok());
  reactor->run();
  EXPECT_EQ(calls, 1);
}

TEST(Reactor, DeferredTasksMayDeferMore) {
  auto reactor = std::move(Reactor::create().value());
  int count = 0;
  std::function<void()> again = [&] {
    if (++count == 3) {
      reactor->stop();
    } else {
      reactor->defer(again);
    }
  };
  reactor->defer(again);
  reactor->run();
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace vaccel::agent
