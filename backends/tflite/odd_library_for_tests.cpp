// SPDX-License-Identifier: Apache-2.0
//
// A library that says it were TensorFlow Lite of version ODD_VERSION, and has nothing else of it.
extern "C" __attribute__((visibility("default"))) const char* TfLiteVersion() {
  return ODD_VERSION;
}
