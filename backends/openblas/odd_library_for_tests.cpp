// SPDX-License-Identifier: Apache-2.0
//
// A library that says it were OpenBLAS with the configuration ODD_CONFIG, and computes nothing.
#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED const char* openblas_get_config() {
  return ODD_CONFIG;
}
EXPORTED const char* openblas_get_corename() {
  return "odd";
}
EXPORTED void openblas_set_num_threads(int /*threads*/) {}
EXPORTED int openblas_get_num_threads() {
  return 1;
}
