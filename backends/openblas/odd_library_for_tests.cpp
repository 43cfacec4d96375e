// SPDX-License-Identifier: Apache-2.0
//
// A library that says it were OpenBLAS with the configuration ODD_CONFIG, and computes nothing.
#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED char* openblas_get_config() {
  static char config[] = ODD_CONFIG;
  return config;
}
EXPORTED char* openblas_get_corename() {
  static char name[] = "odd";
  return name;
}
EXPORTED void openblas_set_num_threads(int /*threads*/) {}
EXPORTED int openblas_get_num_threads() {
  return 1;
}
