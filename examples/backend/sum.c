/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest backend: one operator, example.sum. docs/backends.md walks through it.
 */
#include <string.h>
#include <vaccel/backend.h>

struct vaccel_backend_instance {
  int unused;
};
static struct vaccel_backend_instance the_instance;

static vaccel_status create(const vaccel_backend_host* host, const vaccel_backend_option* options,
                            size_t option_count, const vaccel_backend_error* error,
                            vaccel_backend_instance** instance) {
  (void)host;
  if (option_count > 0) return error->fail(error->context, VACCEL_INVALID_ARGUMENT, options[0].where);
  *instance = &the_instance;
  return VACCEL_OK;
}
static void destroy(vaccel_backend_instance* instance) {
  (void)instance;
}
static const char* version(vaccel_backend_instance* instance) {
  (void)instance;
  return "1";
}
static const char* devices(vaccel_backend_instance* instance) {
  (void)instance;
  return "CPU";
}

static vaccel_status sum(vaccel_backend_instance* instance, vaccel_backend_run* run) {
  (void)instance;
  if (run->input_count != 1 || run->inputs[0].dtype != VACCEL_FLOAT32)
    return run->error.fail(run->error.context, VACCEL_INVALID_ARGUMENT,
                           "example.sum takes one float32 tensor");
  float* result = run->output(run->context, 0, "sum", VACCEL_FLOAT32, 0, NULL, sizeof(float));
  if (result == NULL) return VACCEL_RESOURCE_EXHAUSTED;
  const float* values = run->inputs[0].data;
  const size_t count = run->inputs[0].bytes / sizeof(float);
  float total = 0;
  for (size_t i = 0; i < count; ++i)
    total += values[i];
  *result = total;
  return VACCEL_OK;
}

static const vaccel_backend_operator operators[] = {{"example.sum", "adds up a float32 tensor", sum}};
static const vaccel_backend table = {.size = sizeof(vaccel_backend),
                                     .abi_version = VACCEL_BACKEND_ABI,
                                     .name = "example-sum",
                                     .description = "adds",
                                     .create = create,
                                     .destroy = destroy,
                                     .version = version,
                                     .devices = devices,
                                     .operators = operators,
                                     .operator_count = 1};
const vaccel_backend* vaccel_backend_entry(void) {
  return &table;
}
