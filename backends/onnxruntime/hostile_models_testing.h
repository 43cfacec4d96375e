// SPDX-License-Identifier: Apache-2.0
//
// ONNX models that mean harm, each by what ONNX lets it say. All take four floats "x" and give "y".
#pragma once

#include <string>

#include "backends/onnxruntime/onnx_testing.h"

namespace vaccel::onnxruntime::testing {

/// While a condition that is always true holds: for ever.
inline std::string endless_model() {
  Message body;
  const auto value = [](const char* name, uint64_t type) {
    const Message tensor = Message().number(1, type).message(2, Message());
    return Message().bytes(1, name).message(2, Message().message(1, tensor));
  };
  const auto node = [](const char* operation, const char* input, const char* output) {
    return Message().bytes(1, input).bytes(2, output).bytes(4, operation);
  };
  body.message(1, node("Identity", "go_in", "go_out"));
  body.message(1, node("Identity", "v_in", "v_out"));
  body.bytes(2, "body");
  body.message(11, value("i", 7)).message(11, value("go_in", 9)).message(11, value("v_in", 1));
  body.message(12, value("go_out", 9)).message(12, value("v_out", 1));
  const Message attribute = Message().message(5, Message().bytes(1, "body").message(6, body).number(20, 5));
  return OnnxModel()
      .weight(Message().number(2, 9).bytes(8, "yes").bytes(9, std::string(1, '\1')))
      .input("x", kFloat, {4})
      .output("y", kFloat, {4})
      .node("Loop", {"", "yes", "x"}, {"y"}, attribute)
      .file();
}

/// Needs 400 GB at once.
inline std::string huge_model() {
  return OnnxModel()
      .weight("shape", {100'000'000'000})
      .input("x", kFloat, {4})
      .output("y", kFloat, {-1})
      .node("ConstantOfShape", {"shape"}, {"z"})
      .node("Concat", {"x", "z"}, {"y"}, int_attribute("axis", 0))
      .file();
}

/// Says that its weights lie in another file.
inline std::string model_with_weights_in(const std::string& file) {
  return OnnxModel()
      .external_weight("w", 4, file)
      .input("x", kFloat, {4})
      .output("y", kFloat, {4})
      .node("Add", {"x", "w"}, {"y"})
      .file();
}

}  // namespace vaccel::onnxruntime::testing
