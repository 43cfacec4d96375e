// SPDX-License-Identifier: Apache-2.0
//
// One session, many calls: opens it as any function would, naming no endpoint, then classifies the picture
// once for each line of its standard input and prints one line each time: "ok LABEL" or "STATUS the library's
// sentence".

#include <stdio.h>
#include <stdlib.h>
#include <vaccel/vaccel.h>

static unsigned char image[16 << 20];

int main(int argc, char** argv) {
  FILE* file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL) {
    fprintf(stderr, "usage: classify_again PHOTO (which can be read)\n");
    return 2;
  }
  const size_t image_size = fread(image, 1, sizeof image, file);
  fclose(file);

  vaccel_session* session = NULL;
  if (vaccel_open(NULL, NULL, &session) != VACCEL_OK) {
    fprintf(stderr, "%s\n", vaccel_error_message());
    return 1;
  }
  printf("session with %s\n", vaccel_session_endpoint(session));
  fflush(stdout);
  for (int c; (c = getchar()) != EOF;) {
    if (c != '\n') {
      continue;
    }
    vaccel_classes* classes = NULL;
    const vaccel_status status = vaccel_classify(session, "mobilenet", image, image_size, 1, NULL, &classes);
    if (status == VACCEL_OK) {
      printf("ok %s\n", classes->items[0].label);
      vaccel_classes_free(classes);
    } else {
      printf("%s %s\n", vaccel_status_name(status), vaccel_error_message());
    }
    fflush(stdout);
  }
  vaccel_close(session);
  return 0;
}
