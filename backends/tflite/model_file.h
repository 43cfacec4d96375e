// SPDX-License-Identifier: Apache-2.0
//
// What a .tflite file says before TensorFlow Lite has seen it. Two uses: what the C API does not tell (which dimensions
// are free, which operators are custom, whether the model keeps state), and checks that TensorFlow Lite leaves to its
// caller, since a tenant's file may be made to break it.
//
// TensorFlow Lite verifies by itself that all offsets in the file lead to where they must (TfLiteModelCreate), and that
// constants have the sizes of their shapes. Nothing here knows what single operators do: a file can still hold one that
// its kernel does not survive, which is what a worker's jail is for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vaccel/backend.h"

namespace vaccel::tflite {

/// An input or output.
struct FileTensor {
  std::string name;
  int32_t dtype = 0;
  std::vector<int64_t> shape;  ///< -1: any size.
  bool ranked = true;          ///< Whether `shape` says more than nothing.
  vaccel_quantisation quantisation{};
  [[nodiscard]] bool is_dynamic() const;
};

struct ModelFile {
  /// INVALID_ARGUMENT: no TensorFlow Lite model, or one that cannot be right; UNIMPLEMENTED: its inputs or outputs are
  /// of types that vAccel has no name for, or it keeps state that cannot be reset.
  static ModelFile read(std::span<const std::byte> bytes);

  std::vector<FileTensor> inputs;
  std::vector<FileTensor> outputs;
  std::vector<std::string> custom_operators;
  /// Its description, and the names of its metadata with those that are text. For people; nobody has checked them.
  std::vector<std::pair<std::string, std::string>> metadata;
  bool has_variables = false;     ///< Tensors that keep their values from run to run, until they are reset.
  bool computes_float16 = false;  ///< Some tensor that is no constant is float16.
  bool computes_in_vain = false;  ///< Some result of an operator is read by nobody.
  [[nodiscard]] bool is_dynamic() const;
};

}  // namespace vaccel::tflite
