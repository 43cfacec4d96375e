// SPDX-License-Identifier: Apache-2.0
#include "tenant_load.h"

#include <algorithm>
#include <exception>
#include <latch>
#include <random>
#include <thread>

#include "core/clock.h"

namespace vaccel::bench {
namespace {

constexpr double kStartPart = 0.1;

struct Period {
  int64_t start_ns;
  int64_t counted_from_ns;
  int64_t end_ns;
};

// A call that was answered.
struct Answered {
  int64_t wanted_ns;
  int64_t at_ns;
};

void sleep_until(int64_t moment_ns) {
  const timespec moment{moment_ns / 1'000'000'000, moment_ns % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr) != 0) {
  }
}

// When one client's calls are wanted: at once, or with pauses as of callers who know nothing of each other.
class Moments {
 public:
  Moments(double calls_per_second, uint32_t seed, int64_t start_ns)
      : random_(seed), pauses_(calls_per_second > 0 ? calls_per_second : 1), next_ns_(start_ns) {
    at_once_ = calls_per_second <= 0;
  }
  int64_t next() {
    if (at_once_) return now_ns();
    next_ns_ += static_cast<int64_t>(pauses_(random_) * 1e9);
    return next_ns_;
  }

 private:
  std::mt19937 random_;
  std::exponential_distribution<double> pauses_;  // in seconds
  int64_t next_ns_;
  bool at_once_ = false;
};

std::vector<Answered> call_for(const Period& period, Moments moments, const std::function<void()>& call) {
  std::vector<Answered> answered;
  for (int64_t wanted = moments.next(); wanted < period.end_ns; wanted = moments.next()) {
    if (wanted > now_ns()) sleep_until(wanted);
    call();
    if (const int64_t at = now_ns(); at >= period.counted_from_ns && at <= period.end_ns)
      answered.push_back({wanted, at});
    if (now_ns() >= period.end_ns) break;
  }
  return answered;
}

TenantFigures figures_of(std::vector<Answered> answered, const Period& period) {
  TenantFigures figures;
  std::ranges::sort(answered, {}, &Answered::at_ns);
  for (const Answered& one : answered)
    figures.latencies.push_back(static_cast<double>(one.at_ns - one.wanted_ns));
  // From the first answer to the last one: a whole number of calls, so that one more or less in the period is no matter.
  const int64_t between_ns = answered.size() > 1 ? answered.back().at_ns - answered.front().at_ns : 0;
  figures.calls_per_second =
      between_ns > 0 ? static_cast<double>(answered.size() - 1) * 1e9 / static_cast<double>(between_ns)
                     : static_cast<double>(answered.size()) * 1e9 /
                           static_cast<double>(period.end_ns - period.counted_from_ns);
  return figures;
}

}  // namespace

TenantClients::TenantClients(std::vector<TenantLoad> tenants, std::function<void(const Session&)> call)
    : tenants_(std::move(tenants)), call_(std::move(call)) {
  for (const TenantLoad& tenant : tenants_) {
    auto& sessions = sessions_.emplace_back();
    // The queue is what is looked at: windows, rings and spinning would only take CPU from the agent.
    for (size_t client = 0; client < tenant.clients; ++client)
      sessions.push_back(
          std::make_unique<Session>(tenant.endpoint, VACCEL_OPEN_NO_WINDOW | VACCEL_OPEN_NO_SPIN));
  }
}

std::vector<TenantFigures> TenantClients::run(double seconds) const {
  size_t count = 0;
  for (const auto& sessions : sessions_)
    count += sessions.size();
  std::vector<std::vector<Answered>> answered(tenants_.size());
  std::vector<std::vector<Answered>> of_clients(count);
  std::vector<std::exception_ptr> failures(count);
  std::latch ready(static_cast<std::ptrdiff_t>(count) + 1);
  std::latch go(1);
  Period period{};
  {
    std::vector<std::jthread> threads;
    for (size_t tenant = 0; tenant < tenants_.size(); ++tenant) {
      for (const auto& session : sessions_[tenant]) {
        threads.emplace_back([&, tenant, client = threads.size()] {
          ready.arrive_and_wait();
          go.wait();
          try {
            of_clients[client] = call_for(
                period,
                Moments(tenants_[tenant].calls_per_second, static_cast<uint32_t>(client), period.start_ns),
                [&] { call_(*session); });
          } catch (...) {
            failures[client] = std::current_exception();
          }
        });
      }
    }
    ready.arrive_and_wait();
    const auto length_ns = static_cast<int64_t>(seconds * 1e9);
    const auto start_ns = static_cast<int64_t>(kStartPart * seconds * 1e9);
    period.start_ns = now_ns();
    period.counted_from_ns = period.start_ns + start_ns;
    period.end_ns = period.counted_from_ns + length_ns;
    go.count_down();
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  size_t client = 0;
  std::vector<TenantFigures> figures;
  for (const auto& sessions : sessions_) {
    std::vector<Answered> of_tenant;
    for (size_t one = 0; one < sessions.size(); ++one, ++client)
      of_tenant.insert(of_tenant.end(), of_clients[client].begin(), of_clients[client].end());
    figures.push_back(figures_of(std::move(of_tenant), period));
  }
  return figures;
}

}  // namespace vaccel::bench
