// SPDX-License-Identifier: Apache-2.0
//
// What calls cost: where their time went, stage by stage, and what was copied.
#pragma once

#include <cstdint>
#include <span>

#include "tools/vaccel/output.h"
#include "vaccel/types.h"

namespace vaccel::tool {

/// A stage of a call, as vaccel_timings has it.
struct Stage {
  const char* name;
  uint64_t vaccel_timings::*nanoseconds;
  int depth;  ///< How many other stages it lies within.
};

inline constexpr Stage kStages[] = {
    {"total", &vaccel_timings::total_ns, 0},   {"agent", &vaccel_timings::agent_ns, 1},
    {"queue", &vaccel_timings::queue_ns, 2},   {"worker", &vaccel_timings::worker_ns, 2},
    {"decode", &vaccel_timings::decode_ns, 3}, {"prepare", &vaccel_timings::prepare_ns, 3},
    {"infer", &vaccel_timings::infer_ns, 3},   {"postprocess", &vaccel_timings::postprocess_ns, 3},
};

/// The median of each stage; of one run its own times. `runs` is not empty.
vaccel_timings median_of(std::span<const vaccel_timings> runs);

/// The stages that happened, in milliseconds: of one run with a bar on a terminal; of several with median, least and most.
void print_timings(std::span<const vaccel_timings> runs, Output& output);

/// How much of a call's inputs and results was copied on the way: "copied 602112 bytes".
void print_copied(uint64_t bytes, Output& output);

}  // namespace vaccel::tool
