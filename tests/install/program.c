/* SPDX-License-Identifier: Apache-2.0
 *
 * A C program against the installed library: opens a session at argv[1] and calls an operator. It prints the result, or
 * the status and the sentence. */
#include <stdio.h>
#include <vaccel/vaccel.h>

static int fail(vaccel_status status) {
  printf("%s: %s\n", vaccel_status_name(status), vaccel_error_message());
  return 1;
}

int main(int argc, char** argv) {
  vaccel_session* session = NULL;
  vaccel_outputs* outputs = NULL;
  vaccel_status status;
  float values[3] = {1, 2, 3};
  const int64_t shape[1] = {3};
  vaccel_tensor input = {0};
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
  if (argc != 2) return 2;
  status = vaccel_open(argv[1], NULL, &session);
  if (status != VACCEL_OK) return fail(status);
  input.name = "x";
  input.data = values;
  input.bytes = sizeof values;
  input.shape = shape;
  input.rank = 1;
  input.dtype = VACCEL_FLOAT32;
  options.deadline_ns = vaccel_deadline_after_us(10000000);
  status = vaccel_call(session, "reference.echo", NULL, NULL, 0, &input, 1, &options, &outputs);
  if (status != VACCEL_OK) return fail(status);
  printf("%s %g\n", outputs->tensors[0].name, (double)((const float*)outputs->tensors[0].data)[2]);
  vaccel_outputs_free(outputs);
  vaccel_close(session);
  return 0;
}
