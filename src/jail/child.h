// SPDX-License-Identifier: Apache-2.0
//
// The jailed process from its first instruction until the program begins. It is a copy of the agent, memory and all, so it makes
// system calls and nothing else; what these need is made before it exists.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "jail/landlock.h"
#include "jail/mounts.h"
#include "jail/policy.h"
#include "jail/report.h"

namespace vaccel::jail {

/// The step that a report names when the program itself could not be begun.
inline constexpr const char* kRunStep = "run it";

class Child {
 public:
  Child(const Policy& policy, const std::filesystem::path& program);

  /// The program finds `ours` as `theirs`.
  void add_descriptor(int ours, int theirs) { descriptors_.emplace_back(ours, theirs); }
  /// Memory is not limited by a control group, but has to be by the process itself.
  void set_limits(bool memory_too) { limits_memory_ = memory_too; }

  struct Ends {
    int go;          ///< A byte comes when it may begin; nothing: it is not to.
    int go_writing;  ///< The other end of that, which it has inherited.
    int told;        ///< For its report; above the descriptors that the program gets.
  };
  /// Does all of it, and becomes the program, or exits.
  [[noreturn]] void run(const Ends& ends, char* const* arguments, char* const* environment,
                        bool in_namespaces, bool in_user_namespace);

 private:
  bool confine(const Report& report, bool in_namespaces, bool in_user_namespace);
  bool limit(const Report& report, bool in_user_namespace) const;
  bool place_descriptors(const Report& report, int told) const;

  const Policy& policy_;
  std::string program_;
  MountPlan mounts_;
  LandlockPlan landlock_;
  std::string user_map_;
  std::string group_map_;
  std::vector<std::pair<int, int>> descriptors_;
  bool limits_memory_ = false;
};

}  // namespace vaccel::jail
