/* SPDX-License-Identifier: Apache-2.0
 *
 * vAccel, for the authors of backends. A backend is a shared library that binds one framework: it opens
 * models and runs them on tensors, or implements operators that need no model. It sees this header and
 * types.h, and nothing else of vAccel.
 *
 * It exports one symbol, vaccel_backend_entry(), which returns a table of functions. The runtime looks at
 * size and abi_version before anything else in the table, and loads the library with RTLD_NOW | RTLD_LOCAL.
 *
 * Rules
 *   - Functions return a vaccel_status and, when it is not VACCEL_OK, say why through the `fail` function that
 *     they are given: one sentence, with the values seen and what would be right.
 *   - Nothing is thrown or long-jumped across this interface. Nothing is printed: see vaccel_backend_host.log.
 *   - `run` may be called from many threads at once, on the same model too. All else about one instance is
 *     called by one thread at a time.
 *   - The inputs of a run lie where they lie, possibly in memory shared with another process: read them, never
 *     write them. Results are written straight to the memory that output() hands out, which may be shared as
 *     well: never read back from it what a decision depends on.
 *   - Model files come from a catalogue that the host's operator trusts, or from a tenant. Whoever runs the
 *     process, a backend refuses what it can see is wrong.
 */
#ifndef VACCEL_BACKEND_H
#define VACCEL_BACKEND_H

#include <vaccel/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The version of this interface. It changes when a table of an older version could not be used any more. */
#define VACCEL_BACKEND_ABI 1u

/** The symbol that a backend exports. */
#define VACCEL_BACKEND_ENTRY "vaccel_backend_entry"

typedef struct vaccel_backend_instance vaccel_backend_instance; /* the backend's own */
typedef struct vaccel_backend_model vaccel_backend_model;       /* the backend's own */

/** How a failure's sentence gets out: fail(context, status, "...") keeps a copy of it and returns status. */
typedef struct vaccel_backend_error {
  void* context;
  vaccel_status (*fail)(void* context, vaccel_status status, const char* sentence);
} vaccel_backend_error;

/** One option from the host's configuration: the TOML key (nested ones joined by dots) and its value as text.
 */
typedef struct vaccel_backend_option {
  const char* key;   /**< "threads", "providers.0.name" */
  const char* value; /**< "4", "CUDAExecutionProvider", "true" */
  const char* where; /**< "vaccel.toml:12:3", for error sentences. */
} vaccel_backend_option;

/** What the runtime offers to a backend. Lives as long as the instance. */
typedef struct vaccel_backend_host {
  size_t size;
  void* context;
  /** Writes a line to the host's log. level: 0 debug, 1 information, 2 warning, 3 error. Thread-safe. */
  void (*log)(void* context, int level, const char* line);
} vaccel_backend_host;

/** Where a model is. Exactly one of path and data is set. */
typedef struct vaccel_backend_model_source {
  size_t size;
  const char* name;   /**< For sentences. */
  const char* format; /**< As in model.toml: "onnx", "tflite", "torchscript", ... */
  const char* path;   /**< A file that nobody but the host's operator writes; valid during model_open. */
  const void* data;   /**< Or the bytes, in place until model_close; see VACCEL_BACKEND_COPIES_MODELS. */
  size_t data_size;
} vaccel_backend_model_source;

/** One run, as the runtime describes it to the backend. */
typedef struct vaccel_backend_run vaccel_backend_run;
struct vaccel_backend_run {
  size_t size;
  /**
   * Dense, row-major, checked: data holds what dtype and shape need, at an address that is a multiple of the element's
   * size. For a model: in the order of its description. Floating-point data may lie in memory that a guest writes to
   * while this runs: whatever they are, they must only ever be used as numbers. Nobody changes data of other types.
   */
  const vaccel_tensor* inputs;
  size_t input_count;
  const vaccel_attribute* attributes; /**< Sorted by name; no name twice. */
  size_t attribute_count;
  int64_t deadline_ns; /**< Nanoseconds of CLOCK_MONOTONIC; 0: none. */
  vaccel_backend_error error;

  void* context; /**< For the functions below. */
  /**
   * Asks for the memory of result `index`. Call it once for each output, in any order; an output that nobody
   * called it for is empty.
   * @param bytes  dense size of dtype and shape; for VACCEL_STRING the size of offsets and characters.
   * @return memory of unspecified content, aligned to 64 bytes, or, where the caller chose the place, to the element's
   * size. A floating-point result may lie in memory that a guest reads and writes meanwhile: what is read back from it
   * must only ever be used as numbers. NULL: the limit for results is reached, or the place is too small
   * (fail() has been called; return VACCEL_RESOURCE_EXHAUSTED).
   */
  void* (*output)(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                  const int64_t* shape, size_t bytes);
  /** 1 once the caller has cancelled or the deadline has passed. Cheap; a long run asks now and then. */
  int (*cancelled)(void* context);
  /**
   * Registers what ends this run early when it is cancelled or its deadline passes: interrupt(argument) is
   * called at most once, from another thread, not after the matching call with NULL has returned. A backend
   * that sets it must clear it before run returns.
   */
  void (*on_cancel)(void* context, void (*interrupt)(void* argument), void* argument);
};

/** An operator that a backend implements without a model. */
typedef struct vaccel_backend_operator {
  const char* name;        /**< "vendor.name". */
  const char* description; /**< One line. */
  vaccel_status (*run)(vaccel_backend_instance* instance, vaccel_backend_run* run);
} vaccel_backend_operator;

/**
 * vaccel_backend.flags: model_open takes what it needs out of vaccel_backend_model_source.data, which may go once it has
 * returned. Without it the bytes stay in memory beside the model.
 */
#define VACCEL_BACKEND_COPIES_MODELS 1u

/** The table. Unused functions are NULL. */
typedef struct vaccel_backend {
  size_t size;             /**< sizeof(vaccel_backend) as the backend was compiled. */
  uint32_t abi_version;    /**< VACCEL_BACKEND_ABI */
  uint32_t flags;          /**< VACCEL_BACKEND_COPIES_MODELS, or 0. */
  const char* name;        /**< "onnxruntime": [a-z0-9-], at most 32 characters. */
  const char* description; /**< One line. */

  /**
   * Makes the one instance of this process. Fails with UNAVAILABLE when it cannot run here (a library or
   * device is missing): the sentence is shown as the reason, and the others go on. An option it does not know
   * is INVALID_ARGUMENT, with the option's `where`.
   */
  vaccel_status (*create)(const vaccel_backend_host* host, const vaccel_backend_option* options,
                          size_t option_count, const vaccel_backend_error* error,
                          vaccel_backend_instance** instance);
  void (*destroy)(vaccel_backend_instance* instance);

  /** The framework's version and the devices it uses, for people: "1.28.2", "CPU". They live as long as the
   * instance. */
  const char* (*version)(vaccel_backend_instance* instance);
  const char* (*devices)(vaccel_backend_instance* instance);

  /**
   * How promising this backend is for models of a format, 0 (cannot) .. 100; where a model leaves the choice
   * open, the highest score wins.
   */
  int32_t (*score)(vaccel_backend_instance* instance, const char* format);

  /** Loads a model. INVALID_ARGUMENT: the file is not a model of that format, or broken. */
  vaccel_status (*model_open)(vaccel_backend_instance* instance, const vaccel_backend_model_source* source,
                              const vaccel_backend_error* error, vaccel_backend_model** model);
  void (*model_close)(vaccel_backend_model* model);
  /** Inputs and outputs, in the order that run uses. The infos live as long as the model. */
  void (*model_describe)(vaccel_backend_model* model, const vaccel_tensor_info** inputs, size_t* input_count,
                         const vaccel_tensor_info** outputs, size_t* output_count);
  /** Runs a model. The runtime has checked the inputs' names, types, ranks and fixed dimensions against the
   * description. */
  vaccel_status (*model_run)(vaccel_backend_model* model, vaccel_backend_run* run);

  const vaccel_backend_operator* operators;
  size_t operator_count;
} vaccel_backend;

#if defined(__GNUC__)
#define VACCEL_BACKEND_EXPORT __attribute__((visibility("default")))
#else
#define VACCEL_BACKEND_EXPORT
#endif

/** The one exported symbol. The table is static. */
VACCEL_BACKEND_EXPORT const vaccel_backend* vaccel_backend_entry(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VACCEL_BACKEND_H */
