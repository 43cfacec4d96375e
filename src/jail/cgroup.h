// SPDX-License-Identifier: Apache-2.0
//
// Control groups, of version 1 or 2: memory, CPU time and tasks of a process and its children, together. A group is made below
// the one that this process is in, which therefore must be its own to divide (systemd: Delegate=yes) or root's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/status.h"
#include "jail/policy.h"

namespace vaccel::jail {

class Cgroup {
 public:
  /// With the limits of `policy`, as far as they are not the process's own (setrlimit); there may be none.
  /// UNAVAILABLE, with what cannot be limited.
  static Result<Cgroup> create(const Policy& policy);
  Cgroup() = default;
  Cgroup(Cgroup&& other) noexcept : folders_(std::exchange(other.folders_, {})) {}
  Cgroup& operator=(Cgroup&& other) noexcept;
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  /// Its processes have ended.
  ~Cgroup() { remove(); }

  Status add(pid_t pid) const;
  [[nodiscard]] bool limits_anything() const { return !folders_.empty(); }
  [[nodiscard]] bool limits_memory() const;
  /// Whether the kernel has killed a process of it because the memory was used up.
  [[nodiscard]] bool ran_out_of_memory() const;

 private:
  struct Folder {
    std::filesystem::path path;
    std::string controller;
    int version;
  };
  Status limit(const std::string& controller,
               const std::vector<std::pair<std::string, std::string>>& values_1,
               const std::vector<std::pair<std::string, std::string>>& values_2);
  void remove();
  std::vector<Folder> folders_;
};

}  // namespace vaccel::jail
