// SPDX-License-Identifier: Apache-2.0
//
// The two cases that local sessions and sessions with an agent share: a photo classified, and a prepared tensor
// inferred, through the library and directly.
#pragma once

#include "direct_model.h"
#include "section.h"
#include "session.h"

namespace vaccel::bench {

/// How a session is used for them.
struct ModelCalls {
  const char* how = "";  ///< For the rows' names: ", in the window".
  bool in_buffers =
      false;  ///< Photo, tensor and result lie in buffers of the session's; else in ordinary memory.
  Goal goal = {};
};

/// Adds the rows of both cases to `section`. The two ways take turns call by call, and must agree on what they find.
void measure_models_beside(const char* section, const Setting& setting, const Session& session,
                           const ModelCalls& calls, DirectModel& direct, Report& report);

/// The bytes of a file.
std::vector<std::byte> read_file(const std::filesystem::path& file);

}  // namespace vaccel::bench
