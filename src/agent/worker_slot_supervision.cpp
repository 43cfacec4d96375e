// SPDX-License-Identifier: Apache-2.0
//
// The worker slot's watch over its process: whether it answers, whether a call runs beyond its limit, and whose calls have
// ended it.
#include <algorithm>

#include "agent/worker_slot.h"
#include "core/clock.h"

namespace vaccel::agent {
namespace {

/// While it has anything to do, a worker is asked so often whether it lives, and looked at for calls that run too long.
constexpr int64_t kWatchMs = 500;
constexpr int64_t kMillisecond = 1'000'000;
/// Between two starts of a process that runs on demand, without waiting.
constexpr int64_t kRestNs = 1'000 * kMillisecond;
/// For a process to say that it is there, and for a model to load.
constexpr int64_t kStartTimeoutNs = 120'000 * kMillisecond;
constexpr int64_t kLoadTimeoutNs = 600'000 * kMillisecond;

}  // namespace

std::string WorkerSlot::subject_of(const WorkerRequest& request) {
  if (!request.model.empty()) return request.model;
  const auto* call = std::get_if<wire::Call>(&request.message);
  return call != nullptr ? "operator " + call->operator_name : std::string();
}

void WorkerSlot::watch() {
  if (watch_timer_.set() || running_.empty()) return;
  watched_ns_ = now_ns();
  watch_timer_ = reactor_.after_ms(kWatchMs, [this] {
    watch_timer_ = {};
    supervise();
  });
}

void WorkerSlot::supervise() {
  if (!process_ || stopping_) return;
  const int64_t now = now_ns();
  // An agent that was stopped itself has not heard yet what the worker said meanwhile.
  if (now - watched_ns_ > 2 * kWatchMs * kMillisecond) pinged_ns_ = now;
  const int64_t patience_ns = options_.supervision.heartbeat_timeout_ms * kMillisecond;
  if (ready_ && ping_ != 0 && now - pinged_ns_ > patience_ns) {
    return end_process("it has not answered for " + std::to_string((now - pinged_ns_) / kMillisecond) +
                       " ms");
  }
  for (const auto& [id, running] : running_) {
    const int64_t limit_ns = time_limit_of(running);
    if (limit_ns == 0 || now - running.started_ns <= limit_ns) continue;
    culprit_ = id;
    return end_process(what_of(running) + " runs for more than " + std::to_string(limit_ns / kMillisecond) +
                       " ms");
  }
  if (ready_ && ping_ == 0) {
    ping_ = next_id_++;
    pinged_ns_ = now;
    (void)send(ping_, wire::Ping{});
    start_own(ping_, wire::OpenModel{}, [this](const WorkerReply&) { ping_ = 0; });
  }
  // With nothing but the question itself there is nothing to watch: whoever comes next begins anew.
  if (running_.size() > (ping_ != 0 ? 1 : 0)) watch();
}

// 0: none.
int64_t WorkerSlot::time_limit_of(const Running& running) const {
  if (!running.loading.empty()) return kLoadTimeoutNs;
  if (!running.counted) return ready_ ? 0 : kStartTimeoutNs;
  const int64_t of_model = running.lane.empty() ? 0 : options_.settings_of(running.lane).max_run_ms;
  const int64_t most_ns = (of_model != 0 ? of_model : options_.supervision.max_run_ms) * kMillisecond;
  if (!options_.ends_late_calls || running.request.deadline_ns == 0) return most_ns;
  // It was told to stop at its deadline (session.cpp), and has had a moment to do so.
  const int64_t left_ns = std::max<int64_t>(running.request.deadline_ns - running.started_ns, 0);
  const int64_t late_ns = left_ns + kWatchMs * kMillisecond;
  return most_ns == 0 ? late_ns : std::min(late_ns, most_ns);
}

// ---- A slot that has a process only while somebody needs one

void WorkerSlot::run_if_wanted() {
  if (!runs_on_demand() || process_ || stopping_ || restart_timer_.set() || queue_.empty()) return;
  // One that has just ended is not started at the pace at which somebody calls.
  if (process_count_ > 0 && now_ns() - launched_ns_ < kRestNs) return launch_again();
  failures_ = 0;
  if (Status status = launch(); !status.ok()) {
    process_.reset();
    finish_greeting(std::move(status));
  }
}

void WorkerSlot::rest_when_idle() {
  if (!runs_on_demand()) return;
  reactor_.cancel(idle_timer_);
  idle_timer_ = reactor_.after_ms(options_.idle_ms, [this] {
    idle_timer_ = {};
    const size_t own = ping_ != 0 ? 1 : 0;
    if (!process_ || !ready_ || running_.size() > own || !queue_.empty()) return;
    log_.debug("worker %u is ended: it has had nothing to do for %lld ms", options_.index,
               static_cast<long long>(options_.idle_ms));
    resting_ = true;
    ready_ = false;
    process_->kill();
  });
}

std::string WorkerSlot::what_of(const Running& running) {
  if (!running.loading.empty()) return "the loading of model '" + running.loading + "'";
  if (!running.counted) return "its start";
  const std::string whose = " of tenant '" + running.request.tenant->name() + "'";
  return running.lane.empty() ? "a call" + whose : "a call of model '" + running.lane + "'" + whose;
}

void WorkerSlot::end_process(std::string why) {
  end_reason_ = std::move(why);
  ready_ = false;
  process_->kill();  // what comes of it is on_exit()'s
}

// The process has ended by itself, or because of a call: who had calls in it? One that was ended for a call that ran too long
// is that one's fault alone.
void WorkerSlot::note_suspects() {
  std::vector<Quarantine::Suspect> suspects;
  for (const auto& [id, running] : running_) {
    if (culprit_ != 0 && id != culprit_) continue;
    if (!running.loading.empty()) suspects.push_back({"", running.loading});
    if (!running.counted) continue;
    Quarantine::Suspect suspect{running.request.tenant->name(), subject_of(running.request)};
    if (!suspect.subject.empty()) suspects.push_back(std::move(suspect));
  }
  std::ranges::sort(suspects);
  const auto twice = std::ranges::unique(suspects);
  suspects.erase(twice.begin(), twice.end());
  options_.quarantine->worker_ended(suspects, now_ns());
  for (const Quarantine::Suspect& suspect : suspects) {
    if (const Status status = options_.quarantine->check(suspect.tenant, suspect.subject, now_ns());
        !status.ok())
      log_.error("%s", status.message().c_str());
  }
}

}  // namespace vaccel::agent
