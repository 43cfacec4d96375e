// SPDX-License-Identifier: Apache-2.0
//
// What waits for a worker, in the order in which it is given out: across tenants by what they have had of the worker's
// time in relation to their weights, then by priority, then by deadline, then as it came.
//
// Start-time fair queueing. Each tenant has a tag: the worker's time that it has had, divided by its weight. The tenant with
// the least tag is next. A call is charged with what it is expected to cost when it is given out, and with what it did cost
// when it is done, so nobody gains by calls whose cost is not known beforehand. A tenant that was idle comes back with the tag
// of those that are being served: it has saved nothing up, and owes what it owed. (Deficit round robin gives the same
// shares; but its quantum has to be chosen, and here one queue has calls of 10 us and of 100 ms.)
//
// Within a tenant calls have lanes, one for each model: a model that has no room at present holds up none of the others.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/tenant.h"

namespace vaccel::agent {

template <typename Item>
class FairQueue {
 public:
  struct Entry {
    uint64_t ticket = 0;  ///< Of the queue's owner; no two alike.
    std::shared_ptr<Tenant> tenant;
    std::string lane;
    int32_t priority = 0;     ///< Greater ones first.
    int64_t deadline_ns = 0;  ///< 0: none.
    double cost_ns = 0;       ///< Expected, of the worker's time.
    double least_ns = 0;      ///< What it costs at least, as far as is known; 0: nothing is.
    Item item;
  };

  void push(Entry entry) {
    Flow& flow = flow_of(entry.tenant);
    const Order order = order_of(entry);
    const uint64_t ticket = entry.ticket;
    ++lane_sizes_[entry.lane];
    places_.emplace(ticket, Place{&flow, entry.lane, order});
    auto& lane = flow.lanes[entry.lane];
    lane.emplace(order, std::move(entry));
    if (flow.size++ == 0) {
      flow.tag = std::max(flow.tag, now_);
      wait(flow);
    }
  }

  /// One that need not wait, since nothing does: as if it were pushed and popped.
  void pass(const Entry& entry) {
    Flow& flow = flow_of(entry.tenant);
    flow.tag = std::max(flow.tag, now_);
    now_ = flow.tag;
    charge(flow, entry.cost_ns);
    ++flow.running;
  }

  /// The next one of a lane that `has_room`, and that `may_run`; nothing: there is none. A call that may not holds up those
  /// of its tenant and lane behind it.
  template <typename HasRoom, typename MayRun>
  std::optional<Entry> pop(const HasRoom& has_room, const MayRun& may_run) {
    const bool any = std::ranges::any_of(lane_sizes_, [&](const auto& lane) { return has_room(lane.first); });
    if (!any) return std::nullopt;
    for (const auto& [tag, number] : waiting_) {
      Flow& flow = *flows_by_number_.at(number);
      const auto* best = best_lane(flow, has_room, may_run);
      if (best == nullptr) continue;
      now_ = std::max(now_, flow.tag);
      Entry entry = remove(flow, best->begin()->second.ticket);
      charge(flow, entry.cost_ns);
      ++flow.running;
      return entry;
    }
    return std::nullopt;
  }

  /// One that pop() has given out is over: it was expected to cost `expected_ns`, and did cost `cost_ns`.
  void settle(const Tenant& tenant, double expected_ns, double cost_ns) {
    const auto found = flows_.find(&tenant);
    if (found == flows_.end()) return;
    charge(found->second, cost_ns - expected_ns);
    --found->second.running;
    forget_idle();
  }

  /// Takes one out wherever it is.
  std::optional<Entry> take(uint64_t ticket) {
    const auto place = places_.find(ticket);
    if (place == places_.end()) return std::nullopt;
    return remove(*place->second.flow, ticket);
  }

  /// Takes all of a lane out.
  std::vector<Entry> take_lane(const std::string& lane) {
    return take_if([&](const Place& place) { return place.lane == lane; });
  }
  std::vector<Entry> take_all() {
    return take_if([](const Place&) { return true; });
  }

  /// All that wait, in no order.
  template <typename Visit>
  void visit(const Visit& visit_entry) const {
    for (const auto& [ticket, place] : places_)
      visit_entry(place.flow->lanes.find(place.lane)->second.find(place.order)->second);
  }

  [[nodiscard]] size_t size() const { return places_.size(); }
  [[nodiscard]] bool empty() const { return places_.empty(); }
  /// How many wait in each lane that has any.
  [[nodiscard]] const std::map<std::string, size_t, std::less<>>& lane_sizes() const { return lane_sizes_; }
  /// How long an entry that is not in the queue yet would wait at least: what its tenant has queued ahead of it takes so long,
  /// at its present share. Not counted further than to `enough_ns`.
  [[nodiscard]] double least_wait_ns(const Entry& entry, double enough_ns) const {
    const auto found = flows_.find(entry.tenant.get());
    if (found == flows_.end() || found->second.size == 0) return 0;
    const Flow& flow = found->second;
    const double share = waiting_weight_ / flow.weight;
    const Order order = order_of(entry);
    double wait_ns = 0;
    for (const auto& [name, lane] : flow.lanes) {
      for (const auto& [other, queued] : lane) {
        if (order < other || wait_ns > enough_ns) break;
        wait_ns += queued.least_ns * share;
      }
    }
    return wait_ns;
  }

 private:
  using Order = std::tuple<int64_t, int64_t, uint64_t>;  // priority, deadline, ticket

  struct Flow {
    std::shared_ptr<Tenant> tenant;  // shared: with its sessions; it is remembered for as long as it owes
    uint64_t number = 0;
    double tag = 0;
    double weight = 1;  // while it waits: as it is counted in waiting_weight_
    size_t size = 0;
    size_t running = 0;
    std::map<std::string, std::map<Order, Entry>, std::less<>> lanes;
  };
  struct Place {
    Flow* flow;
    std::string lane;
    Order order;
  };

  static Order order_of(const Entry& entry) {
    constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
    return {-int64_t{entry.priority}, entry.deadline_ns != 0 ? entry.deadline_ns : kNever, entry.ticket};
  }

  Flow& flow_of(const std::shared_ptr<Tenant>& tenant) {
    const auto [found, is_new] = flows_.try_emplace(tenant.get());
    Flow& flow = found->second;
    if (is_new) {
      flow.tenant = tenant;
      flow.number = next_number_++;
      flow.tag = now_;
      flows_by_number_[flow.number] = &flow;
    }
    return flow;
  }

  void wait(Flow& flow) {
    flow.weight = flow.tenant->settings().weight;
    waiting_weight_ += flow.weight;
    waiting_.emplace(flow.tag, flow.number);
  }
  void stop_waiting(Flow& flow) {
    waiting_.erase({flow.tag, flow.number});
    waiting_weight_ = waiting_.empty() ? 0 : waiting_weight_ - flow.weight;
  }

  void charge(Flow& flow, double cost_ns) {
    const bool waits = flow.size > 0;
    if (waits) stop_waiting(flow);
    flow.tag += cost_ns / flow.tenant->settings().weight;
    if (waits) wait(flow);
  }

  template <typename HasRoom, typename MayRun>
  static const std::map<Order, Entry>* best_lane(const Flow& flow, const HasRoom& has_room,
                                                 const MayRun& may_run) {
    const std::map<Order, Entry>* best = nullptr;
    for (const auto& [name, lane] : flow.lanes) {
      if (!has_room(name) || !may_run(lane.begin()->second)) continue;
      if (best == nullptr || lane.begin()->first < best->begin()->first) best = &lane;
    }
    return best;
  }

  Entry remove(Flow& flow, uint64_t ticket) {
    const auto place = places_.find(ticket);
    const auto lane = flow.lanes.find(place->second.lane);
    const auto found = lane->second.find(place->second.order);
    Entry entry = std::move(found->second);
    lane->second.erase(found);
    if (lane->second.empty()) flow.lanes.erase(lane);
    places_.erase(place);
    if (const auto size = lane_sizes_.find(entry.lane); --size->second == 0) lane_sizes_.erase(size);
    if (--flow.size == 0) stop_waiting(flow);
    return entry;
  }

  template <typename Matches>
  std::vector<Entry> take_if(const Matches& matches) {
    std::vector<uint64_t> tickets;
    for (const auto& [ticket, place] : places_) {
      if (matches(place)) tickets.push_back(ticket);
    }
    std::ranges::sort(tickets);
    std::vector<Entry> entries;
    for (const uint64_t ticket : tickets)
      entries.push_back(*take(ticket));
    return entries;
  }

  // Those that have nothing here and owe nothing. Looked for now and then, among all.
  void forget_idle() {
    constexpr size_t kFew = 64;
    if (flows_.size() < kFew || ++settled_ % flows_.size() != 0) return;
    std::erase_if(flows_, [this](const auto& entry) {
      const Flow& flow = entry.second;
      if (flow.size > 0 || flow.running > 0 || flow.tag > now_) return false;
      flows_by_number_.erase(flow.number);
      return true;
    });
  }

  std::unordered_map<const Tenant*, Flow> flows_;
  std::unordered_map<uint64_t, Flow*> flows_by_number_;
  std::set<std::pair<double, uint64_t>> waiting_;  // tag and number of those that have anything here
  std::unordered_map<uint64_t, Place> places_;     // by ticket
  std::map<std::string, size_t, std::less<>> lane_sizes_;
  double waiting_weight_ = 0;
  double now_ = 0;  // the tag of the tenant that was served last
  uint64_t next_number_ = 1;
  uint64_t settled_ = 0;
};

}  // namespace vaccel::agent
