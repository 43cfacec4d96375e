// SPDX-License-Identifier: Apache-2.0
//
// Whether a model keeps weights in other files. ONNX Runtime reads such files where it can: versions differ in which it
// lets a model name, and a model that comes from memory names them from the process's current folder. A model has no
// business there, so those that try are found before ONNX Runtime sees them.
#pragma once

#include <string_view>

namespace vaccel::onnxruntime {

/// Looks at every tensor of an ONNX file. Throws a Failure, INVALID_ARGUMENT, where the file is none or damaged.
bool keeps_weights_elsewhere(std::string_view file);

}  // namespace vaccel::onnxruntime
