// SPDX-License-Identifier: Apache-2.0
//
// channel: what it costs to get a payload from a process to an agent on the same host, over each path there is, beside
// the floor of that path and beside gRPC. The agent's own operators are called, so no worker is on the way.
#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel_path.h"
#include "concurrent_clients.h"
#include "failure.h"
#include "grpc_client.h"
#include "placement.h"
#include "raw_peer.h"
#include "raw_spin.h"
#include "section.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "channel";
constexpr size_t kSmall = 64;
constexpr size_t kQuicklyCopied = 10'000;

struct Payload {
  const char* name;
  size_t bytes;
  size_t burst;            ///< Samples of one side before it is the next one's turn.
  bool has_goals = false;  ///< Beside the 64 B call, and inline beside the raw transfer.
};
// A burst is long enough for both ends to find out again, after the others' turns, how long to spin.
constexpr Payload kPayloads[] = {
    {"64 B", kSmall, 64},          {"4 KB", 4'000, 64},           {"150 KB", 150'000, 64},
    {"600 KB", 600'000, 64, true}, {"5 MB", 5'000'000, 64, true}, {"64 MB", 64'000'000, 3},
};

constexpr std::array kPaths{&kUnixInline,   &kUnixWindow, &kUnixCopied,
                            &kRingSpinning, &kRingCopied, &kRingSleeping};
constexpr std::array kPathsOfTwoClients{&kUnixInline, &kUnixWindow, &kRingSpinning, &kRingSleeping};

const std::string kRawSocket = "raw socket";
const std::string kRawSpin = "raw spin exchange";
const std::string kMemcpy = "memcpy";
const std::string kGrpc = "gRPC";

// Sides that are measured together, each by its name.
class Turns {
 public:
  void add(const std::string& name, Side side) {
    places_[name] = sides_.size();
    sides_.push_back(std::move(side));
  }
  void measure(const Plan& plan) { series_ = bench::measure(sides_, plan); }
  [[nodiscard]] bool has(const std::string& name) const { return places_.contains(name); }
  [[nodiscard]] const Series& operator[](const std::string& name) const { return series_[places_.at(name)]; }

 private:
  std::map<std::string, size_t> places_;
  std::vector<Side> sides_;
  std::vector<Series> series_;
};

std::string small_call(const ChannelPath& path) {
  return std::string("64 B call, ") + path.name;
}

std::vector<double> sum(const std::vector<double>& one, const std::vector<double>& other) {
  std::vector<double> total;
  std::ranges::transform(one, other, std::back_inserter(total), std::plus<>());
  return total;
}

class ChannelSection {
 public:
  ChannelSection(const Setting& setting, Report& report);

  void one_client(const Payload& payload);
  void two_clients(const Payload& payload);

 private:
  struct Floor {
    std::string name;
    std::vector<double> rounds;
    Goal goal;
  };

  [[nodiscard]] bool is_left_out(const ChannelPath& path) const { return path.spins && placement_.one_cpu(); }
  void add_paths(const Payload& payload, Turns& turns);
  [[nodiscard]] Floor floor_of(const ChannelPath& path, const Payload& payload, const Turns& turns) const;
  void report_paths(const Payload& payload, const Turns& turns);
  void report_latencies(const Payload& payload, const Turns& turns);

  const Setting& setting_;
  Report& report_;
  const Placement placement_;
  ChannelAgents agents_;
  std::deque<ChannelClient> clients_;
  std::unique_ptr<RawSpin> raw_spin_;
  std::unique_ptr<GrpcClient> grpc_;
  // Last: agents and sessions that find themselves on one CPU when they start do not spin.
  std::optional<OnCpu> on_cpu_;
};

ChannelSection::ChannelSection(const Setting& setting, Report& report)
    : setting_(setting), report_(report), placement_(choose_placement()), agents_(setting) {
  for (const ChannelPath* path : kPaths) {
    if (is_left_out(*path))
      report.skip(kSection, path->name, "one CPU: two processes cannot both spin");
    else
      clients_.emplace_back(agents_, *path);
  }
  if (!placement_.one_cpu()) raw_spin_ = std::make_unique<RawSpin>(placement_.server);
  if (const auto missing = GrpcClient::missing(setting))
    report.skip(kSection, kGrpc, *missing);
  else
    grpc_ = std::make_unique<GrpcClient>(setting, agents_.folder());
  agents_.stay_on(placement_.server);
  on_cpu_.emplace(placement_.client);
}

// ---- One client

void ChannelSection::add_paths(const Payload& payload, Turns& turns) {
  for (ChannelClient& client : clients_) {
    const ChannelPath& path = client.path();
    client.forget();
    const vaccel_tensor* tensor = client.payload(payload.bytes);
    if (payload.bytes == kSmall) {
      turns.add(path.name, {[&, tensor] { client.echo(tensor); }});
      continue;
    }
    const vaccel_tensor* small = client.payload(kSmall);
    turns.add(path.name, {[&, tensor] { client.discard(tensor); }});
    turns.add(small_call(path), {[&, small] { client.discard(small); }});
  }
}

void ChannelSection::one_client(const Payload& payload) {
  Turns turns;
  add_paths(payload, turns);
  RawPeer peer(payload.bytes, kSmall, placement_.server);
  turns.add(kRawSocket, {[&] { peer.exchange(); }});
  if (raw_spin_ && payload.bytes == kSmall)
    turns.add(kRawSpin, {.burst = [&](size_t samples) { return raw_spin_->burst(samples); }});
  const std::vector<std::byte> source = some_bytes(payload.bytes);
  std::vector<std::byte> copy(payload.bytes);
  // Many a sample where one would take less than looking at the clock does.
  const size_t copies = payload.bytes <= kQuicklyCopied ? 1000 : 1;
  turns.add(kMemcpy, {[&, copies] {
                        for (size_t count = 0; count < copies; ++count) {
                          std::memcpy(copy.data(), source.data(), source.size());
                          keep(copy);
                        }
                      },
                      copies});
  if (grpc_)
    turns.add(kGrpc, {.burst = [&](size_t samples) { return grpc_->calls(payload.bytes, samples); }});
  turns.measure({.seconds = 3 * setting_.seconds_per_case, .burst = payload.burst});
  report_paths(payload, turns);
  report_latencies(payload, turns);
}

// What a path is to be measured by: for 64 B, the same exchange without any of ours; for more, what the path does with
// the payload, which in the window is nothing.
ChannelSection::Floor ChannelSection::floor_of(const ChannelPath& path, const Payload& payload,
                                               const Turns& turns) const {
  const auto at_most = [&](double limit) { return payload.has_goals ? Goal::at_most_times(limit) : Goal{}; };
  const auto& raw = turns[kRawSocket].rounds;
  if (payload.bytes == kSmall) {
    if (path.spins) return {kRawSpin, turns[kRawSpin].rounds, Goal::at_most_more(1)};
    return {kRawSocket, raw, {}};
  }
  switch (path.tensors) {
    case ChannelPath::Tensors::kInline:
      return {kRawSocket, raw, at_most(1.25)};
    case ChannelPath::Tensors::kInWindow:
      return {"64 B call", turns[small_call(path)].rounds, at_most(1.1)};
    case ChannelPath::Tensors::kCopied:
      return {"64 B call + memcpy", sum(turns[small_call(path)].rounds, turns[kMemcpy].rounds),
              at_most(1.15)};
  }
  return {};
}

void ChannelSection::report_paths(const Payload& payload, const Turns& turns) {
  for (const ChannelClient& client : clients_) {
    const ChannelPath& path = client.path();
    const Series& ours = turns[path.name];
    const std::string name = std::string(payload.name) + ", " + path.name;
    const Floor floor = floor_of(path, payload, turns);
    report_.add(kSection, {.name = name,
                           .ours = ours.rounds,
                           .beside_name = floor.name,
                           .beside = floor.rounds,
                           .goal = floor.goal,
                           .our_samples = ours.samples});
    if (!turns.has(kGrpc)) continue;
    // What a session does by itself where it can.
    const bool has_goal = path.open_flags == 0;
    report_.add(kSection, {.name = name + ", beside gRPC",
                           .ours = ours.rounds,
                           .beside_name = kGrpc,
                           .beside = turns[kGrpc].rounds,
                           .goal = has_goal ? Goal::at_most_times(0.2) : Goal{},
                           .our_samples = ours.samples,
                           .beside_samples = turns[kGrpc].samples});
  }
}

void ChannelSection::report_latencies(const Payload& payload, const Turns& turns) {
  const auto add = [&](const std::string& path, bool ours) {
    if (turns.has(path)) report_.add(kSection, Latency{path, ours, payload.bytes, turns[path].samples});
  };
  for (const ChannelPath* path : kPaths)
    add(path->name, true);
  for (const std::string& beside : {kRawSocket, kRawSpin, kMemcpy, kGrpc})
    add(beside, false);
}

// ---- Two clients

void ChannelSection::two_clients(const Payload& payload) {
  // Long enough for the scheduler to give each of them its share, where they share a CPU.
  const double sample_seconds = std::clamp(setting_.seconds_per_case / 20, 0.005, 0.1);
  for (const ChannelPath* path : kPathsOfTwoClients) {
    if (is_left_out(*path)) continue;
    std::deque<ChannelClient> pair;
    {
      const OnCpu anywhere(-1);
      pair.emplace_back(agents_, *path);
      pair.emplace_back(agents_, *path);
    }
    const auto calls_of = [&](ChannelClient& client, int cpu) {
      return ConcurrentClient{[&client, tensor = client.payload(payload.bytes)] { client.discard(tensor); },
                              cpu};
    };
    const ConcurrentClient first = calls_of(pair[0], placement_.client);
    const ConcurrentClient second = calls_of(pair[1], placement_.second_client);
    const auto series = measure(
        std::vector{concurrently({first, second}, sample_seconds), concurrently({first}, sample_seconds)},
        {.seconds = setting_.seconds_per_case, .burst = 1});
    report_.add(kSection,
                {.name = std::string(payload.name) + ", " + path->name + ", the slower of two clients",
                 .ours = series[0].rounds,
                 .beside_name = "one client",
                 .beside = series[1].rounds,
                 .goal = Goal::at_most_times(2)});
  }
}

}  // namespace

void measure_channel(const Setting& setting, Report& report) {
  ChannelSection section(setting, report);
  for (const Payload& payload : kPayloads)
    section.one_client(payload);
  for (const Payload& payload : kPayloads)
    section.two_clients(payload);
}

}  // namespace vaccel::bench
