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
#define VACCEL_BACKEND_ABI 2u

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
  /**
   * What the model's description says of inputs and outputs ([[inputs]], [[outputs]] of model.toml), for formats whose
   * files do not tell; mostly there is nothing. Valid during model_open. A backend that describes the model otherwise is
   * not believed: the model is refused.
   */
  const vaccel_tensor_info* inputs;
  size_t input_count;
  const vaccel_tensor_info* outputs;
  size_t output_count;
} vaccel_backend_model_source;

/** What the integers of a quantised input or output stand for: scale * (stored - zero_point). */
typedef struct vaccel_quantisation {
  float scale; /**< 0: the tensor is not quantised, or the file does not say how. */
  int32_t reserved;
  int64_t zero_point;
} vaccel_quantisation;

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

/** An attribute that an operator takes, for those who ask what there is. */
typedef struct vaccel_backend_attribute {
  const char* name;
  int32_t type;     /**< A vaccel_attribute_type. */
  int32_t required; /**< 1: a call without it is refused, by the operator itself. */
  const char* description;
} vaccel_backend_attribute;

/**
 * An operator that a backend implements without a model. What follows `run` describes it for people and programs; the
 * runtime checks nothing against it, so an operator that takes anything leaves it out.
 */
typedef struct vaccel_backend_operator {
  const char* name;        /**< "vendor.name". */
  const char* description; /**< One line. */
  vaccel_status (*run)(vaccel_backend_instance* instance, vaccel_backend_run* run);
  const vaccel_tensor_info* inputs;
  size_t input_count;
  const vaccel_tensor_info* outputs;
  size_t output_count;
  const vaccel_backend_attribute* attributes;
  size_t attribute_count;
} vaccel_backend_operator;

/* ---- Linear algebra
 *
 * The operators "gemm", "gemv", "axpy", "dot", "nrm2", "scal" and their kin have one name and one meaning on every
 * backend. The runtime reads and checks a call's arguments, finds the backend, and asks it for the one thing that
 * differs: the arithmetic, in one canonical form. Matrices are column-major, as in BLAS (a row-major product is the
 * column-major one of the operands swapped). All sizes have been checked: every element that an operation touches
 * lies in its memory, and no number overflows. What is read may be shared with a guest that writes to it meanwhile;
 * what is written is `c`, `y` or `result`, to which the runtime has copied what it held before, if that counts.
 */

typedef enum vaccel_linalg_operation {
  VACCEL_LINALG_GEMM = 1, /**< c = alpha op(a) op(b) + beta c, for each of a batch. */
  VACCEL_LINALG_GEMV = 2, /**< y = alpha op(a) x + beta y */
  VACCEL_LINALG_AXPY = 3, /**< y = alpha x + y */
  VACCEL_LINALG_SCAL = 4, /**< y = alpha y */
  VACCEL_LINALG_DOT = 5,  /**< result = x . y, one element of the vectors' type. */
  VACCEL_LINALG_NRM2 = 6, /**< result = the Euclidean norm of x. */
  VACCEL_LINALG_ADD = 7,  /**< result[i] = x[i] + y[i] */
  VACCEL_LINALG_COPY = 8, /**< result[i] = x[i] */
  VACCEL_LINALG_MIN = 9,  /**< result = the least of x: one element; n >= 1; NaN if there is one. */
  VACCEL_LINALG_MAX = 10  /**< result = the greatest of x, likewise. */
} vaccel_linalg_operation;

/** VACCEL_LINALG_GEMM. */
typedef struct vaccel_backend_gemm {
  size_t size;
  int32_t dtype;       /**< Of a, b and c. FLOAT16 and BFLOAT16 are accumulated in float32. */
  int32_t transpose_a; /**< 0: op(a) = a, m x k; 1: op(a) = a transposed, a is k x m. */
  int32_t transpose_b; /**< 0: op(b) = b, k x n; 1: b is n x k. */
  int32_t reserved;
  int64_t m, n, k; /**< >= 0; with k = 0, c = beta c. */
  double alpha;
  double beta; /**< 0: c is written and never read, so that what it held (a NaN) does not count. */
  const void* a;
  int64_t lda; /**< Elements from one column to the next. */
  const void* b;
  int64_t ldb;
  void* c;
  int64_t ldc;
  int64_t batch; /**< >= 0: how many products. */
  int64_t stride_a, stride_b,
      stride_c; /**< Elements from one product's matrix to the next one's; 0: it is shared. */
} vaccel_backend_gemm;

/** VACCEL_LINALG_GEMV. */
typedef struct vaccel_backend_gemv {
  size_t size;
  int32_t dtype;
  int32_t transpose; /**< 0: a is m x n, x has n elements, y has m; 1: x has m, y has n. */
  int64_t m, n;      /**< Of a. */
  double alpha;
  double beta; /**< 0: y is written and never read. */
  const void* a;
  int64_t lda;
  const void* x;
  void* y;
} vaccel_backend_gemv;

/** All others. Vectors are dense. */
typedef struct vaccel_backend_vectors {
  size_t size;
  int32_t dtype;
  int32_t reserved;
  int64_t n; /**< >= 0 */
  double alpha;
  const void* x;
  void* y;      /**< Read only in DOT and ADD. */
  void* result; /**< Never y. */
} vaccel_backend_vectors;

/** A backend's linear algebra. Its functions may be called from many threads at once. */
typedef struct vaccel_backend_linalg {
  size_t size;
  /** How promising an operation on a type is here, 0 (cannot) .. 100; the highest of all backends wins. */
  int32_t (*score)(vaccel_backend_instance* instance, vaccel_linalg_operation operation, vaccel_dtype dtype);
  vaccel_status (*gemm)(vaccel_backend_instance* instance, const vaccel_backend_gemm* problem,
                        vaccel_backend_run* run);
  vaccel_status (*gemv)(vaccel_backend_instance* instance, const vaccel_backend_gemv* problem,
                        vaccel_backend_run* run);
  vaccel_status (*vectors)(vaccel_backend_instance* instance, vaccel_linalg_operation operation,
                           const vaccel_backend_vectors* problem, vaccel_backend_run* run);
} vaccel_backend_linalg;

/* ---- Device memory
 *
 * A backend whose device has memory of its own can let data stay there from run to run: weights that all products need, a
 * result that the next operator reads. Such memory has an address range in this process, which tensors point into like
 * any other, and which belongs to nothing else: a device's own address where the two can never be the same (CUDA's), or
 * a reserved range (PROT_NONE) that stands for a handle. Only the backend that allocated it gets it: in the operands and
 * results of its linear algebra and of its own operators (vaccel_backend_operator), each of which may lie there or in
 * ordinary memory. Models get none.
 */

/** All functions may be called from many threads at once. */
typedef struct vaccel_backend_memory {
  size_t size;
  /**
   * Memory that holds zeros: what another tenant had there is not to be seen. RESOURCE_EXHAUSTED: the device has none left.
   * @param address  out: of its first byte, a multiple of 256.
   */
  vaccel_status (*allocate)(vaccel_backend_instance* instance, size_t bytes,
                            const vaccel_backend_error* error, void** address);
  /** No run uses it any more. */
  void (*release)(vaccel_backend_instance* instance, void* address);
  /**
   * Copies between two places that do not overlap, at least one of which is device memory; either may begin at any byte
   * of an allocation. It is done when this returns. Ordinary memory may be shared with a guest.
   */
  vaccel_status (*copy)(vaccel_backend_instance* instance, void* to, const void* from, size_t bytes,
                        const vaccel_backend_error* error);
} vaccel_backend_memory;

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

  const vaccel_backend_linalg* linalg; /**< NULL: no linear algebra. */

  /**
   * Prepares a window, memory that guests write to and that the tensors of later runs may lie in, so that the device
   * reaches it without a copy: CUDA pins it. The memory is writable and stays until window_drop; nothing in it may be
   * looked at. A failure is logged, and the window is used as any other memory. Both functions may be called by any
   * thread, while runs go on. Both or neither.
   */
  vaccel_status (*window_import)(vaccel_backend_instance* instance, void* memory, size_t bytes,
                                 const vaccel_backend_error* error);
  /** Ends what window_import began, for memory that it succeeded for, before it goes. No run uses it any more. */
  void (*window_drop)(vaccel_backend_instance* instance, void* memory);

  const vaccel_backend_memory* memory; /**< NULL: the device has no memory of its own. */

  /**
   * What the model's file knows of how its uint8 and int8 inputs and outputs are quantised, an element for each that
   * model_describe gives and in the same order; NULL: nothing. They live as long as the model. Where it is not known, a
   * model that takes pictures as integers needs a model.toml that says it, and where it is known, a model.toml that says
   * otherwise is refused.
   */
  void (*model_quantisation)(vaccel_backend_model* model, const vaccel_quantisation** inputs,
                             const vaccel_quantisation** outputs);

  /**
   * What the model's file says of itself, for people: who made it, its author's own notes. UTF-8; the pairs live as long as
   * the model. The runtime leaves out what is no UTF-8 and cuts what is too long. NULL: the format has none.
   */
  void (*model_metadata)(vaccel_backend_model* model, const vaccel_metadata** pairs, size_t* count);
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
