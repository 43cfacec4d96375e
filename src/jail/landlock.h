// SPDX-License-Identifier: Apache-2.0
//
// Landlock: the kernel refuses every file that the policy does not name, TCP, and signals to processes outside; whatever mounts
// there are. https://docs.kernel.org/userspace-api/landlock.html
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jail/policy.h"
#include "jail/report.h"

namespace vaccel::jail {

class LandlockPlan {
 public:
  /// The kernel's version of it, from 1; 0: it has none, or not at present.
  static int kernel_version();

  /// Allocates, so it is made before the process is. @param program  is let run.
  LandlockPlan(const Policy& policy, const std::filesystem::path& program);

  /// In the process; it cannot gain privileges any more (no_new_privs). System calls only.
  /// @param own_scratch  /tmp is its own.
  bool apply(const Report& report, bool own_scratch) const;

 private:
  struct Rule {
    std::string path;
    uint64_t access;
  };
  void add(const std::filesystem::path& path, uint64_t access);

  int version_;
  uint64_t handled_;
  std::vector<Rule> rules_;
};

}  // namespace vaccel::jail
