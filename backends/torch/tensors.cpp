// SPDX-License-Identifier: Apache-2.0
#include "tensors.h"

#include <ATen/ops/from_blob.h>

#include "failure.h"

namespace vaccel::torch_backend {
namespace {

struct Pair {
  int32_t dtype;
  at::ScalarType type;
  const char* name;
};

constexpr Pair kTypes[] = {
    {VACCEL_FLOAT32, at::kFloat, "float32"}, {VACCEL_FLOAT64, at::kDouble, "float64"},
    {VACCEL_FLOAT16, at::kHalf, "float16"},  {VACCEL_BFLOAT16, at::kBFloat16, "bfloat16"},
    {VACCEL_INT8, at::kChar, "int8"},        {VACCEL_INT16, at::kShort, "int16"},
    {VACCEL_INT32, at::kInt, "int32"},       {VACCEL_INT64, at::kLong, "int64"},
    {VACCEL_UINT8, at::kByte, "uint8"},      {VACCEL_BOOL, at::kBool, "bool"},
};

const char* name_of(int32_t dtype) {
  for (const Pair& pair : kTypes) {
    if (pair.dtype == dtype) return pair.name;
  }
  return "another type";
}

int32_t dtype_of(const at::Tensor& tensor) {
  for (const Pair& pair : kTypes) {
    if (pair.type == tensor.scalar_type()) return pair.dtype;
  }
  return 0;
}

// "[1, ?]"
std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t size : shape)
    text += (text.size() == 1 ? "" : ", ") + (size < 0 ? "?" : std::to_string(size));
  return text + "]";
}

bool shape_fits(at::IntArrayRef shape, const vaccel_tensor_info& expected) {
  if (expected.rank < 0) return true;
  if (shape.size() != static_cast<size_t>(expected.rank)) return false;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (expected.shape[axis] != -1 && expected.shape[axis] != shape[axis]) return false;
  }
  return true;
}

// A script may return anything; what it is described as is what callers were told.
void check_result(const at::Tensor& result, const vaccel_tensor_info& expected) {
  if (!result.defined() || result.layout() != at::kStrided || result.is_quantized() ||
      result.dim() > VACCEL_MAX_RANK) {
    refuse(VACCEL_UNIMPLEMENTED,
           "output '%s' came as nothing, sparse, quantised, or with more than %d dimensions", expected.name,
           VACCEL_MAX_RANK);
  }
  const int32_t dtype = dtype_of(result);
  if (dtype != expected.dtype) {
    refuse(VACCEL_INTERNAL,
           "output '%s' came as %s, and is described as %s; [[outputs]] of its model.toml says what it is",
           expected.name, dtype == 0 ? c10::toString(result.scalar_type()) : name_of(dtype),
           name_of(expected.dtype));
  }
  if (!shape_fits(result.sizes(), expected)) {
    refuse(VACCEL_INTERNAL,
           "output '%s' came with shape %s, and is described as %s in [[outputs]] of its model.toml",
           expected.name, shape_text(result.sizes()).c_str(),
           shape_text({expected.shape, static_cast<size_t>(expected.rank)}).c_str());
  }
}

}  // namespace

at::ScalarType scalar_type(int32_t dtype) {
  for (const Pair& pair : kTypes) {
    if (pair.dtype == dtype) return pair.type;
  }
  return at::ScalarType::Undefined;
}

at::Tensor wrap(const vaccel_tensor& tensor) {
  static char nothing;  // empty tensors need an address too
  const at::IntArrayRef shape(tensor.shape, static_cast<size_t>(tensor.rank));
  void* data = tensor.data != nullptr ? tensor.data : &nothing;
  return at::from_blob(data, shape, at::TensorOptions().dtype(scalar_type(tensor.dtype)));
}

bool copy_out(const at::Tensor& result, const vaccel_tensor_info& expected, vaccel_backend_run& run,
              size_t index) {
  check_result(result, expected);
  const size_t bytes = result.nbytes();
  void* memory = run.output(run.context, index, expected.name, static_cast<vaccel_dtype>(expected.dtype),
                            static_cast<int32_t>(result.dim()), result.sizes().data(), bytes);
  if (memory == nullptr) return false;
  if (bytes > 0)
    at::from_blob(memory, result.sizes(), at::TensorOptions().dtype(result.scalar_type())).copy_(result);
  return true;
}

}  // namespace vaccel::torch_backend
