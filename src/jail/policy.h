// SPDX-License-Identifier: Apache-2.0
//
// What a process may do: the files it sees, the limits it has. A value; jail.h puts it into effect, system_calls.h the part that
// the process itself does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vaccel::jail {

struct Policy {
  bool enabled = true;
  bool required = false;  ///< What cannot be put into effect is an error, and not a warning.

  // Files. Absolute paths of what exists, folders with all that is in them; others are passed over. Nothing else is there.
  std::vector<std::filesystem::path> readable;
  std::vector<std::filesystem::path> writable;
  std::vector<std::filesystem::path> devices;     ///< To be read, written and controlled.
  std::vector<std::filesystem::path> executable;  ///< Files that it may run, besides the program itself.
  uint64_t scratch_bytes = uint64_t{64} << 20;    ///< Of its /tmp, which goes with it.

  /// Which the program is to allow itself, besides those that it is known to need; see system_calls.h.
  std::vector<std::string> system_calls;

  uint64_t memory_bytes = 0;  ///< 0: no limit.
  uint64_t stack_bytes =
      0;                  ///< Besides, where no group counts what is used: what its threads' stacks reserve.
  double cpus = 0;        ///< CPU seconds a second; 0: no limit.
  uint32_t tasks = 4096;  ///< Threads and processes.
  uint32_t open_files = 4096;  ///< Descriptors.
};

}  // namespace vaccel::jail
