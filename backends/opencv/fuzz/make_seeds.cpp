// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds of fuzz_onnx_file: small models with all that the reader looks at.
#include <filesystem>
#include <fstream>

#include "../../onnxruntime/onnx_testing.h"

int main(int count, char** arguments) {
  using namespace vaccel::onnxruntime::testing;
  if (count != 2) return 2;
  const std::filesystem::path folder = arguments[1];
  std::filesystem::create_directories(folder);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  write("identity", identity(kFloat, {2, -1}).file());
  write("weights", OnnxModel()
                       .input("x", kFloat, {3})
                       .output("y", kFloat, {3})
                       .weight("w", {1, 2, 3})
                       .external_weight("e", 2, "other.bin")
                       .file());
  const Message tensor = Message().number(1, 1).number(2, kFloat).bytes(4, "1234");
  const Message inner = Message().message(1, Message().message(5, Message().message(5, tensor)));
  write("attributes",
        OnnxModel().node("If", {"x"}, {"y"}, Message().message(5, Message().message(6, inner))).file());
  return 0;
}
