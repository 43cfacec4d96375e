// SPDX-License-Identifier: Apache-2.0
//
// From what a model stored in an output to the numbers that decoders see: float32 as it is, quantised integers as what they
// stand for, class numbers as such. No decoder knows which of them a model has.
#pragma once

#include <cstddef>
#include <span>

#include "core/status.h"
#include "runtime/quantisation.h"
#include "runtime/scratch.h"

namespace vaccel::runtime {

/// The numbers of a dense tensor of float32, uint8, int8, int32 or int64, with `quantisation` applied to integers. Its bytes
/// are as many as its elements need, aligned to them.
/// @param scratch  Where the numbers are, until its next use; for float32 they stay where they lie.
/// RESOURCE_EXHAUSTED: no memory.
Result<std::span<const float>> read_values(int dtype, std::span<const std::byte> bytes,
                                           const Quantisation& quantisation, Scratch& scratch);

}  // namespace vaccel::runtime
