// SPDX-License-Identifier: Apache-2.0
//
// What a jailed process sees of the file system: a root of its own in memory, with what its policy names mounted into it where it is
// outside, read-only unless it says otherwise, a /proc of its process namespace, and a /tmp that goes with it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "jail/policy.h"
#include "jail/report.h"

namespace vaccel::jail {

class MountPlan {
 public:
  /// Looks at the paths. Allocates, so it is made before the process is.
  explicit MountPlan(const Policy& policy);

  /// In a process with user, mount and process namespaces of its own: makes the new root, and goes there. System calls only.
  bool apply(const Report& report);

 private:
  enum class Access { kRead, kWrite, kDevice };
  struct Mount {
    std::string source;
    std::string target;  // below the new root, which is the working directory then
    bool is_folder;
    Access access;
    int tree = -1;
  };
  void add(const std::filesystem::path& path, Access access);
  void make_places();
  void make_folders_above(const std::string& target);
  bool take_trees(const Report& report);
  bool make_root(const Report& report) const;
  bool place_trees(const Report& report) const;
  bool enter(const Report& report) const;

  std::vector<Mount> mounts_;                               // an outer one before those within it
  std::vector<std::string> folders_;                        // to be made, likewise
  std::vector<std::string> files_;                          // that other files are mounted on
  std::vector<std::pair<std::string, std::string>> links_;  // where, and whereto
  std::string root_options_;
  std::string scratch_options_;
};

}  // namespace vaccel::jail
