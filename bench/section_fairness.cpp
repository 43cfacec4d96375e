// SPDX-License-Identifier: Apache-2.0
//
// fairness: how one worker is shared among tenants. 64 of equal weight, one of which asks for ten times its share, beside
// the other 63 without it; and three of weights 1, 2 and 4 that all ask for more than there is.
//
// The operator sleeps for a known time in a worker that runs one call at a time, so the worker is what is short, and not
// the CPUs that clients, agent and worker share on a small machine.
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "measure.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"
#include "tenant_load.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "fairness";
constexpr size_t kTenants = 64;
constexpr size_t kOthers = kTenants - 1;
constexpr size_t kGreed = 10;         // shares that the greedy tenant asks for
constexpr int64_t kCostUs = 500;      // of a call, in the worker
constexpr double kPartOfShare = 0.8;  // that the others ask for when they are not always busy
constexpr size_t kRounds = 5;
constexpr size_t kWeights[] = {1, 2, 4};
constexpr size_t kWaiting = 8;  // calls that each of the weighted tenants always has under way

std::string tenant_name(size_t index) {
  return "t" + std::to_string(index);
}

std::string tables_of_tenants() {
  std::string tables;
  const auto add = [&](const std::string& name, size_t weight) {
    tables += "[[tenant]]\nname = \"" + name + "\"\nweight = " + std::to_string(weight) +
              "\nlisten = [\"unix:FOLDER/" + name + ".sock\"]\n";
  };
  for (size_t index = 0; index < kTenants; ++index)
    add(tenant_name(index), 1);
  for (const size_t weight : kWeights)
    add("w" + std::to_string(weight), weight);
  return tables;
}

std::string endpoint_of(const WorkFolder& folder, const std::string& tenant) {
  return "unix:" + (folder.path() / (tenant + ".sock")).string();
}

void sleep_in_worker(const Session& session) {
  vaccel_attribute attribute{};
  attribute.name = "microseconds";
  attribute.type = VACCEL_ATTRIBUTE_INT;
  attribute.value.integer = kCostUs;
  session.call("reference.delay", nullptr, &attribute);
}

std::vector<TenantLoad> others(const WorkFolder& folder, double calls_per_second) {
  std::vector<TenantLoad> loads;
  for (size_t index = 0; index < kOthers; ++index)
    loads.push_back({endpoint_of(folder, tenant_name(index)), 1, calls_per_second});
  return loads;
}

std::vector<TenantLoad> with_greedy(std::vector<TenantLoad> loads, const WorkFolder& folder) {
  loads.push_back({endpoint_of(folder, tenant_name(kOthers)), kGreed, 0});
  return loads;
}

double all_calls_per_second(const std::vector<TenantFigures>& figures) {
  return std::accumulate(figures.begin(), figures.end(), 0.0,
                         [](double sum, const TenantFigures& one) { return sum + one.calls_per_second; });
}

double nanoseconds_a_call(double calls_per_second) {
  return 1e9 / calls_per_second;
}

std::vector<double> times(std::vector<double> values, double factor) {
  for (double& value : values)
    value *= factor;
  return values;
}

// Calls of those that are not greedy.
std::vector<double> latencies_of_others(const std::vector<TenantFigures>& figures) {
  std::vector<double> all;
  for (size_t index = 0; index < kOthers; ++index)
    all.insert(all.end(), figures[index].latencies.begin(), figures[index].latencies.end());
  return all;
}

// What the rounds found, each of the other tenants alone and then with the greedy one.
struct Rounds {
  std::vector<double> p99;
  std::vector<double> p99_alone;
  std::vector<std::vector<double>> of_each;  // of each tenant that is not greedy, nanoseconds a call
  std::vector<double> of_others;             // nanoseconds a call of these together
  std::vector<double> all;                   // nanoseconds a call of all together
  std::vector<double> calls_alone;
  std::vector<double> calls;
  double capacity = 0;  // calls a second, of all together
};

Rounds rounds_of(const WorkFolder& folder, double calls_per_second, double seconds) {
  const auto loads = others(folder, calls_per_second);
  const TenantClients alone(loads, sleep_in_worker);
  const TenantClients together(with_greedy(loads, folder), sleep_in_worker);
  Rounds rounds;
  rounds.of_each.resize(kOthers);
  (void)together.run(seconds / 4);  // the agent learns what a call costs
  for (size_t round = 0; round < kRounds; ++round) {
    const auto of_others = latencies_of_others(alone.run(seconds));
    const auto figures = together.run(seconds);
    const auto beside_greedy = latencies_of_others(figures);
    rounds.capacity = all_calls_per_second(figures);
    rounds.p99_alone.push_back(quantile(of_others, 0.99));
    rounds.p99.push_back(quantile(beside_greedy, 0.99));
    rounds.calls_alone.insert(rounds.calls_alone.end(), of_others.begin(), of_others.end());
    rounds.calls.insert(rounds.calls.end(), beside_greedy.begin(), beside_greedy.end());
    rounds.all.push_back(nanoseconds_a_call(rounds.capacity));
    rounds.of_others.push_back(nanoseconds_a_call(rounds.capacity - figures.back().calls_per_second));
    for (size_t tenant = 0; tenant < kOthers; ++tenant)
      rounds.of_each[tenant].push_back(nanoseconds_a_call(figures[tenant].calls_per_second));
  }
  return rounds;
}

void add_p99(const Rounds& rounds, const std::string& name, Report& report) {
  report.add(kSection, {.name = name,
                        .unit = Unit::kMilliseconds,
                        .ours = rounds.p99,
                        .beside_name = "without the greedy one",
                        .beside = rounds.p99_alone,
                        .goal = Goal::at_most_times(2),
                        .our_samples = rounds.calls,
                        .beside_samples = rounds.calls_alone});
}

void measure_greed(const WorkFolder& folder, double seconds, Report& report) {
  const Rounds busy = rounds_of(folder, 0, seconds);
  report.add(kSection, {.name = "64 always busy, one at 10x: the others together",
                        .unit = Unit::kCallsPerSecond,
                        .ours = busy.of_others,
                        .beside_name = "63 of 64 parts of all calls",
                        .beside = times(busy.all, double{kTenants} / kOthers),
                        .goal = Goal::at_least_times(0.95)});
  // In most rounds: the worker's time is shared and not its calls, so one that the machine stops while its call runs is
  // charged for it.
  const auto least = std::ranges::max_element(busy.of_each, {}, median);
  report.add(kSection, {.name = "64 always busy, one at 10x: the one that gets least",
                        .unit = Unit::kCallsPerSecond,
                        .ours = *least,
                        .beside_name = "a 64th of all calls",
                        .beside = times(busy.all, kTenants),
                        .goal = Goal::at_least_times(0.95)});
  add_p99(busy, "64 always busy, one at 10x: p99 of the others", report);
  const double asked = kPartOfShare * busy.capacity / kTenants;
  add_p99(rounds_of(folder, asked, seconds), "63 at 0.8 of their share, one at 10x: p99 of the others",
          report);
}

void measure_weights(const WorkFolder& folder, double seconds, Report& report) {
  std::vector<TenantLoad> loads;
  for (const size_t weight : kWeights)
    loads.push_back({endpoint_of(folder, "w" + std::to_string(weight)), kWaiting, 0});
  const TenantClients clients(loads, sleep_in_worker);
  const double all_weights = std::accumulate(std::begin(kWeights), std::end(kWeights), 0.0);
  (void)clients.run(seconds / 4);
  std::vector<std::vector<double>> got(loads.size());
  std::vector<std::vector<double>> due(loads.size());
  for (size_t round = 0; round < kRounds; ++round) {
    const auto figures = clients.run(seconds);
    const double all = all_calls_per_second(figures);
    for (size_t index = 0; index < loads.size(); ++index) {
      got[index].push_back(nanoseconds_a_call(figures[index].calls_per_second));
      due[index].push_back(nanoseconds_a_call(all * static_cast<double>(kWeights[index]) / all_weights));
    }
  }
  for (size_t index = 0; index < loads.size(); ++index) {
    const std::string weight = std::to_string(kWeights[index]);
    report.add(kSection, {.name = "weight " + weight + " of 1:2:4",
                          .unit = Unit::kCallsPerSecond,
                          .ours = got[index],
                          .beside_name = weight + " of 7 parts of all calls",
                          .beside = due[index],
                          .goal = Goal::within_times(0.05)});
  }
}

}  // namespace

void measure_fairness(const Setting& setting, Report& report) {
  const WorkFolder folder(
      setting, {.keys = "worker.threads = 1\n", .tables = tables_of_tenants(), .reference_only = true});
  const AgentProcess agent(setting, folder);
  measure_greed(folder, setting.seconds_per_case, report);
  measure_weights(folder, setting.seconds_per_case, report);
}

}  // namespace vaccel::bench
