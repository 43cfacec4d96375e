/* SPDX-License-Identifier: Apache-2.0
 *
 * The first program: what does a photo show? Runs unchanged in a VM, in a container and on the host.
 */
#include <stdio.h>
#include <vaccel/vaccel.h>

int main(int argc, char** argv) {
  static char image[16 << 20];
  FILE* file = argc > 1 ? fopen(argv[1], "rb") : stdin;
  size_t size = file != NULL ? fread(image, 1, sizeof image, file) : 0;
  vaccel_session* session;
  vaccel_classes* classes;
  if (vaccel_open(NULL, NULL, &session) != VACCEL_OK ||
      vaccel_classify(session, "mobilenet", image, size, 1, NULL, &classes) != VACCEL_OK) {
    fprintf(stderr, "%s\n", vaccel_error_message());
    return 1;
  }
  printf("%s %.2f\n", classes->items[0].label, classes->items[0].score);
  vaccel_classes_free(classes);
  vaccel_close(session);
  return 0;
}
