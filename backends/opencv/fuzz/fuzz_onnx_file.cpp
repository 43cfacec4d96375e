// SPDX-License-Identifier: Apache-2.0
//
// Feeds bytes to the reader of ONNX files: whatever they are, it reads them or refuses them with a sentence.
#include <cstddef>
#include <cstdlib>

#include "../failure.h"
#include "../onnx_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vaccel::opencv;
  try {
    const OnnxFile file = read_onnx_file({reinterpret_cast<const char*>(data), size});
    for (const OnnxValue& value : file.inputs) {
      for (const int64_t dimension : value.shape) {
        if (dimension < -1) std::abort();
      }
    }
  } catch (const Failure& failure) {
    if (failure.status != VACCEL_INVALID_ARGUMENT || failure.sentence.empty()) std::abort();
  }
  return 0;
}
