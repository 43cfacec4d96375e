/* SPDX-License-Identifier: Apache-2.0
 *
 * Without copies: a tensor that lies in a buffer, and a result that is put into one, are where the host's framework
 * reads and writes them. Runs unchanged where no memory is shared; then it says how much was copied instead.
 */
#include <stdio.h>
#include <vaccel/vaccel.h>

enum { kPixels = 3 * 224 * 224, kClasses = 1001 };

int main(void) {
  vaccel_session* session;
  vaccel_buffer* buffer;
  void* memory;
  if (vaccel_open(NULL, NULL, &session) != VACCEL_OK ||
      vaccel_buffer_alloc(session, (kPixels + kClasses) * sizeof(float), NULL, &buffer) != VACCEL_OK ||
      vaccel_buffer_map(buffer, &memory) != VACCEL_OK) {
    fprintf(stderr, "%s\n", vaccel_error_message());
    return 1;
  }
  float* const pixels = memory;
  float* const scores = pixels + kPixels;
  for (int index = 0; index < kPixels; ++index)
    pixels[index] = 0; /* a grey picture */

  const int64_t shape[] = {1, 3, 224, 224};
  const vaccel_tensor picture = {
      .data = pixels, .bytes = kPixels * sizeof(float), .shape = shape, .rank = 4, .dtype = VACCEL_FLOAT32};
  const vaccel_tensor place = {.data = scores, .bytes = kClasses * sizeof(float)};
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
  options.outputs = &place; /* where the first result goes */
  options.output_count = 1;
  vaccel_outputs* outputs;
  if (vaccel_infer(session, "mobilenet", &picture, 1, &options, &outputs) != VACCEL_OK) {
    fprintf(stderr, "%s\n", vaccel_error_message());
    return 1;
  }
  int best = 0;
  for (int index = 1; index < kClasses; ++index)
    if (scores[index] > scores[best]) best = index;
  printf("class %d, %.2f; copied %llu bytes\n", best, (double)scores[best],
         (unsigned long long)outputs->copied_bytes);
  vaccel_outputs_free(outputs);
  vaccel_buffer_free(buffer);
  vaccel_close(session);
  return 0;
}
