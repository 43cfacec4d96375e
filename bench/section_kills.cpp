// SPDX-License-Identifier: Apache-2.0
//
// kills: workers, clients in every state, and the agent itself are killed (SIGKILL) again and again while other clients go
// on calling. Every answer is compared with what it must be; after each life of an agent the load rests, and what agent and
// worker hold is compared with what they held when nothing had been killed yet.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "agent_figures.h"
#include "checked_load.h"
#include "core/clock.h"
#include "core/unique_fd.h"
#include "failure.h"
#include "measure.h"
#include "section.h"
#include "subprocess.h"
#include "victim_state.h"

namespace vaccel::bench {
namespace {

constexpr const char* kSection = "kills";
constexpr size_t kClients = 6;
constexpr int kWarmUpUs = 300'000;
constexpr int kVictimReadyWithinMs = 20'000;
constexpr int64_t kSettleWithinNs = 10'000'000'000;
constexpr double kRecoveryMs = 1'000;

// Who is killed within one life of the agent, before it is killed itself.
enum class Kill { kClient, kWorker, kWorkerAtWork, kWorkerThatStarts };
constexpr Kill kKillsOfALife[] = {Kill::kClient, Kill::kWorker,           Kill::kClient,
                                  Kill::kClient, Kill::kWorkerAtWork,     Kill::kClient,
                                  Kill::kClient, Kill::kWorkerThatStarts, Kill::kClient};

// A client to be killed, which is in the state that it was told to be in.
class Victim {
 public:
  Victim(const Setting& setting, const std::string& endpoint, const char* state) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) give_up("no pipe: %s", std::strerror(errno));
    const UniqueFd ready{ends[0]};
    UniqueFd its_end{ends[1]};
    process_.emplace(
        std::vector<std::string>{(setting.programs / "vaccel-bench-victim").string(), endpoint, state},
        Surroundings{.output = its_end.get()});
    its_end.reset();
    pollfd waiting{ready.get(), POLLIN, 0};
    char byte = 0;
    if (::poll(&waiting, 1, kVictimReadyWithinMs) != 1 || ::read(ready.get(), &byte, 1) != 1)
      give_up("a client that was to be '%s' did not get there", state);
  }
  ~Victim() { process_->kill_now(); }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

 private:
  std::optional<ChildProcess> process_;
};

// What is there when nobody has a session.
struct Held {
  Footprint agent;
  Footprint worker;
  wire::StatusReport status;
};

// What was more than before, at most.
struct Left {
  uint64_t descriptors = 0;
  uint64_t mappings = 0;
  uint64_t sessions = 0;
  uint64_t bytes = 0;  // leased, and on devices
};

class Ordeal {
 public:
  explicit Ordeal(const Setting& setting)
      : setting_(setting),
        folder_(setting, {.keys = "worker.threads = 4\n", .reference_only = true, .log_to_file = true}) {
    agent_.emplace(setting_, folder_);
    load_.emplace(folder_.agent_endpoint(), kClients);
    ::usleep(kWarmUpUs);
    load_->pause();
    before_ = held_when([](const Held&) { return true; });
    load_->resume();
  }

  void go_through(size_t kills) {
    while (kills_ < kills) {
      for (const Kill kill : kKillsOfALife) {
        if (kills_ + 1 >= kills) break;
        kill_one(kill);
      }
      look_for_leaks();
      kill_agent();
    }
    look_for_leaks();
  }

  void add_to(Report& report) const;
  void print_end_of_log() const;

 private:
  void kill_one(Kill kill);
  void kill_client();
  void kill_worker();
  void kill_agent();
  void look_for_leaks();
  [[nodiscard]] pid_t worker() const;
  [[nodiscard]] std::unique_ptr<Victim> victim(const char* state) const {
    return std::make_unique<Victim>(setting_, folder_.agent_endpoint(), state);
  }
  [[nodiscard]] Held held_when(const std::function<bool(const Held&)>& enough) const;
  [[nodiscard]] Left left_in(const Held& held) const;

  const Setting& setting_;
  WorkFolder folder_;
  std::optional<AgentProcess> agent_;
  std::optional<CheckedLoad> load_;
  Held before_;
  Left left_;
  size_t kills_ = 0;
  size_t next_state_ = 0;
  size_t clients_ = 0;
  std::vector<double> worker_recoveries_;      // to the first client
  std::vector<double> worker_recoveries_all_;  // to the last one
  std::vector<double> agent_recoveries_;
  std::vector<double> agent_recoveries_all_;
};

// The only one; waits for it.
pid_t Ordeal::worker() const {
  const int64_t deadline = now_ns() + kSettleWithinNs;
  while (now_ns() < deadline) {
    if (const auto workers = children_of(agent_->pid()); !workers.empty()) return workers.front();
    ::usleep(1'000);
  }
  give_up("the agent has no worker any more");
}

void Ordeal::kill_one(Kill kill) {
  switch (kill) {
    case Kill::kClient:
      return kill_client();
    case Kill::kWorker:
      return kill_worker();
    case Kill::kWorkerAtWork: {
      const auto caller = victim("running");
      return kill_worker();
    }
    case Kill::kWorkerThatStarts: {
      const pid_t first = worker();
      ::kill(first, SIGKILL);
      ++kills_;
      pid_t next = first;
      while ((next = worker()) == first)
        ::usleep(200);
      return kill_worker();
    }
  }
}

void Ordeal::kill_client() {
  { const auto dies = victim(kVictimStates[next_state_++ % std::size(kVictimStates)]); }
  ++kills_;
  ++clients_;
  load_->expect_answers();
  (void)load_->recovery(now_ns());
}

void Ordeal::kill_worker() {
  const pid_t pid = worker();
  const int64_t since_ns = now_ns();
  if (::kill(pid, SIGKILL) != 0) give_up("worker %d cannot be killed: %s", pid, std::strerror(errno));
  load_->expect_answers();
  ++kills_;
  const Recovery recovery = load_->recovery(since_ns);
  worker_recoveries_.push_back(recovery.first_ns);
  worker_recoveries_all_.push_back(recovery.all_ns);
}

// With clients in some states, whose connections end with it. Its workers must end by themselves.
void Ordeal::kill_agent() {
  std::vector<std::unique_ptr<Victim>> clients;
  for (const char* state : {"running", "leases", "unread", "half-payload", "device"})
    clients.push_back(victim(state));
  const std::vector<pid_t> workers = children_of(agent_->pid());
  const int64_t since_ns = now_ns();
  agent_->kill_now();
  load_->expect_answers();
  ++kills_;
  agent_.emplace(setting_, folder_);
  const Recovery recovery = load_->recovery(since_ns);
  agent_recoveries_.push_back(recovery.first_ns);
  agent_recoveries_all_.push_back(recovery.all_ns);
  for (const pid_t worker : workers) {
    const int64_t deadline = now_ns() + kSettleWithinNs;
    while (is_running(worker) && now_ns() < deadline)
      ::usleep(1'000);
    if (is_running(worker)) give_up("worker %d has outlived its agent", worker);
  }
}

// Until there is no more of anything than was before, or for as long as that may take.
Held Ordeal::held_when(const std::function<bool(const Held&)>& enough) const {
  const int64_t deadline = now_ns() + kSettleWithinNs;
  for (;;) {
    Held held{.status = status_at(folder_.control())};
    ::usleep(20'000);  // it hears of the end of that connection, too
    held.agent = footprint_of(agent_->pid());
    held.worker = footprint_of(worker());
    if (held.status.sessions == 0 && enough(held)) return held;
    if (now_ns() > deadline) return held;
  }
}

Left Ordeal::left_in(const Held& held) const {
  const auto more = [](uint64_t now, uint64_t before) { return now > before ? now - before : 0; };
  return {.descriptors = more(held.agent.descriptors, before_.agent.descriptors) +
                         more(held.worker.descriptors, before_.worker.descriptors),
          .mappings = more(held.agent.shared_mappings, before_.agent.shared_mappings) +
                      more(held.worker.shared_mappings, before_.worker.shared_mappings),
          .sessions = held.status.sessions,
          .bytes = held.status.leased_bytes + held.status.device_bytes};
}

void Ordeal::look_for_leaks() {
  load_->pause();
  const Left left = left_in(held_when([this](const Held& held) {
    const Left now = left_in(held);
    return now.descriptors == 0 && now.mappings == 0 && now.bytes == 0;
  }));
  left_.descriptors = std::max(left_.descriptors, left.descriptors);
  left_.mappings = std::max(left_.mappings, left.mappings);
  left_.sessions = std::max(left_.sessions, left.sessions);
  left_.bytes = std::max(left_.bytes, left.bytes);
  load_->resume();
}

void Ordeal::add_to(Report& report) const {
  const LoadTotals totals = load_->totals();
  const auto count = [&](const std::string& name, uint64_t number, bool none_wanted = true) {
    report.add(kSection, {.name = name,
                          .unit = Unit::kCount,
                          .ours = {static_cast<double>(number)},
                          .goal = none_wanted ? Goal::at_most(0) : Goal{}});
  };
  const auto slowest = [&](const std::string& name, const std::vector<double>& took, bool has_goal) {
    if (took.empty()) return;
    report.add(kSection, {.name = name,
                          .unit = Unit::kMilliseconds,
                          .ours = {std::ranges::max(took)},
                          .goal = has_goal ? Goal::at_most(kRecoveryMs) : Goal{},
                          .our_samples = took});
  };
  count("kills", kills_, false);
  count("of clients", clients_, false);
  count("of the agent", agent_recoveries_.size(), false);
  count("right answers meanwhile", totals.right, false);
  count("calls that were said to be lost", totals.unavailable, false);
  count("wrong answers", totals.wrong);
  count("calls without an answer", totals.stuck);
  count("calls refused for another reason", totals.refused);
  count("descriptors left in agent and worker", left_.descriptors);
  count("shared mappings left in agent and worker", left_.mappings);
  count("sessions left", left_.sessions);
  count("bytes left, leased or on devices", left_.bytes);
  slowest("the longest from a worker's kill to an answer", worker_recoveries_, true);
  slowest("the longest from a worker's kill to an answer for each client", worker_recoveries_all_, false);
  slowest("the longest from the agent's kill to an answer", agent_recoveries_, true);
  slowest("the longest from the agent's kill to an answer for each client", agent_recoveries_all_, false);
  for (const std::string& problem : totals.problems)
    std::fprintf(stderr, "vaccel-bench: kills: %s\n", problem.c_str());
}

void Ordeal::print_end_of_log() const {
  constexpr size_t kEnd = 4'000;
  std::ostringstream text;
  text << std::ifstream(folder_.log()).rdbuf();
  const std::string log = std::move(text).str();
  std::fprintf(stderr, "vaccel-bench: kills: the agents' log ends so:\n%s\n",
               log.substr(log.size() - std::min(log.size(), kEnd)).c_str());
}

}  // namespace

void measure_kills(const Setting& setting, Report& report) {
  Ordeal ordeal(setting);
  try {
    ordeal.go_through(setting.kills);
  } catch (...) {
    ordeal.print_end_of_log();
    throw;
  }
  ordeal.add_to(report);
}

}  // namespace vaccel::bench
