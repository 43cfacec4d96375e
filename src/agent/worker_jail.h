// SPDX-License-Identifier: Apache-2.0
//
// What workers may do: the files that a runtime with this configuration needs, the devices, the limits. A policy for jail/jail.h.
#pragma once

#include "agent/config.h"
#include "jail/policy.h"

namespace vaccel::agent {

/// For workers with the models of the catalogue.
jail::Policy policy_of_workers(const Config& config);

/// For a tenant's worker, with the models in `catalogue` and no others.
jail::Policy policy_of_own_worker(const Config& config, const std::filesystem::path& catalogue);

}  // namespace vaccel::agent
