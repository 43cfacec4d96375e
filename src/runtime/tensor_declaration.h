// SPDX-License-Identifier: Apache-2.0
//
// [[inputs]] and [[outputs]] of a model.toml: names, types, shapes and quantisation of a model whose file does not tell
// them, as TorchScript does not, and ONNX not the last. The backend that loads the model is given all but that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/quantisation.h"
#include "runtime/toml_reader.h"
#include "vaccel/types.h"

namespace vaccel::runtime {

struct TensorDeclaration {
  std::string name;
  int32_t dtype = 0;
  bool any_rank = true;                        ///< No shape is given.
  std::vector<int64_t> shape;                  ///< -1: any size.
  std::optional<Quantisation> quantisation{};  ///< Checked: of uint8 and int8 only.
};

/// Reads [[key]]; mistakes are noted in the document.
std::vector<TensorDeclaration> read_tensor_declarations(TomlTable& root, const char* key);

/// The declarations as backends are given them. They refer to `declarations`.
std::vector<vaccel_tensor_info> declaration_views(const std::vector<TensorDeclaration>& declarations);

}  // namespace vaccel::runtime
