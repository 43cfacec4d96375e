// SPDX-License-Identifier: Apache-2.0
//
// The worker slot's queue: what is taken into it, what the worker is given next, and what calls have cost.
#include <algorithm>

#include "agent/worker_slot.h"
#include "core/clock.h"

namespace vaccel::agent {
namespace {

/// What a call is taken to cost when nothing is known of such calls.
constexpr double kUnknownCostNs = 1e6;
/// How many calls it takes to judge what a further one needs.
constexpr uint32_t kEnoughCalls = 4;
/// Operators that something is remembered of, for each model.
constexpr size_t kMaxExperiences = 256;

}  // namespace

uint64_t WorkerSlot::submit(WorkerRequest request) {
  const uint64_t ticket = next_id_++;
  const int64_t now = now_ns();
  Queue::Entry entry{.ticket = ticket,
                     .tenant = request.tenant,
                     .lane = request.model,
                     .priority = request.priority,
                     .deadline_ns = request.deadline_ns,
                     .cost_ns = kUnknownCostNs,
                     .item = {now, std::move(request)}};
  Status refused = check(entry, now);
  if (refused.ok() && ready_ && queue_.empty() && lane_has_room(entry.lane) && may_run(entry, now)) {
    queue_.pass(entry);
    dispatch(std::move(entry), now);
  } else if (refused.ok()) {
    queue_.push(std::move(entry));
    pump();
    run_if_wanted();
  } else {
    fail_later(std::move(entry.item), std::move(refused));
  }
  return ticket;
}

// Whether it makes sense to queue it; and what it will cost.
Status WorkerSlot::check(Queue::Entry& entry, int64_t now) const {
  if (stopping_) return failure(VACCEL_UNAVAILABLE, "the agent is shutting down");
  if (!ready_ && !start_error_.ok() && !runs_on_demand())
    return failure(VACCEL_UNAVAILABLE, "no worker runs: %s", start_error_.message().c_str());
  const WorkerRequest& request = entry.item.request;
  if (const Quarantine& quarantine = *options_.quarantine; quarantine.suspects_anybody()) {
    if (Status status = quarantine.check(entry.tenant->name(), subject_of(request), now); !status.ok())
      return status;
  }
  const auto* call = std::get_if<wire::Call>(&request.message);
  const auto lane = call == nullptr ? lanes_.end() : lanes_.find(entry.lane);
  if (lane == lanes_.end()) return {};
  const auto known = lane->second.experience.find(call->operator_name);
  if (known == lane->second.experience.end()) return {};
  entry.cost_ns = known->second.cost_ns;
  entry.least_ns = known->second.least_cost_ns;
  return check_deadline(entry, known->second, now);
}

// A call that cannot be done in time is refused now: what it would take of the worker's time is lost to everybody. Calls of one
// operator may differ by far, and others' were among those that are known: so it is judged by the least that any took.
Status WorkerSlot::check_deadline(const Queue::Entry& entry, const Experience& known, int64_t now) const {
  if (entry.deadline_ns == 0 || known.calls < kEnoughCalls) return {};
  const auto left_ns = static_cast<double>(entry.deadline_ns - now);
  const double wait_ns = queue_.least_wait_ns(entry, left_ns);
  if (wait_ns + known.least_ns <= left_ns) return {};
  return failure(VACCEL_DEADLINE_EXCEEDED,
                 "the call was not begun: it takes %.3g ms at least, after %.3g ms in the queue, and its "
                 "deadline is in %.3g ms",
                 known.least_ns / 1e6, wait_ns / 1e6, left_ns / 1e6)
      .with_retry_after(static_cast<uint64_t>(wait_ns / 1e3));
}

void WorkerSlot::cancel(uint64_t ticket) {
  if (const auto running = running_.find(ticket); running != running_.end()) {
    // Once: a client may ask again and again, and a worker that is busy does not read.
    if (!std::exchange(running->second.cancelled, true) && process_) (void)send(0, wire::Cancel{ticket});
    return;
  }
  if (auto entry = queue_.take(ticket))
    fail_later(std::move(entry->item), failure(VACCEL_CANCELLED, "the call was cancelled before it began"));
}

// ---- Giving the worker what waits

void WorkerSlot::pump() {
  if (!ready_ || queue_.empty()) return;
  begin_wanted_loads();
  const int64_t now = now_ns();
  const auto has_room = [this](const std::string& lane) { return lane_has_room(lane); };
  const auto may = [this, now](const Queue::Entry& entry) { return may_run(entry, now); };
  while (ready_) {
    auto entry = queue_.pop(has_room, may);
    if (!entry) return;
    dispatch(std::move(*entry), now);
  }
}

bool WorkerSlot::lane_has_room(const std::string& name) const {
  if (running_.size() >= options_.threads + kJoinedHands - 1) return false;
  const auto lane = lanes_.find(name);
  const size_t running = lane == lanes_.end() ? 0 : lane->second.running;
  const bool joins = lane != lanes_.end() && lane->second.wanted > 1;
  // Calls that are joined take one hand together.
  if (hands_taken_ >= options_.threads && (!joins || running == 0)) return false;
  if (name.empty()) return true;
  const auto model = models_.find(name);
  if (model == models_.end() || model->second.state != LoadedModel::State::kLoaded) return false;
  const uint32_t most = options_.settings_of(name).calls;
  return running < (joins ? lane->second.wanted : most != 0 ? most : options_.threads);
}

// Suspects are run one tenant and subject at a time.
bool WorkerSlot::may_run(const Queue::Entry& entry, int64_t now) const {
  const Quarantine& quarantine = *options_.quarantine;
  if (!quarantine.suspects_anybody()) return true;
  const Quarantine::Suspect suspect{entry.tenant->name(), subject_of(entry.item.request)};
  if (!quarantine.suspects(suspect, now)) return true;
  return std::ranges::none_of(running_, [&](const auto& other) {
    const Running& running = other.second;
    if (!running.counted) return false;
    const Quarantine::Suspect beside{running.request.tenant->name(), subject_of(running.request)};
    return beside != suspect && quarantine.suspects(beside, now);
  });
}

void WorkerSlot::dispatch(Queue::Entry entry, int64_t now) {
  WorkerRequest& request = entry.item.request;
  const auto give_up = [&](Status status) {
    queue_.settle(*entry.tenant, entry.cost_ns, 0);
    fail_later(std::move(entry.item), std::move(status));
  };
  if (has_passed(request.deadline_ns, now))
    return give_up(failure(VACCEL_DEADLINE_EXCEEDED, "the deadline passed while the call was queued"));
  if (auto* call = std::get_if<wire::Call>(&request.message)) {
    call->model = entry.lane.empty() ? 0 : models_.find(entry.lane)->second.handle;
    if (request.deadline_ns != 0)
      call->timeout_us = static_cast<uint64_t>((request.deadline_ns - now + 999) / 1000);
  }
  if (request.window) {
    if (Status status = import_window(*request.window); !status.ok()) return give_up(std::move(status));
  }
  Status sent = std::visit([&](const auto& message) { return send(entry.ticket, message); }, request.message);
  if (sent.code() == VACCEL_INVALID_ARGUMENT) return give_up(std::move(sent));
  if (!sent.ok() && process_->channel().nothing_sent()) {
    // The worker has just gone, and has not seen this call: it is the next one's.
    ready_ = false;
    queue_.settle(*entry.tenant, entry.cost_ns, 0);
    return queue_.push(std::move(entry));
  }
  begin(std::move(entry), now);
}

void WorkerSlot::begin(Queue::Entry entry, int64_t now) {
  advance_service();
  Lane& lane = lanes_[entry.lane];
  if (lane.wanted <= 1 || lane.running == 0) ++hands_taken_;
  ++lane.running;
  ++counted_;
  if (const auto model = models_.find(entry.lane); model != models_.end()) model->second.used_ns = now;
  Running running;
  running.queue_ns = static_cast<uint64_t>(now - entry.item.since_ns);
  running.request = std::move(entry.item.request);
  running.lane = std::move(entry.lane);
  running.counted = true;
  running.expected_ns = entry.cost_ns;
  running.began_at = service_ns_;
  running.started_ns = now;
  running_.emplace(entry.ticket, std::move(running));
  watch();
}

// The worker's time is divided among the calls that it has: a call's part tells what it cost, however many ran beside it and
// whatever it waited for there.
void WorkerSlot::advance_service() {
  const int64_t now = now_ns();
  if (counted_ > 0) service_ns_ += static_cast<double>(now - service_at_ns_) / static_cast<double>(counted_);
  service_at_ns_ = now;
}

// A call is over. Just before, the service was brought up to date.
void WorkerSlot::settle(const Running& running, bool done) {
  if (!running.counted) return;
  const double cost_ns = service_ns_ - running.began_at;
  Lane& lane = lanes_[running.lane];
  --counted_;
  --lane.running;
  if (lane.wanted <= 1 || lane.running == 0) --hands_taken_;
  queue_.settle(*running.request.tenant, running.expected_ns, cost_ns);
  if (const auto* call = std::get_if<wire::Call>(&running.request.message); call != nullptr && done)
    learn(lane, call->operator_name, cost_ns, static_cast<double>(service_at_ns_ - running.started_ns));
  if (lane.running == 0 && !running.lane.empty()) {
    unload_if_retired(running.lane);
    make_room_for_models({}, 0);
  }
}

// How many calls of a model the worker would like to have at a time, to join them; it changes as the worker learns.
void WorkerSlot::want(const std::string& lane_name, uint32_t calls) {
  if (calls == 0 || lane_name.empty()) return;
  Lane& lane = lanes_[lane_name];
  const uint32_t most = options_.settings_of(lane_name).calls;
  calls = std::min(calls, kJoinedHands / 2);
  if (most != 0) calls = std::min(calls, most);
  // From now on its calls take one hand together, or each its own.
  if (lane.running > 0 && (lane.wanted > 1) != (calls > 1))
    hands_taken_ = calls > 1 ? hands_taken_ - (lane.running - 1) : hands_taken_ + (lane.running - 1);
  lane.wanted = calls;
}

void WorkerSlot::learn(Lane& lane, const std::string& operator_name, double cost_ns, double latency_ns) {
  constexpr double kNewest = 0.1;  // the part of the newest in an average
  auto known = lane.experience.find(operator_name);
  if (known == lane.experience.end()) {
    if (lane.experience.size() >= kMaxExperiences) return;
    known = lane.experience.emplace(operator_name, Experience{cost_ns, cost_ns, latency_ns, 0}).first;
  }
  Experience& experience = known->second;
  experience.cost_ns += kNewest * (cost_ns - experience.cost_ns);
  experience.least_cost_ns = std::min(experience.least_cost_ns, cost_ns);
  experience.least_ns = std::min(experience.least_ns, latency_ns);
  ++experience.calls;
}

}  // namespace vaccel::agent
