// SPDX-License-Identifier: Apache-2.0
//
// call: what a call to an agent costs over a unix socket, whatever it is about. Nothing is shared: payloads follow their
// calls. Section channel is about the other paths.
#include <deque>

#include "failure.h"
#include "raw_peer.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr size_t kSmall = 64;
constexpr size_t kBurst = 16;
constexpr size_t kLargeBurst = 4;
constexpr size_t kInFlight = 32;

class CallSection {
 public:
  CallSection(const Setting& setting, Report& report)
      : setting_(setting),
        report_(report),
        small_peer_(kSmall, kSmall),
        folder_(setting),
        agent_(setting, folder_),
        session_(folder_.agent_endpoint(), VACCEL_OPEN_NO_WINDOW),
        small_("x", VACCEL_UINT8, {kSmall}, some_bytes(kSmall)) {}

  void small_calls();
  void large_input(const char* name, size_t bytes);
  void large_result(const char* name, size_t bytes);
  void many_in_flight();

 private:
  Side to_agent() {
    return {[this] { session_.call("vaccel.echo", small_.view()); }};
  }
  Side to_worker() {
    return {[this] { session_.call("reference.echo", small_.view()); }};
  }
  void large_call(const std::string& name, const Side& ours, RawPeer& peer);
  void keep_in_flight();

  const Setting& setting_;
  Report& report_;
  RawPeer small_peer_;
  WorkFolder folder_;
  AgentProcess agent_;
  Session session_;
  Tensor small_;
};

void CallSection::small_calls() {
  const Side raw{[this] { small_peer_.exchange(); }};
  const auto series = measure(std::vector{to_agent(), raw, to_worker()},
                              {.seconds = 2 * setting_.seconds_per_case, .burst = kBurst});
  report_.add("call", {.name = "64 B call, agent answers",
                       .ours = series[0].rounds,
                       .beside_name = "raw ping-pong, 64 B",
                       .beside = series[1].rounds,
                       .goal = Goal::at_most_times(1.5),
                       .our_samples = series[0].samples,
                       .beside_samples = series[1].samples});
  report_.add("call", {.name = "64 B call, worker answers",
                       .ours = series[2].rounds,
                       .beside_name = "64 B call, agent answers",
                       .beside = series[0].rounds,
                       .our_samples = series[2].samples,
                       .beside_samples = series[0].samples});
  report_.add("call", {.name = "the hop to a worker",
                       .ours = by_round(series, [](auto round) { return round[2] - round[0]; }),
                       .beside_name = "raw ping-pong, 64 B",
                       .beside = series[1].rounds});
}

// What is beside is the raw transfer and the time that the way to a worker and back takes, measured in the same rounds.
void CallSection::large_call(const std::string& name, const Side& ours, RawPeer& peer) {
  const Side raw{[&] { peer.exchange(); }};
  const auto series = measure(std::vector{ours, raw, to_agent(), to_worker()},
                              {.seconds = 2 * setting_.seconds_per_case, .burst = kLargeBurst});
  report_.add("call", {.name = name,
                       .ours = series[0].rounds,
                       .beside_name = "raw transfer + hop to a worker",
                       .beside = by_round(series, [](auto round) { return round[1] + round[3] - round[2]; }),
                       .goal = Goal::at_most_times(1.25),
                       .our_samples = series[0].samples});
  report_.add("call", {.name = name + ", hop included",
                       .ours = series[0].rounds,
                       .beside_name = "raw transfer",
                       .beside = series[1].rounds,
                       .our_samples = series[0].samples,
                       .beside_samples = series[1].samples});
}

void CallSection::large_input(const char* name, size_t bytes) {
  const Tensor input("x", VACCEL_UINT8, {static_cast<int64_t>(bytes)}, some_bytes(bytes));
  RawPeer peer(bytes, kSmall);
  large_call(name, {[&] { session_.call("reference.noop", input.view()); }}, peer);
}

void CallSection::large_result(const char* name, size_t bytes) {
  vaccel_attribute size{};
  size.name = "bytes";
  size.type = VACCEL_ATTRIBUTE_INT;
  size.value.integer = static_cast<int64_t>(bytes);
  RawPeer peer(kSmall, bytes);
  large_call(name, {[&] { session_.call("reference.fill", nullptr, &size); }}, peer);
}

// Hands in kInFlight calls, then collects the oldest and hands in another, and so on, and collects the last.
void CallSection::keep_in_flight() {
  constexpr size_t kCalls = 8 * kInFlight;
  std::deque<vaccel_request*> requests;
  const auto collect = [&] {
    vaccel_request* request = requests.front();
    requests.pop_front();
    const vaccel_status status = vaccel_wait(request, 0);
    vaccel_request_free(request);
    check(status, "a submitted call");
  };
  for (size_t call = 0; call < kCalls; ++call) {
    if (requests.size() == kInFlight) collect();
    vaccel_request* request = nullptr;
    check(vaccel_submit_call(session_.get(), "reference.echo", nullptr, nullptr, 0, small_.view(), 1, nullptr,
                             &request),
          "cannot submit a call");
    requests.push_back(request);
  }
  while (!requests.empty())
    collect();
}

void CallSection::many_in_flight() {
  const Side pipelined{[this] { keep_in_flight(); }, 8 * kInFlight};
  const Side alone{[this] {
                     for (size_t call = 0; call < kInFlight; ++call)
                       session_.call("reference.echo", small_.view());
                   },
                   kInFlight};
  const auto series =
      measure(std::vector{pipelined, alone}, {.seconds = setting_.seconds_per_case, .burst = 4});
  report_.add("call", {.name = "64 B calls, 32 in flight",
                       .unit = Unit::kCallsPerSecond,
                       .ours = series[0].rounds,
                       .beside_name = "one at a time",
                       .beside = series[1].rounds});
}

}  // namespace

void measure_call(const Setting& setting, Report& report) {
  CallSection section(setting, report);
  section.small_calls();
  section.large_input("600 KB input", 600'000);
  section.large_input("5 MB input", 5'000'000);
  section.large_result("600 KB result", 600'000);
  section.many_in_flight();
}

}  // namespace vaccel::bench
