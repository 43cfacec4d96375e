// SPDX-License-Identifier: Apache-2.0
#include "concurrent_clients.h"

#include <algorithm>
#include <exception>
#include <latch>
#include <thread>

#include "core/clock.h"
#include "placement.h"

namespace vaccel::bench {
namespace {

// Calls until the time is over, at least once. @return the nanoseconds a call.
double call_for(const std::function<void()>& call, double seconds) {
  const Stopwatch stopwatch;
  const auto enough_ns = static_cast<uint64_t>(seconds * 1e9);
  uint64_t elapsed_ns = 0;
  size_t calls = 0;
  while (elapsed_ns < enough_ns) {
    call();
    ++calls;
    elapsed_ns = stopwatch.elapsed_ns();
  }
  return static_cast<double>(elapsed_ns) / static_cast<double>(calls);
}

double slowest(const std::vector<ConcurrentClient>& clients, double seconds) {
  std::vector<double> took(clients.size());
  std::vector<std::exception_ptr> failures(clients.size());
  std::latch start(static_cast<std::ptrdiff_t>(clients.size()));
  {
    std::vector<std::jthread> threads;
    for (size_t index = 0; index < clients.size(); ++index) {
      threads.emplace_back([&, index] {
        start.arrive_and_wait();
        try {
          const OnCpu on_cpu(clients[index].cpu);
          took[index] = call_for(clients[index].call, seconds);
        } catch (...) {
          failures[index] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return std::ranges::max(took);
}

}  // namespace

Side concurrently(std::vector<ConcurrentClient> clients, double seconds_per_sample) {
  Side side;
  side.burst = [clients = std::move(clients), seconds_per_sample](size_t samples) {
    std::vector<double> result;
    for (size_t sample = 0; sample < samples; ++sample)
      result.push_back(slowest(clients, seconds_per_sample));
    return result;
  };
  return side;
}

}  // namespace vaccel::bench
