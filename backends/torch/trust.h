// SPDX-License-Identifier: Apache-2.0
//
// What must be known of a script before it runs: that its tensors have the data that they claim, that it leaves files
// alone, and which of its inputs it only reads, and only while it runs.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <vector>

namespace vaccel::torch_backend {

/// Throws a Failure, INVALID_ARGUMENT: a tensor of the module is larger than its data in the archive (LibTorch would read
/// beyond it), or a function reads or writes files.
void check_module(const torch::jit::Module& module);

/// For each argument of `forward` behind self: whether the script writes to it, or keeps it for later, or might.
std::vector<bool> find_inputs_to_copy(const torch::jit::Method& forward);

}  // namespace vaccel::torch_backend
