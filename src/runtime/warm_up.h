// SPDX-License-Identifier: Apache-2.0
//
// A model's first run: frameworks take memory, choose kernels and compile them then, and whoever calls first would wait for it.
#pragma once

#include "core/status.h"
#include "runtime/runtime.h"

namespace vaccel::runtime {

/// Runs an open model once on zeros; dimensions that may have any size are 1. UNIMPLEMENTED: its inputs are not known, are strings, or
/// take more than 256 MiB. Otherwise the run's own failure: a model need not like zeros.
Status warm_up(Runtime& runtime, Model& model);

}  // namespace vaccel::runtime
