// SPDX-License-Identifier: Apache-2.0
//
// A case of ONNX's own test data: a folder with model.onnx and, in test_data_set_0, the values of its inputs and of
// its outputs as they should be.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vaccel/types.h"

namespace vaccel::conformance {

/// A tensor with its memory, laid out as vaccel_tensor has it (strings included).
struct Value {
  std::string name;
  vaccel_dtype dtype = VACCEL_FLOAT32;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;

  [[nodiscard]] vaccel_tensor view() const;
  /// The strings of a tensor of strings.
  [[nodiscard]] std::vector<std::string> strings() const;
  /// A tensor of strings.
  static Value of_strings(std::string name, std::vector<int64_t> shape,
                          const std::vector<std::string>& strings);
};

struct Case {
  std::vector<Value> inputs;
  std::vector<Value> outputs;
};

/// Reads a case. Nothing, with the reason, when it has values that are no tensors, or of a type that vaccel_dtype has not.
std::optional<Case> read_case(const std::filesystem::path& folder, std::string& reason);

/// Whether a value is what was expected, as ONNX's own runner compares: |a - b| <= 1e-7 + 1e-3 |b|, and equal otherwise.
bool is_close(const Value& value, const Value& expected);

/// Type, shape and bytes, as text: equal texts, equal values.
std::string fingerprint(const std::vector<Value>& values);

}  // namespace vaccel::conformance
