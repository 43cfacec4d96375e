// SPDX-License-Identifier: Apache-2.0
//
// The two cases that local sessions and sessions with an agent share: a photo classified, and a prepared tensor
// inferred, through the library and directly.
#pragma once

#include "direct_model.h"
#include "section.h"
#include "session.h"

namespace vaccel::bench {

/// Adds the rows of both cases to `section`. The two ways take turns call by call, and must agree on what they find.
void measure_models_beside(const char* section, const Setting& setting, const Session& session,
                           DirectModel& direct, double at_most_times, Report& report);

/// The bytes of a file.
std::vector<std::byte> read_file(const std::filesystem::path& file);

}  // namespace vaccel::bench
