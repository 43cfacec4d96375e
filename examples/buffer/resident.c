/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that stay: uploaded once to where the work is done, and used by every product from then on. What travels for a
 * product are its input and its result; on a GPU, the weights lie in the GPU's own memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <vaccel/vaccel.h>

enum { kInputs = 1024, kOutputs = 512, kProducts = 100 };

static void or_end(vaccel_status status) {
  if (status == VACCEL_OK) return;
  fprintf(stderr, "%s\n", vaccel_error_message());
  exit(1);
}

int main(void) {
  static float weights[kInputs * kOutputs], input[kInputs], output[kOutputs];
  for (int index = 0; index < kInputs * kOutputs; ++index)
    weights[index] = (float)(index % 7);

  vaccel_session* session;
  or_end(vaccel_open(NULL, NULL, &session));
  vaccel_buffer_options options = VACCEL_INIT(vaccel_buffer_options);
  options.flags = VACCEL_BUFFER_DEVICE;
  vaccel_buffer* buffer;
  void* resident; /* an address for arguments: nobody can read or write there */
  or_end(vaccel_buffer_alloc(session, sizeof weights, &options, &buffer));
  or_end(vaccel_buffer_device_address(buffer, &resident));
  or_end(vaccel_buffer_upload(session, buffer, 0, weights, sizeof weights, NULL));

  double sum = 0;
  for (int product = 0; product < kProducts; ++product) {
    for (int index = 0; index < kInputs; ++index)
      input[index] = (float)product;
    or_end(vaccel_gemv(session, VACCEL_FLOAT32, VACCEL_ROW_MAJOR, VACCEL_NO_TRANSPOSE, kOutputs, kInputs, 1,
                       resident, kInputs, input, 1, 0, output, 1, NULL));
    sum += output[0];
  }
  const char* device = vaccel_buffer_device(buffer);
  printf("%d products with %zu KiB of weights in the memory of %s; sum %.0f\n", kProducts,
         sizeof weights / 1024, *device != '\0' ? device : "the host", sum);
  vaccel_buffer_free(buffer);
  vaccel_close(session);
  return 0;
}
