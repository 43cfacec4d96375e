// SPDX-License-Identifier: Apache-2.0
//
// Runs cases of ONNX's test data, by ONNX Runtime alone or through an agent, and says what became of each, as a line of
// JSON: {"case": ..., "outcome": "passed" | "wrong" | "failed" | "unsupported", "result": fingerprint, "reason": ...}.
// test_onnx_conformance.py starts the agent and compares the two.
//
//   onnx_conformance direct LIBRARY FOLDER...      a folder a case
//   onnx_conformance agent ENDPOINT FOLDER...      the agent's models are named as the folders are
#include <cstdio>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "direct_session.h"
#include "onnx_case.h"
#include "vaccel/vaccel.h"

namespace vaccel::conformance {
namespace {

using Run = std::function<bool(const std::filesystem::path& folder, const std::vector<Value>& inputs,
                               std::vector<Value>& outputs, std::string& reason)>;

Value copy_of(const vaccel_tensor& tensor) {
  const auto* data = static_cast<const std::byte*>(tensor.data);
  return {tensor.name,
          static_cast<vaccel_dtype>(tensor.dtype),
          {tensor.shape, tensor.shape + tensor.rank},
          {data, data + tensor.bytes}};
}

bool run_through(vaccel_session* session, const std::filesystem::path& folder,
                 const std::vector<Value>& inputs, std::vector<Value>& outputs, std::string& reason) {
  std::vector<vaccel_tensor> views;
  for (const Value& input : inputs)
    views.push_back(input.view());
  vaccel_outputs* given = nullptr;
  const vaccel_status status =
      vaccel_infer(session, folder.filename().c_str(), views.data(), views.size(), nullptr, &given);
  if (status != VACCEL_OK) {
    reason = std::string(vaccel_status_name(status)) + ": " + vaccel_error_message();
    return false;
  }
  outputs.clear();
  for (size_t index = 0; index < given->count; ++index)
    outputs.push_back(copy_of(given->tensors[index]));
  vaccel_outputs_free(given);
  return true;
}

bool is_as_expected(const std::vector<Value>& outputs, const std::vector<Value>& expected) {
  // A case may say nothing of its last outputs.
  if (outputs.size() < expected.size()) return false;
  for (size_t index = 0; index < expected.size(); ++index) {
    if (!is_close(outputs[index], expected[index])) return false;
  }
  return true;
}

void run_case(const std::filesystem::path& folder, const Run& run) {
  nlohmann::json line{{"case", folder.filename().string()}};
  std::string reason;
  std::vector<Value> outputs;
  const auto one = read_case(folder, reason);
  if (!one) {
    line["outcome"] = "unsupported";
  } else if (!run(folder, one->inputs, outputs, reason)) {
    line["outcome"] = "failed";
  } else {
    line["outcome"] = is_as_expected(outputs, one->outputs) ? "passed" : "wrong";
    line["result"] = fingerprint(outputs);
  }
  if (!reason.empty()) line["reason"] = reason;
  std::printf("%s\n", line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
  std::fflush(stdout);  // what was found is known though the next case may end this process
}

}  // namespace
}  // namespace vaccel::conformance

int main(int count, char** arguments) {
  using namespace vaccel::conformance;
  if (count < 4) {
    std::fprintf(stderr, "usage: onnx_conformance direct LIBRARY FOLDER... | agent ENDPOINT FOLDER...\n");
    return 2;
  }
  Run run;
  vaccel_session* session = nullptr;
  if (std::strcmp(arguments[1], "direct") == 0) {
    run = [direct = DirectRuntime(arguments[2])](const auto& folder, const auto& inputs, auto& outputs,
                                                 auto& reason) {
      return direct.run(folder / "model.onnx", inputs, outputs, reason);
    };
  } else {
    if (vaccel_open(arguments[2], nullptr, &session) != VACCEL_OK) {
      std::fprintf(stderr, "%s\n", vaccel_error_message());
      return 1;
    }
    run = [session](const auto& folder, const auto& inputs, auto& outputs, auto& reason) {
      return run_through(session, folder, inputs, outputs, reason);
    };
  }
  for (int index = 3; index < count; ++index)
    run_case(arguments[index], run);
  vaccel_close(session);
  return 0;
}
