// SPDX-License-Identifier: Apache-2.0
//
// What an ONNX Runtime is to this backend that is older than it can use: the right symbol, and a version.
#include <onnxruntime_c_api.h>

extern "C" __attribute__((visibility("default"))) const OrtApiBase* OrtGetApiBase() noexcept {
  static constexpr OrtApiBase kBase = {
      .GetApi = [](uint32_t) noexcept -> const OrtApi* { return nullptr; },
      .GetVersionString = []() noexcept -> const char* { return ODD_VERSION; },
  };
  return &kBase;
}
