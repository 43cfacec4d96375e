// SPDX-License-Identifier: Apache-2.0
//
// sessions: what an agent needs for many of them, and what is left when they have gone. 1,000 sessions of 100 VMs that
// come at a pattern of paths, all of which call; and connections that are opened for one call each.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "agent_figures.h"
#include "checked_call.h"
#include "core/clock.h"
#include "core/unique_fd.h"
#include "failure.h"
#include "measure.h"
#include "section.h"
#include "session.h"
#include "subprocess.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "sessions";
constexpr size_t kVms = 100;
constexpr size_t kSessionsOfAVm = 10;
constexpr size_t kSessions = kVms * kSessionsOfAVm;
constexpr size_t kCallers = 8;  // threads that call, each for its part of the sessions
constexpr size_t kCycles = 3;   // times that VMs and sessions come and go
constexpr size_t kConnects = 10'000;
constexpr double kSecondsOfAll = 1;  // with less, there are fewer connects
constexpr int64_t kPatienceNs = 20'000'000'000;

void wait_until(const char* what, const std::function<bool()>& holds) {
  const int64_t deadline = now_ns() + kPatienceNs;
  while (!holds()) {
    if (now_ns() > deadline)
      give_up("%s: not within %lld s", what, static_cast<long long>(kPatienceNs / 1'000'000'000));
    ::usleep(2'000);
  }
}

// A VM's socket as its VMM makes it; the agent listens beside it.
class VmSocket {
 public:
  explicit VmSocket(std::filesystem::path path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_.parent_path());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = UniqueFd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!fd_.valid() || ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      give_up("cannot make %s: %s", path_.c_str(), std::strerror(errno));
  }
  ~VmSocket() {
    std::error_code ignored;
    std::filesystem::remove_all(path_.parent_path(), ignored);
  }
  VmSocket(const VmSocket&) = delete;
  VmSocket& operator=(const VmSocket&) = delete;

  // Where the VM's functions arrive.
  [[nodiscard]] std::string endpoint() const { return "unix:" + agents_socket(); }
  [[nodiscard]] bool is_attached() const { return ::access(agents_socket().c_str(), F_OK) == 0; }

 private:
  [[nodiscard]] std::string agents_socket() const { return path_.string() + "_4411"; }

  std::filesystem::path path_;
  UniqueFd fd_;
};

using Sessions = std::vector<std::unique_ptr<Session>>;

Sessions connect_all(const std::vector<std::unique_ptr<VmSocket>>& vms) {
  Sessions sessions;
  for (const auto& vm : vms) {
    for (size_t count = 0; count < kSessionsOfAVm; ++count)
      sessions.push_back(std::make_unique<Session>(vm->endpoint()));
  }
  return sessions;
}

// Each of the sessions calls, kCallers of them at a time, and looks at its answer.
void call_on_all(const Sessions& sessions) {
  std::vector<std::string> problems(kCallers);
  {
    std::vector<std::jthread> threads;
    for (size_t caller = 0; caller < kCallers; ++caller) {
      threads.emplace_back([&, caller] {
        for (size_t index = caller; index < sessions.size(); index += kCallers) {
          const Outcome outcome =
              checked_sum(sessions[index]->get(), static_cast<uint32_t>(index), now_ns() + kPatienceNs);
          if (!outcome.is_right())
            problems[caller] = outcome.wrong.empty() ? vaccel_error_message() : outcome.wrong;
        }
      });
    }
  }
  for (const std::string& problem : problems) {
    if (!problem.empty()) give_up("a call on one of %zu sessions: %s", sessions.size(), problem.c_str());
  }
}

// An agent and what it holds.
class Agent {
 public:
  explicit Agent(const Setting& setting)
      : folder_(setting, {.tables = "[[watch]]\npattern = \"FOLDER/vms/{vm}/v.sock\"\ntenant = \"vms\"\n"
                                    "[[tenant]]\nname = \"vms\"\nmax_sessions = 2000\n",
                          .reference_only = true}),
        process_(setting, folder_) {}

  [[nodiscard]] const WorkFolder& folder() const { return folder_; }
  // When it stands still: the agent hears of a connection's end a moment later.
  [[nodiscard]] Footprint footprint() const {
    Footprint footprint = footprint_of(process_.pid());
    wait_until("the agent stands still", [&] {
      ::usleep(20'000);
      const size_t before = footprint.descriptors;
      footprint = footprint_of(process_.pid());
      return footprint.descriptors == before;
    });
    return footprint;
  }
  [[nodiscard]] wire::StatusReport status() const { return status_at(folder_.control()); }
  // Waits until it has heard of every end.
  void wait_until_empty() const {
    wait_until("the agent has no session and no VM any more", [&] {
      const auto report = status();
      return report.sessions == 0 && report.vms.empty();
    });
  }

 private:
  WorkFolder folder_;
  AgentProcess process_;
};

double grown(uint64_t after, uint64_t before) {
  return static_cast<double>(after) - static_cast<double>(before);
}

// What may stay: nothing, and of memory what an allocator keeps to itself.
void add_left(Report& report, const std::string& name, Unit unit, uint64_t ours, const char* beside_name,
              uint64_t beside) {
  constexpr double kAllocatorsKibibytes = 256;
  report.add(kSection, {.name = name,
                        .unit = unit,
                        .ours = {static_cast<double>(ours)},
                        .beside_name = beside_name,
                        .beside = {static_cast<double>(beside)},
                        .goal = Goal::at_most_more(unit == Unit::kKibibytes ? kAllocatorsKibibytes : 0)});
}

struct Cycle {
  Footprint with_vms;  // before they have sessions
  Footprint with_all;  // all sessions have called
  Footprint afterwards;
};

Cycle come_and_go(const Agent& agent) {
  Cycle cycle;
  {
    std::vector<std::unique_ptr<VmSocket>> vms;
    for (size_t index = 0; index < kVms; ++index)
      vms.push_back(std::make_unique<VmSocket>(agent.folder().path() / "vms" /
                                               ("vm" + std::to_string(index)) / "v.sock"));
    wait_until("all VMs are attached",
               [&] { return std::ranges::all_of(vms, [](const auto& vm) { return vm->is_attached(); }); });
    cycle.with_vms = agent.footprint();
    const Sessions sessions = connect_all(vms);
    for (int turn = 0; turn < 3; ++turn)
      call_on_all(sessions);
    cycle.with_all = agent.footprint();
    if (const auto status = agent.status(); status.sessions != kSessions || status.vms.size() != kVms)
      give_up("the agent has %u sessions of %zu VMs", status.sessions, status.vms.size());
  }
  agent.wait_until_empty();
  cycle.afterwards = agent.footprint();
  return cycle;
}

void measure_many(const Agent& agent, Report& report) {
  const Footprint before = agent.footprint();
  std::vector<Cycle> cycles;
  for (size_t count = 0; count < kCycles; ++count)
    cycles.push_back(come_and_go(agent));
  const Cycle& first =
      cycles.front();  // later ones find memory that the first ones have left to the allocator
  const Footprint& last = cycles.back().afterwards;
  report.add(kSection, {.name = "1000 live sessions of 100 VMs: memory of each",
                        .unit = Unit::kKibibytes,
                        .ours = {grown(first.with_all.proportional_bytes, first.with_vms.proportional_bytes) /
                                 kSessions},
                        .goal = Goal::at_most(64)});
  add_left(report, "1000 sessions: threads of the agent", Unit::kCount, first.with_all.threads,
           "without sessions", before.threads);
  add_left(report, "1000 sessions: descriptors when they have gone", Unit::kCount, last.descriptors, "before",
           before.descriptors);
  add_left(report, "1000 sessions: memory when they have gone for the third time", Unit::kKibibytes,
           last.proportional_bytes, "for the first time", first.afterwards.proportional_bytes);
}

// Sessions of this host, each with a window and rings of its own, through which it calls. @return while they are there.
Footprint windows_come_and_go(const Agent& agent) {
  Footprint with_all;
  {
    Sessions sessions;
    for (size_t count = 0; count < kSessions; ++count)
      sessions.push_back(std::make_unique<Session>(agent.folder().agent_endpoint()));
    for (int turn = 0; turn < 3; ++turn)
      call_on_all(sessions);
    with_all = agent.footprint();
  }
  agent.wait_until_empty();
  return with_all;
}

void measure_windows(const Agent& agent, Report& report) {
  const Footprint before = agent.footprint();
  const Footprint with_all = windows_come_and_go(agent);
  const Footprint first = agent.footprint();
  for (size_t count = 1; count < kCycles; ++count)
    (void)windows_come_and_go(agent);
  const Footprint last = agent.footprint();
  report.add(kSection, {.name = "1000 live sessions with windows: memory of each",
                        .unit = Unit::kKibibytes,
                        .ours = {grown(with_all.proportional_bytes, before.proportional_bytes) / kSessions},
                        .goal = Goal::at_most(64)});
  add_left(report, "1000 with windows: shared mappings when they have gone", Unit::kCount,
           last.shared_mappings, "before", before.shared_mappings);
  add_left(report, "1000 with windows: descriptors when they have gone", Unit::kCount, last.descriptors,
           "before", before.descriptors);
  add_left(report, "1000 with windows: memory when they have gone for the third time", Unit::kKibibytes,
           last.proportional_bytes, "for the first time", first.proportional_bytes);
}

void connect_and_call(const Agent& agent, uint32_t seed) {
  const Session session(agent.folder().agent_endpoint());
  const Outcome outcome = checked_sum(session.get(), seed, now_ns() + kPatienceNs);
  if (!outcome.is_right())
    give_up("the call of a new connection: %s",
            outcome.wrong.empty() ? vaccel_error_message() : outcome.wrong.c_str());
}

void measure_connects(const Agent& agent, const Setting& setting, Report& report) {
  const double part = std::min(1.0, setting.seconds_per_case / kSecondsOfAll);
  const auto count = static_cast<size_t>(kConnects * part);
  for (uint32_t seed = 0; seed < 200; ++seed)
    connect_and_call(agent, seed);
  agent.wait_until_empty();
  const Footprint before = agent.footprint();
  std::vector<double> took;
  for (uint32_t seed = 0; seed < count; ++seed) {
    const Stopwatch stopwatch;
    connect_and_call(agent, seed);
    took.push_back(static_cast<double>(stopwatch.elapsed_ns()));
  }
  agent.wait_until_empty();
  const Footprint after = agent.footprint();
  const std::string name = std::to_string(count) + " times connect, one call, close";
  report.add(kSection, {.name = name,
                        .unit = Unit::kMilliseconds,
                        .ours = {std::accumulate(took.begin(), took.end(), 0.0) / static_cast<double>(count)},
                        .beside_name = "10,000 a minute",
                        .beside = {6e6},
                        .goal = Goal::at_most_times(1),
                        .our_samples = took});
  add_left(report, "connects: descriptors afterwards", Unit::kCount, after.descriptors, "before",
           before.descriptors);
  add_left(report, "connects: memory afterwards", Unit::kKibibytes, after.proportional_bytes, "before",
           before.proportional_bytes);
}

}  // namespace

void measure_sessions(const Setting& setting, Report& report) {
  const Agent agent(setting);
  measure_many(agent, report);
  measure_windows(agent, report);
  measure_connects(agent, setting, report);
}

}  // namespace vaccel::bench
