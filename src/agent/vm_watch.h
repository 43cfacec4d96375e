// SPDX-License-Identifier: Apache-2.0
//
// VMs whose sockets come and go at paths of a pattern, as Firecracker's jailer and Kata lay them out: one that is there is
// attached, one that has gone is detached. Nobody has to tell the agent.
//
// Directories on the way are watched by inotify; what has changed is found by looking at all of them again, so an event that
// was missed costs nothing but time. Paths are the operator's word; names of VMs and tenants come from directories that only
// the VMM's side can make, and are checked like any other name.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/log.h"
#include "agent/reactor.h"
#include "core/unique_fd.h"

namespace vaccel::agent {

/// What is wrong with a pattern, as a sentence; "": nothing.
std::string find_problem(const WatchedVms& watched);

/// A socket that a pattern has found.
struct FoundVm {
  std::string name;
  std::string tenant;
  std::filesystem::path socket;
};

/// Looks at what is there. `seen` gets the directories that were looked into.
std::vector<FoundVm> find_vms(const WatchedVms& watched, std::set<std::filesystem::path>& seen);

class VmWatch {
 public:
  using Done = std::move_only_function<void(Status)>;
  /// Attaches and detaches. Each calls `done` once, at once or later.
  struct Actions {
    std::function<void(const wire::AttachVm& vm, Done done)> attach;
    std::function<void(const std::string& name, Done done)> detach;
  };

  /// All must outlive it.
  VmWatch(Reactor& reactor, Log& log, Actions actions);
  ~VmWatch();
  VmWatch(const VmWatch&) = delete;
  VmWatch& operator=(const VmWatch&) = delete;

  /// Watches these from now on, instead of what it watched; VMs that these do not find are detached.
  void watch(std::vector<WatchedVms> watched);

 private:
  struct Attached {
    std::filesystem::path socket;
    bool ending = false;
  };

  void on_event();
  void look_soon();
  void look();
  void attach(const WatchedVms& watched, const FoundVm& vm);
  void detach(const std::string& name);

  Reactor& reactor_;
  Log& log_;
  const Actions actions_;
  UniqueFd inotify_;
  std::vector<WatchedVms> watched_;
  std::map<std::string, Attached> attached_;               // that this has attached
  std::map<std::filesystem::path, std::string> problems_;  // of sockets that could not be, as they were told
  Reactor::TimerId timer_;
  std::shared_ptr<VmWatch*> self_;  // nulled when this goes: what a late answer finds
};

}  // namespace vaccel::agent
