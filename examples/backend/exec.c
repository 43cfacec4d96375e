/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend with an operator that vAccel has never heard of: exec.call runs a function of a shared object that the
 * operator of the host has installed and named in the agent's configuration. Callers choose by name; a path never comes
 * from one. Without such a function the backend says so and stays off.
 *
 *   int FUNCTION(const void* input, size_t input_bytes, void* output, size_t* output_bytes);
 *
 * *output_bytes is the room at output, 1 MiB, and then what was written. A function returns 0, or it has failed.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vaccel/backend.h>

enum { kMostFunctions = 16, kRoom = 1 << 20 };
typedef int function(const void* input, size_t input_bytes, void* output, size_t* output_bytes);
struct vaccel_backend_instance {
  char* names[kMostFunctions];
  function* functions[kMostFunctions];
  size_t count;
};
static struct vaccel_backend_instance exec; /* there is one in a process */

static vaccel_status fail(const vaccel_backend_error* error, vaccel_status status, const char* sentence,
                          const char* what) {
  char text[512];
  snprintf(text, sizeof text, "%s%s", sentence, what);
  return error->fail(error->context, status, text);
}

/* [backend.exec.functions] NAME = "/path/of/library.so": the key is "functions.NAME". */
static vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                            size_t count, const vaccel_backend_error* error,
                            vaccel_backend_instance** instance) {
  (void)host;
  if (count == 0) return fail(error, VACCEL_UNAVAILABLE, "no [backend.exec.functions] are configured", "");
  for (exec.count = 0; exec.count < count; ++exec.count) {
    const vaccel_backend_option* option = &options[exec.count];
    if (strncmp(option->key, "functions.", 10) != 0 || exec.count == kMostFunctions)
      return fail(error, VACCEL_INVALID_ARGUMENT,
                  "exec takes up to 16 functions, and nothing else: ", option->where);
    void* library = dlopen(option->value, RTLD_NOW | RTLD_LOCAL);
    void* symbol = library != NULL ? dlsym(library, option->key + 10) : NULL;
    if (symbol == NULL) return fail(error, VACCEL_UNAVAILABLE, "", dlerror());
    exec.names[exec.count] = strdup(option->key + 10);
    memcpy(&exec.functions[exec.count], &symbol, sizeof symbol);
  }
  *instance = &exec;
  return VACCEL_OK;
}
static void destroy(vaccel_backend_instance* instance) {
  (void)instance;
}
static const char* one(vaccel_backend_instance* instance) {
  return (void)instance, "1";
}

static vaccel_status call(vaccel_backend_instance* instance, vaccel_backend_run* run) {
  const vaccel_attribute* name = run->attribute_count == 1 ? run->attributes : NULL;
  if (name == NULL || name->type != VACCEL_ATTRIBUTE_STRING || strcmp(name->name, "function") != 0 ||
      run->input_count != 1 || run->inputs[0].dtype != VACCEL_UINT8)
    return fail(&run->error, VACCEL_INVALID_ARGUMENT, "exec.call takes a uint8 tensor and 'function'", "");
  size_t at = 0;
  while (at < instance->count && strcmp(instance->names[at], name->value.string) != 0)
    ++at;
  if (at == instance->count)
    return fail(&run->error, VACCEL_NOT_FOUND, "there is no function ", name->value.string);
  void* result = malloc(kRoom);
  size_t bytes = kRoom;
  if (result == NULL) return VACCEL_RESOURCE_EXHAUSTED;
  const int failed = instance->functions[at](run->inputs[0].data, run->inputs[0].bytes, result, &bytes);
  void* output = NULL;
  if (!failed && bytes <= kRoom) {
    const int64_t shape = (int64_t)bytes;
    output = run->output(run->context, 0, "output", VACCEL_UINT8, 1, &shape, bytes);
    if (output != NULL) memcpy(output, result, bytes);
  }
  free(result);
  if (failed || bytes > kRoom) return fail(&run->error, VACCEL_INTERNAL, "it failed: ", name->value.string);
  return output != NULL ? VACCEL_OK : VACCEL_RESOURCE_EXHAUSTED;
}

static const int64_t any[] = {-1};
static const vaccel_tensor_info input = {"input", any, 1, VACCEL_UINT8},
                                output = {"output", any, 1, VACCEL_UINT8};
static const vaccel_backend_attribute attribute = {"function", VACCEL_ATTRIBUTE_STRING, 1, "its name"};
static const vaccel_backend_operator operators[] = {
    {"exec.call", "Calls a function that is installed", call, &input, 1, &output, 1, &attribute, 1}};
static const vaccel_backend table = {sizeof table,
                                     VACCEL_BACKEND_ABI,
                                     0,
                                     "exec",
                                     "Calls installed functions",
                                     create,
                                     destroy,
                                     one,
                                     one,
                                     .operators = operators,
                                     .operator_count = 1};
const vaccel_backend* vaccel_backend_entry(void) {
  return &table;
}
