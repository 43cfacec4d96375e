// SPDX-License-Identifier: Apache-2.0
//
// The results of the vision operators: named tensors, checked and made the typed structs of vaccel.h. What is large
// (maps, strings) is not copied: the structs point into the tensors, and share them where a call had several images.
#pragma once

#include <span>

#include "client/outputs.h"
#include "client/vision_arguments.h"
#include "core/status.h"

namespace vaccel::client {

/// Makes the structs of a call's images, one each, in their order: vaccel_classes for kClassify, and so on.
/// @param results  out: what free_vision_result() takes. Untouched when this fails.
/// PROTOCOL_ERROR: a tensor is missing, of another type or shape than the operator returns, or does not fit the others;
/// RESOURCE_EXHAUSTED: no memory.
Status make_vision_results(VisionOperator which, OutputsPtr outputs, std::span<void*> results);

/// Frees one of them, and with the last the tensors. Takes nullptr.
void free_vision_result(void* result);

}  // namespace vaccel::client
