// SPDX-License-Identifier: Apache-2.0
//
// One session of a program that keeps what it works on in buffers. It opens the session as any function would, naming
// no endpoint, and then does what each line of its standard input says, answering with one line: "ok ..." or "STATUS
// the library's sentence".
//
//   window            how the session shares memory with the host
//   hold BYTES TEXT   allocates a buffer, writes the text to its end and keeps it
//   infer buffers     runs the model on a tensor in a buffer, the result in another; both are kept for the next time
//   infer memory      the same tensor in memory of the program's own
//   free              frees all buffers

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vaccel/vaccel.h>

enum { kMaxHeld = 64 };

static vaccel_session* session;
static vaccel_model* model;
static vaccel_buffer* held[kMaxHeld];
static size_t held_count;
static vaccel_buffer* input_buffer;
static vaccel_buffer* result_buffer;
static float* input_memory;

static void fail(vaccel_status status) {
  printf("%s %s\n", vaccel_status_name(status), vaccel_error_message());
}

// The tensor that an input or output of the model takes, as a batch of one, without its data.
static vaccel_tensor tensor_of(const vaccel_tensor_info* info, int64_t* shape) {
  size_t count = 1;
  for (int32_t axis = 0; axis < info->rank; axis++) {
    shape[axis] = info->shape[axis] < 0 ? 1 : info->shape[axis];
    count *= (size_t)shape[axis];
  }
  vaccel_tensor tensor = {
      .shape = shape, .rank = info->rank, .dtype = info->dtype, .bytes = count * sizeof(float)};
  return tensor;
}

static void tell_window(void) {
  vaccel_agent* agent = NULL;
  const vaccel_status status = vaccel_agent_describe(session, &agent);
  if (status != VACCEL_OK) {
    fail(status);
    return;
  }
  printf("ok %s\n", agent->window);
  vaccel_agent_free(agent);
}

static void hold(size_t bytes, const char* text) {
  vaccel_status status = VACCEL_RESOURCE_EXHAUSTED;
  void* data = NULL;
  if (held_count < kMaxHeld) {
    status = vaccel_buffer_alloc(session, bytes, NULL, &held[held_count]);
  }
  if (status == VACCEL_OK) {
    status = vaccel_buffer_map(held[held_count++], &data);
  }
  if (status != VACCEL_OK) {
    fail(status);
    return;
  }
  memcpy((char*)data + bytes - strlen(text), text, strlen(text));
  printf("ok %s\n", vaccel_buffer_is_shared(held[held_count - 1]) ? "shared" : "ordinary");
}

// The buffer's memory; the buffer is allocated where it is not there yet. NULL: a failure, which has been told.
static float* memory_of(vaccel_buffer** buffer, size_t bytes) {
  vaccel_status status = *buffer != NULL ? VACCEL_OK : vaccel_buffer_alloc(session, bytes, NULL, buffer);
  void* data = NULL;
  if (status == VACCEL_OK) {
    status = vaccel_buffer_map(*buffer, &data);
  }
  if (status != VACCEL_OK) {
    fail(status);
  }
  return data;
}

static void infer(int in_buffers) {
  int64_t input_shape[VACCEL_MAX_RANK], result_shape[VACCEL_MAX_RANK];
  vaccel_tensor input = tensor_of(&model->inputs[0], input_shape);
  vaccel_tensor place = tensor_of(&model->outputs[0], result_shape);
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
  if (in_buffers) {
    input.data = memory_of(&input_buffer, input.bytes);
    place.data = input.data != NULL ? memory_of(&result_buffer, place.bytes) : NULL;
    if (place.data == NULL) {
      return;
    }
    options.outputs = &place;
    options.output_count = 1;
  } else {
    input_memory = input_memory != NULL ? input_memory : malloc(input.bytes);
    input.data = input_memory;
  }
  for (size_t index = 0; index < input.bytes / sizeof(float); index++) {
    ((float*)input.data)[index] = (float)(index * 37 % 255) / 127.5F - 1.0F;
  }
  vaccel_outputs* outputs = NULL;
  const vaccel_status status = vaccel_infer(session, model->name, &input, 1, &options, &outputs);
  if (status != VACCEL_OK) {
    fail(status);
    return;
  }
  const float* scores = outputs->tensors[0].data;
  size_t best = 0;
  for (size_t index = 1; index < outputs->tensors[0].bytes / sizeof(float); index++) {
    best = scores[index] > scores[best] ? index : best;
  }
  printf("ok class %zu score %.5f copied %llu\n", best, (double)scores[best],
         (unsigned long long)outputs->copied_bytes);
  vaccel_outputs_free(outputs);
}

static void free_buffers(void) {
  while (held_count > 0) {
    vaccel_buffer_free(held[--held_count]);
  }
  vaccel_buffer_free(input_buffer);
  vaccel_buffer_free(result_buffer);
  input_buffer = result_buffer = NULL;
  printf("ok\n");
}

static void obey(const char* line) {
  size_t bytes = 0;
  char text[64];
  if (strcmp(line, "window\n") == 0) {
    tell_window();
  } else if (sscanf(line, "hold %zu %63s", &bytes, text) == 2 && bytes >= strlen(text)) {
    hold(bytes, text);
  } else if (strcmp(line, "infer buffers\n") == 0) {
    infer(1);
  } else if (strcmp(line, "infer memory\n") == 0) {
    infer(0);
  } else if (strcmp(line, "free\n") == 0) {
    free_buffers();
  } else {
    printf("not understood: %s", line);
  }
  fflush(stdout);
}

int main(void) {
  if (vaccel_open(NULL, NULL, &session) != VACCEL_OK ||
      vaccel_model_describe(session, "mobilenet", &model) != VACCEL_OK) {
    fprintf(stderr, "%s\n", vaccel_error_message());
    return 1;
  }
  printf("session with %s\n", vaccel_session_endpoint(session));
  fflush(stdout);
  char line[256];
  while (fgets(line, sizeof line, stdin) != NULL) {
    obey(line);
  }
  free_buffers();
  vaccel_model_free(model);
  vaccel_close(session);
  return 0;
}
