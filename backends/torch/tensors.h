// SPDX-License-Identifier: Apache-2.0
//
// Tensors of vAccel as tensors of LibTorch, and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "vaccel/backend.h"

namespace vaccel::torch_backend {

/// at::ScalarType::Undefined for what LibTorch has no tensors of: strings, and unsigned integers but uint8.
at::ScalarType scalar_type(int32_t dtype);

/// A tensor in the memory of `tensor`, which must outlive it and must not be written to.
at::Tensor wrap(const vaccel_tensor& tensor);

/// Copies a result, wherever it is and whatever its strides, to the memory that output() gives; false: there was none.
/// Throws a Failure where it is not what `expected` says.
bool copy_out(const at::Tensor& result, const vaccel_tensor_info& expected, vaccel_backend_run& run,
              size_t index);

}  // namespace vaccel::torch_backend
