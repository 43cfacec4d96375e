// SPDX-License-Identifier: Apache-2.0
//
// Starts programs that may do what a Policy says and nothing else: namespaces (users, files, processes, network, IPC, host name,
// control groups), Landlock, limits, no new privileges, no capabilities. Which system calls the program may use it says itself, see
// system_calls.h: it must have begun.
//
// What this host does not allow is left out, and told; with Policy::required it is an error. This room knows nothing of workers.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/status.h"
#include "core/unique_fd.h"
#include "jail/cgroup.h"
#include "jail/policy.h"

namespace vaccel::jail {

struct Program {
  std::filesystem::path file;
  std::vector<std::string> arguments;  ///< Without its own name.
  /// What it inherits, and as which descriptor, from 3 on. Its standard input is empty.
  std::vector<std::pair<int, int>> descriptors;
  int output = 2;  ///< Its standard output and error.
};

struct Started {
  pid_t pid;
  UniqueFd pid_fd;  ///< Readable when the process has ended.
  Cgroup cgroup;    ///< To be kept until then.
};

class Jail {
 public:
  explicit Jail(Policy policy) : policy_(std::move(policy)) {}

  /// Starts a program, and waits until it runs. The caller has one thread. UNAVAILABLE: it cannot be started, or not so as is
  /// required; RESOURCE_EXHAUSTED.
  Result<Started> start(const Program& program);

  /// Whether the kernel lets a process limit its system calls.
  static bool can_limit_system_calls();
  [[nodiscard]] const Policy& policy() const { return policy_; }
  /// What could not be put into effect at the last start, a sentence for each.
  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }

 private:
  enum class Namespaces { kAll, kWithoutUsers, kNone };
  struct Attempt;
  Result<Started> attempt(const Program& program, Namespaces namespaces, bool& lacks_namespaces);
  Result<Cgroup> make_cgroup();
  void note(std::string sentence);

  const Policy policy_;
  Namespaces namespaces_ = Namespaces::kAll;  // what has worked, or is tried next
  bool worked_ = false;                       // so it is not lacking, whatever fails later
  std::string namespaces_problem_;
  std::vector<std::string> missing_;
};

}  // namespace vaccel::jail
