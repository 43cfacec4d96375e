/* SPDX-License-Identifier: Apache-2.0
 *
 * vAccel, for the authors of functions: one function call runs an operator (what a picture shows, inference of
 * any model) on whatever accelerator the host has. The same program runs unchanged in a VM, in a container
 * and on bare metal.
 *
 *     vaccel_session* session;
 *     vaccel_classes* classes;
 *     if (vaccel_open(NULL, NULL, &session) == VACCEL_OK &&
 *         vaccel_classify(session, "mobilenet", image, image_size, 5, NULL, &classes) == VACCEL_OK)
 *       printf("%s %.2f\n", classes->items[0].label, classes->items[0].score);
 *     else
 *       fprintf(stderr, "%s\n", vaccel_error_message());
 *
 * Rules that hold for every function here
 *   - It returns a vaccel_status. On failure every output is untouched, and vaccel_error_message() has the
 *     sentence: what was wrong, with the values seen, and what would be right.
 *   - It may be called from any thread, on the same session too; calls of one session run at the same time
 *     and complete in any order. (A vaccel_request belongs to one thread at a time.)
 *   - It never prints, exits, aborts, throws or installs signal handlers, and starts no thread. (A "local:" session
 *     is the exception: the runtime and its frameworks work in this process, with threads of their own.)
 *   - Strings are UTF-8 and NUL-terminated. Inputs are only read, and only until the function returns, if its
 *     text does not say otherwise.
 *   - What a function hands out as `vaccel_xyz**` belongs to the caller, who frees it with vaccel_xyz_free().
 *     Free functions take NULL.
 *   - Structs that begin with a field `size` may grow: set it to sizeof the struct; all else zero is the
 *     default. VACCEL_INIT(type) does both.
 *   - A session must not be used in a child after fork(); open a new one there.
 */
#ifndef VACCEL_VACCEL_H
#define VACCEL_VACCEL_H

#include <vaccel/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define VACCEL_API __attribute__((visibility("default")))
#define VACCEL_NODISCARD __attribute__((warn_unused_result))
#else
#define VACCEL_API
#define VACCEL_NODISCARD
#endif

#define VACCEL_VERSION_MAJOR 0
#define VACCEL_VERSION_MINOR 1
#define VACCEL_VERSION_PATCH 0

/** A sized struct with every other field zero: `vaccel_call_options o = VACCEL_INIT(vaccel_call_options);` */
#ifdef __cplusplus
#define VACCEL_INIT(type)                  \
  [] {                                     \
    type vaccel_init_value{};              \
    vaccel_init_value.size = sizeof(type); \
    return vaccel_init_value;              \
  }()
#else
#define VACCEL_INIT(type) ((type){.size = sizeof(type)})
#endif

/** A connection to an agent, or the runtime in this process. Made by vaccel_open(). */
typedef struct vaccel_session vaccel_session;

/** A call under way. Made by vaccel_submit_*(). */
typedef struct vaccel_request vaccel_request;

/** Memory for tensors and images that reaches the accelerator without being copied. Made by vaccel_buffer_alloc(). */
typedef struct vaccel_buffer vaccel_buffer;

/* ---- The library itself */

/** The version of the library that runs, "0.1.0". Static. */
VACCEL_API const char* vaccel_version(void);

/** The name of a status, "NOT_FOUND"; "UNKNOWN" for a number that is none. Static. */
VACCEL_API const char* vaccel_status_name(vaccel_status status);

/**
 * The sentence for the last failure in the calling thread; "" when there was none. Valid until the thread's
 * next call into this library.
 */
VACCEL_API const char* vaccel_error_message(void);

/**
 * When it may help to try again what failed last in the calling thread, in microseconds from then: of RESOURCE_EXHAUSTED,
 * UNAVAILABLE and DEADLINE_EXCEEDED, where the agent knows. 0: it does not. Valid as long as the sentence.
 */
VACCEL_API uint32_t vaccel_error_retry_after_us(void);

/**
 * The deadline that lies `timeout_us` microseconds in the future, for the deadline_ns fields: nanoseconds of
 * CLOCK_MONOTONIC.
 */
VACCEL_API int64_t vaccel_deadline_after_us(uint64_t timeout_us);

/* ---- Sessions */

/**
 * vaccel_open_options.flags, for measuring and for machines where something is known to be of no use: share no memory
 * with the agent; use no rings in it (calls go over the socket, their tensors through the memory); never spin while
 * waiting for a result.
 */
#define VACCEL_OPEN_NO_WINDOW 1u
#define VACCEL_OPEN_NO_RINGS 2u
#define VACCEL_OPEN_NO_SPIN 4u

/** How to open a session. */
typedef struct vaccel_open_options {
  size_t size;
  /** Longest wait for a connection and its greeting, in milliseconds; 0: 3000. Also used when reconnecting.
   */
  uint32_t connect_timeout_ms;
  uint32_t flags; /**< VACCEL_OPEN_* */
  /** Who this is, for the agent's logs only ("thumbnailer/1.4"); NULL: the process's name. It decides
   * nothing. */
  const char* client_name;
} vaccel_open_options;

/**
 * Opens a session with an agent, or with the runtime in this process.
 *
 * @param endpoint  Where the agent is:
 *   "unix:/path"          its unix socket
 *   "vsock:CID:PORT"      from a VM; CID 2 is the host
 *   "tcp:HOST:PORT"       an address literal ("127.0.0.1", "[::1]") or "localhost"
 *   "local:"              no agent: the runtime is loaded into this process (libvaccel-runtime.so),
 * configured by /etc/vaccel/vaccel.toml; "local:/path.toml" names another file NULL: finds it:
 * $VACCEL_ENDPOINT if set, else the agent's default unix socket (/run/vaccel/agent.sock) if it exists, else
 * vsock:2:4411 where this is a VM with vsock, else "local:".
 * @param options   NULL: the defaults.
 * @param session   out: the session. vaccel_close() ends it.
 * @return VACCEL_OK; INVALID_ARGUMENT: endpoint not understood; UNAVAILABLE: no agent answers there;
 *   PERMISSION_DENIED: the socket is not for this user; DEADLINE_EXCEEDED: no greeting in time;
 *   PROTOCOL_ERROR: what answers is no agent, or none that shares a protocol version with this library.
 *
 * A session outlives its connection: when the agent was restarted, or the VM was restored from a snapshot,
 * the next call connects again. Calls in flight at that moment fail with UNAVAILABLE and are not run again.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_open(const char* endpoint,
                                                      const vaccel_open_options* options,
                                                      vaccel_session** session);

/**
 * Ends a session: its calls in flight are cancelled. No other thread may be using the session or its
 * requests; requests must have been freed before. Takes NULL.
 */
VACCEL_API void vaccel_close(vaccel_session* session);

/** The endpoint that the session talks to, in the form of vaccel_open(). Lives as long as the session. */
VACCEL_API const char* vaccel_session_endpoint(const vaccel_session* session);

/* ---- Calls */

/** vaccel_call_options.flags: measure the stages (vaccel_outputs.timings). */
#define VACCEL_CALL_TIMINGS 1u

/** What can be said about any call. */
typedef struct vaccel_call_options {
  size_t size;
  /**
   * The call must be done by then, else it ends with DEADLINE_EXCEEDED and is cancelled at the other end:
   * nanoseconds of CLOCK_MONOTONIC, see vaccel_deadline_after_us(). 0: none. One that has passed fails at
   * once.
   */
  int64_t deadline_ns;
  const char* backend; /**< Name of the backend to use; NULL: the best there is for the model or operator. */
  uint32_t flags;      /**< VACCEL_CALL_TIMINGS */
  /**
   * Among the calls of one's own tenant that wait at an agent: greater ones are run first, from -100 to 100. It gains nothing
   * over other tenants' calls, and a local session does not look at it.
   */
  int32_t priority;
  void* user_data; /**< For vaccel_submit_*: handed back by vaccel_request_user_data(). */
  /**
   * Memory for results: the result of the same name (or, with name NULL, at the same position) is put at data
   * instead of into memory of the library's, if bytes suffices; else the call fails with INVALID_ARGUMENT,
   * which says how much it takes, and so it does when a place belongs to no result. dtype, rank and shape are
   * ignored. Not for vaccel_classify() and the other vision functions. For vaccel_submit_*, the array and the
   * memory must live until the request has completed or been freed.
   */
  const vaccel_tensor* outputs;
  size_t output_count;
} vaccel_call_options;

/** Results: named tensors. Made by vaccel_infer(), vaccel_call(), vaccel_request_outputs(). */
typedef struct vaccel_outputs {
  size_t size;
  size_t count;
  const vaccel_tensor* tensors; /**< Dense, row-major; data aligned to 64 bytes unless the caller gave it. */
  vaccel_timings timings;       /**< total_ns always; the stages only with VACCEL_CALL_TIMINGS. */
  /** Bytes of inputs and results that library, agent and worker copied for this call; 0: nothing moved. */
  uint64_t copied_bytes;
} vaccel_outputs;

VACCEL_API void vaccel_outputs_free(vaccel_outputs* outputs);

/** One class that an image may show. */
typedef struct vaccel_class {
  int32_t index;     /**< The model's class number, from 0. */
  float score;       /**< As the model says it: a probability for models that end in a softmax. */
  const char* label; /**< The class's name in the model's label file; "" when it has none. */
} vaccel_class;

/** The classes of an image, best first. Made by vaccel_classify(), vaccel_request_classes(). */
typedef struct vaccel_classes {
  size_t size;
  size_t count;
  const vaccel_class* items;
  vaccel_timings timings;
  uint64_t copied_bytes; /**< As in vaccel_outputs. */
} vaccel_classes;

VACCEL_API void vaccel_classes_free(vaccel_classes* classes);

/**
 * Says what a picture shows.
 *
 * @param model       Name of a classification model in the host's catalogue, see vaccel_models().
 * @param image       A whole PNG, JPEG or WebP file. It is decoded, resized and normalised on the host, as
 * the model's model.toml says. Transparent pixels are taken over black; of an animation, the first frame;
 * EXIF orientation is not applied.
 * @param image_size  Its size in bytes.
 * @param top         How many classes to return at most, >= 1.
 * @param options     NULL: the defaults.
 * @param classes     out.
 * @return VACCEL_OK; INVALID_ARGUMENT: not an image, or a broken one; RESOURCE_EXHAUSTED: more bytes or
 * pixels than the host allows; NOT_FOUND: no such model; UNIMPLEMENTED: the model does not classify;
 * DEADLINE_EXCEEDED; CANCELLED; UNAVAILABLE.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_classify(vaccel_session* session, const char* model,
                                                          const void* image, size_t image_size, uint32_t top,
                                                          const vaccel_call_options* options,
                                                          vaccel_classes** classes);

/* ---- More of what a picture shows
 *
 * Four more operators like vaccel_classify(), which says what holds for all five: how an image is given and read, and
 * what can go wrong (UNIMPLEMENTED: the model does something else). Coordinates are in pixels of the image as it was
 * given, from its top left corner; they may lie between two pixels. Maps have one element a pixel, rows from top to
 * bottom, without padding. Every result has the timings and copied bytes of its call (as in vaccel_outputs).
 */

/** Which results are wanted. 0 in a field is what the model's model.toml says, or else the operator's default. */
typedef struct vaccel_vision_options {
  size_t size;
  /** Results with a lower score are left out; negative: none is. For detect and pose. */
  float min_score;
  /** Of two boxes whose intersection is more than this part of their union (0 .. 1), the better one stays; whether
   * they must be of one class says the model. For detect. */
  float iou;
  /** How many results at most, best first. For detect and pose, and for classify, which has no default. */
  uint32_t top;
  uint32_t reserved; /**< Zero. */
} vaccel_vision_options;

/** One object in an image. */
typedef struct vaccel_detection {
  int32_t index;     /**< The model's class number, from 0. */
  float score;       /**< 0 .. 1 */
  const char* label; /**< The class's name in the model's label file; "" when it has none. */
  float x;           /**< Of the box: its left edge. */
  float y;           /**< Its upper edge. */
  float width;
  float height; /**< The box lies within the image. */
} vaccel_detection;

/** The objects in an image, best first. */
typedef struct vaccel_detections {
  size_t size;
  size_t count;
  const vaccel_detection* items;
  uint32_t image_width;
  uint32_t image_height;
  vaccel_timings timings;
  uint64_t copied_bytes;
} vaccel_detections;

/** What each pixel of an image belongs to. */
typedef struct vaccel_segmentation {
  size_t size;
  uint32_t width; /**< Of the image, and of classes. */
  uint32_t height;
  const void* classes;    /**< width x height class numbers, each less than label_count. */
  uint32_t element_bytes; /**< Of a class number in either map: 1 (uint8_t) or 2 (uint16_t). */
  uint32_t model_width;   /**< Of model_classes. */
  uint32_t model_height;
  uint32_t reserved;
  const void* model_classes; /**< The same as the model gave it, at its own size. */
  size_t label_count;
  const char* const* labels; /**< The classes' names, by number; "" when one has none. */
  vaccel_timings timings;
  uint64_t copied_bytes;
} vaccel_segmentation;

/** One point of a body. */
typedef struct vaccel_keypoint {
  float x;
  float y;          /**< It may lie outside the image: the model guesses what it does not see. */
  float score;      /**< 0 .. 1 */
  const char* name; /**< "nose", "left elbow", ...: as the model has it; "" when it has none. */
} vaccel_keypoint;

/** One body. (The name vaccel_pose is the function's.) */
typedef struct vaccel_pose_item {
  float score; /**< Of the whole. */
  uint32_t reserved;
  size_t
      keypoint_count; /**< The same for all poses of a model, which lists its keypoints in the same order. */
  const vaccel_keypoint* keypoints;
} vaccel_pose_item;

/** The poses of the bodies in an image, best first. */
typedef struct vaccel_poses {
  size_t size;
  size_t count;
  const vaccel_pose_item* items;
  uint32_t image_width;
  uint32_t image_height;
  vaccel_timings timings;
  uint64_t copied_bytes;
} vaccel_poses;

/** What the numbers of a depth map mean. */
typedef enum vaccel_depth_kind {
  VACCEL_DEPTH_METRIC = 1,   /**< Metres. */
  VACCEL_DEPTH_RELATIVE = 2, /**< Larger is farther; the unit is unknown. */
  VACCEL_DEPTH_INVERSE = 3   /**< Larger is nearer. */
} vaccel_depth_kind;

/** How far away what each pixel of an image shows is. */
typedef struct vaccel_depth_map {
  size_t size;
  uint32_t width; /**< Of the image, and of depth. */
  uint32_t height;
  const float* depth; /**< width x height numbers. */
  uint32_t model_width;
  uint32_t model_height;
  const float* model_depth; /**< The same as the model gave it, at its own size. */
  int32_t kind;             /**< A vaccel_depth_kind. */
  uint32_t reserved;
  vaccel_timings timings;
  uint64_t copied_bytes;
} vaccel_depth_map;

VACCEL_API void vaccel_detections_free(vaccel_detections* detections);
VACCEL_API void vaccel_segmentation_free(vaccel_segmentation* segmentation);
VACCEL_API void vaccel_poses_free(vaccel_poses* poses);
VACCEL_API void vaccel_depth_map_free(vaccel_depth_map* map);

/**
 * Finds the objects in a picture.
 * @param wanted      NULL: the defaults; at most 100 objects.
 * @param detections  out.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_detect(vaccel_session* session, const char* model,
                                                        const void* image, size_t image_size,
                                                        const vaccel_vision_options* wanted,
                                                        const vaccel_call_options* options,
                                                        vaccel_detections** detections);

/**
 * Says for each pixel of a picture what it belongs to.
 * @param segmentation  out.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_segment(vaccel_session* session, const char* model,
                                                         const void* image, size_t image_size,
                                                         const vaccel_call_options* options,
                                                         vaccel_segmentation** segmentation);

/**
 * Finds how the bodies in a picture are posed.
 * @param wanted  NULL: the defaults.
 * @param poses   out.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_pose(vaccel_session* session, const char* model,
                                                      const void* image, size_t image_size,
                                                      const vaccel_vision_options* wanted,
                                                      const vaccel_call_options* options,
                                                      vaccel_poses** poses);

/**
 * Says how far away what each pixel of a picture shows is.
 * @param map  out.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_depth(vaccel_session* session, const char* model,
                                                       const void* image, size_t image_size,
                                                       const vaccel_call_options* options,
                                                       vaccel_depth_map** map);

/* ---- Several pictures in one call
 *
 * They are run together where the model can, which accelerators like, and else one after the other. A call does all of
 * them or, when one cannot be read, none; the sentence then says which. Each result is freed on its own.
 */

/** Most images in one call. */
#define VACCEL_MAX_IMAGES 64

/** A whole PNG, JPEG or WebP file in memory. A view, as vaccel_tensor is. */
typedef struct vaccel_image {
  const void* data;
  size_t bytes;
  uint64_t reserved[2]; /**< Zero. */
} vaccel_image;

/**
 * As the functions without _batch, for image_count images (1 .. VACCEL_MAX_IMAGES).
 * @param results  out: image_count pointers, one for each image in the same order; untouched when the call fails.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_classify_batch(vaccel_session* session, const char* model,
                                                                const vaccel_image* images,
                                                                size_t image_count, uint32_t top,
                                                                const vaccel_call_options* options,
                                                                vaccel_classes** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_detect_batch(vaccel_session* session, const char* model,
                                                              const vaccel_image* images, size_t image_count,
                                                              const vaccel_vision_options* wanted,
                                                              const vaccel_call_options* options,
                                                              vaccel_detections** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_segment_batch(vaccel_session* session, const char* model,
                                                               const vaccel_image* images, size_t image_count,
                                                               const vaccel_call_options* options,
                                                               vaccel_segmentation** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_pose_batch(vaccel_session* session, const char* model,
                                                            const vaccel_image* images, size_t image_count,
                                                            const vaccel_vision_options* wanted,
                                                            const vaccel_call_options* options,
                                                            vaccel_poses** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_depth_batch(vaccel_session* session, const char* model,
                                                             const vaccel_image* images, size_t image_count,
                                                             const vaccel_call_options* options,
                                                             vaccel_depth_map** results);

/* ---- Any model, any operator */

/**
 * Runs a model on tensors.
 *
 * @param model    Name of a model in the host's catalogue; vaccel_model_describe() says what it takes.
 * @param inputs   input_count tensors, matched by name, or by position where the name is NULL. Strided ones
 * are packed by the library first.
 * @param options  NULL: the defaults.
 * @param outputs  out: all outputs of the model, in its order.
 * @return VACCEL_OK; INVALID_ARGUMENT: an input is missing, unknown, or of a type, rank, shape or size that
 * the model does not take; NOT_FOUND; RESOURCE_EXHAUSTED; DEADLINE_EXCEEDED; CANCELLED; UNAVAILABLE;
 * INTERNAL: the framework failed, its words are in the sentence.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_infer(vaccel_session* session, const char* model,
                                                       const vaccel_tensor* inputs, size_t input_count,
                                                       const vaccel_call_options* options,
                                                       vaccel_outputs** outputs);

/**
 * Calls any operator by name. Every operator is this: named tensors and attributes in, named tensors out;
 * vaccel_classify() and vaccel_infer() are shorter ways to say what this can say.
 *
 * @param operator_name  "classify", "detect", "infer", or one that a backend brings: "reference.echo".
 * @param model          The model it works on; NULL for an operator that needs none.
 * @param attributes     attribute_count attributes; NULL if there are none.
 * @param outputs        out; NULL: results are not wanted.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_call(vaccel_session* session, const char* operator_name,
                                                      const char* model, const vaccel_attribute* attributes,
                                                      size_t attribute_count, const vaccel_tensor* inputs,
                                                      size_t input_count, const vaccel_call_options* options,
                                                      vaccel_outputs** outputs);

/**
 * Asks the agent for a sign of life.
 * @param round_trip_ns  out: how long it took, in nanoseconds; may be NULL.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_ping(vaccel_session* session,
                                                      const vaccel_call_options* options,
                                                      uint64_t* round_trip_ns);

/* ---- Linear algebra
 *
 * BLAS on the host's accelerator, with CBLAS's arguments: orders, transposes, leading dimensions, increments, alpha and
 * beta mean what they mean there, and have its numbers. The element type is an argument: VACCEL_FLOAT32, VACCEL_FLOAT64,
 * or VACCEL_FLOAT16 and VACCEL_BFLOAT16, which are accumulated in float32 at least.
 *
 *   - With beta = 0, what c or y held does not count: it may be a NaN. With alpha = 0, a, b and x are not read, and may
 *     be NULL. Where a sum has no terms (k = 0), c is beta c.
 *   - Increments may be negative, as in BLAS: the vector begins at its end then. 0 reads one element n times; what is
 *     written to has another one.
 *   - A matrix in a vaccel_buffer is read where it lies, with its leading dimension, and so is a vector with increment
 *     1; a dense result in a buffer is written there. Everything else is copied once, without its gaps.
 *   - What is written to must not overlap what is read, or the other results of a batch.
 *   - On failure c, y and x are untouched, like every output. The exception is a dense one in a vaccel_buffer, or in a
 *     "local:" session, which is computed in place: a call that fails while it is under way (DEADLINE_EXCEEDED,
 *     UNAVAILABLE, INTERNAL) leaves anything there.
 *
 * All return VACCEL_OK; INVALID_ARGUMENT: a size is negative, a leading dimension too small, a pointer NULL, an extent
 * beyond the address space, or options.outputs is set; UNIMPLEMENTED: no backend, or not the one in options, does this
 * on that type; and what any call may return.
 */

typedef enum vaccel_order { VACCEL_ROW_MAJOR = 101, VACCEL_COLUMN_MAJOR = 102 } vaccel_order;

typedef enum vaccel_transpose {
  VACCEL_NO_TRANSPOSE = 111,
  VACCEL_TRANSPOSE = 112,
  VACCEL_CONJUGATE_TRANSPOSE = 113 /**< The same: no type here is complex. */
} vaccel_transpose;

/** c = alpha op(a) op(b) + beta c, where op(a) is m x k and op(b) is k x n. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_gemm(vaccel_session* session, vaccel_dtype dtype,
                                                      vaccel_order order, vaccel_transpose transpose_a,
                                                      vaccel_transpose transpose_b, int64_t m, int64_t n,
                                                      int64_t k, double alpha, const void* a, int64_t lda,
                                                      const void* b, int64_t ldb, double beta, void* c,
                                                      int64_t ldc, const vaccel_call_options* options);

/**
 * The same for each of `batch` products, whose matrices lie stride_a, stride_b and stride_c elements from each other.
 * @param stride_a  And stride_b: 0 for one matrix that all products share.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_gemm_strided_batch(
    vaccel_session* session, vaccel_dtype dtype, vaccel_order order, vaccel_transpose transpose_a,
    vaccel_transpose transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const void* a, int64_t lda,
    int64_t stride_a, const void* b, int64_t ldb, int64_t stride_b, double beta, void* c, int64_t ldc,
    int64_t stride_c, int64_t batch, const vaccel_call_options* options);

/** The same for matrices that lie anywhere: a, b and c are arrays of `batch` pointers. All are copied. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_gemm_batch(
    vaccel_session* session, vaccel_dtype dtype, vaccel_order order, vaccel_transpose transpose_a,
    vaccel_transpose transpose_b, int64_t m, int64_t n, int64_t k, double alpha, const void* const* a,
    int64_t lda, const void* const* b, int64_t ldb, double beta, void* const* c, int64_t ldc, int64_t batch,
    const vaccel_call_options* options);

/** y = alpha op(a) x + beta y, where a is m x n. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_gemv(vaccel_session* session, vaccel_dtype dtype,
                                                      vaccel_order order, vaccel_transpose transpose,
                                                      int64_t m, int64_t n, double alpha, const void* a,
                                                      int64_t lda, const void* x, int64_t incx, double beta,
                                                      void* y, int64_t incy,
                                                      const vaccel_call_options* options);

/** y = alpha x + y */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_axpy(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                      double alpha, const void* x, int64_t incx, void* y,
                                                      int64_t incy, const vaccel_call_options* options);

/** x = alpha x */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_scal(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                      double alpha, void* x, int64_t incx,
                                                      const vaccel_call_options* options);

/** @param result  out: x . y, one element of the type. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_dot(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                     const void* x, int64_t incx, const void* y, int64_t incy,
                                                     void* result, const vaccel_call_options* options);

/** @param result  out: the Euclidean norm of x, one element of the type. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_nrm2(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                      const void* x, int64_t incx, void* result,
                                                      const vaccel_call_options* options);

/** @param result  out: the least element of x, n >= 1; a NaN if there is one. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_min(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                     const void* x, int64_t incx, void* result,
                                                     const vaccel_call_options* options);

/** @param result  out: the greatest element of x, likewise. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_max(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                     const void* x, int64_t incx, void* result,
                                                     const vaccel_call_options* options);

/** z = x + y */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_add(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                     const void* x, int64_t incx, const void* y, int64_t incy,
                                                     void* z, int64_t incz,
                                                     const vaccel_call_options* options);

/** y = x */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_copy(vaccel_session* session, vaccel_dtype dtype, int64_t n,
                                                      const void* x, int64_t incx, void* y, int64_t incy,
                                                      const vaccel_call_options* options);

/* ---- Buffers
 *
 * A buffer lies in the window, memory that this process and the host both map, where there is one: a tensor whose
 * data point into a buffer is not copied on its way to the accelerator, and neither is a result that is put there
 * (vaccel_call_options.outputs). Without a window (over tcp, in a VM that has none) a buffer is ordinary memory, and
 * the same program does the same, with a copy. Inputs that lie elsewhere are copied into the window by the library,
 * once, so buffers are for what is used again or is expensive to copy.
 *
 * While a call that uses a buffer is under way, its input bytes should stay as they are and its result bytes are
 * nobody's: what is written there in the meantime may or may not be seen. The host survives anything. A call that was
 * given up (its deadline passed, or its request was freed) may yet run at the other end, and its results come late: free
 * the buffer that they were to be put in, and allocate another. What is freed is not handed out again before that is over.
 */

/** vaccel_buffer_options.flags: fail with UNIMPLEMENTED rather than hand out memory that the host does not share. */
#define VACCEL_BUFFER_SHARED 1u
/** Likewise: memory at the other end, where the work is done; see "Device buffers" below. */
#define VACCEL_BUFFER_DEVICE 2u

/** How a buffer should be. */
typedef struct vaccel_buffer_options {
  size_t size;
  uint64_t alignment; /**< Of its first byte: a power of two, at most 2 MiB; 0: 64. */
  uint32_t flags;     /**< VACCEL_BUFFER_SHARED or VACCEL_BUFFER_DEVICE, or 0. */
  uint32_t reserved;
  const char*
      backend; /**< Of a device buffer: on whose device; NULL: of the backend that is best at products. */
} vaccel_buffer_options;

/**
 * Allocates a buffer. Its content is unspecified: zeros, or what this session had there before; never another
 * session's.
 * @param bytes    >= 1.
 * @param options  NULL: the defaults.
 * @param buffer   out: free it with vaccel_buffer_free(), at the latest before vaccel_close().
 * @return VACCEL_OK; RESOURCE_EXHAUSTED: this session's share of the window is used up, or there is no memory;
 * UNIMPLEMENTED: there is no window, and VACCEL_BUFFER_SHARED was set; UNAVAILABLE.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_buffer_alloc(vaccel_session* session, size_t bytes,
                                                              const vaccel_buffer_options* options,
                                                              vaccel_buffer** buffer);

/**
 * The buffer's memory in this process; tensors may point anywhere into it. It stays there until
 * vaccel_buffer_free(). When the agent has been restarted since, the buffer's lease is gone: this function and calls
 * that use the memory return UNAVAILABLE (reading and writing it does no harm); allocate another.
 * @param data  out.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_buffer_map(const vaccel_buffer* buffer, void** data);

/** Its size in bytes, as it was asked for. */
VACCEL_API size_t vaccel_buffer_size(const vaccel_buffer* buffer);

/** 1 when it lies in a window, 0 when it is ordinary memory. */
VACCEL_API int vaccel_buffer_is_shared(const vaccel_buffer* buffer);

/* ---- Device buffers
 *
 * A buffer allocated with VACCEL_BUFFER_DEVICE lies where the work is done: in a GPU's own memory, where the backend has
 * one, else in the memory of the host's process that computes. What is uploaded there once need not travel again: weights
 * that many products use, a result that is the next operator's input. It holds zeros at first.
 *
 * It has an address range that belongs to nothing else in this process. Tensors, and the arguments of vaccel_gemm() and
 * its kin, may point anywhere into it, at whole elements, as an input or as the place of a result. What is read there may
 * have a leading dimension; results must be dense, and vectors have the increment 1. The address is a name and not memory:
 * reading or writing there ends the process. Only this session knows it.
 *
 * A call that uses a device's memory runs on its backend (vaccel_call_options.backend need not say so), and all that it
 * uses must lie on one device or in ordinary memory. Models and pictures take none of a backend that has device memory of
 * its own, and any of one that has not. When the agent or the process that has the buffer ends, its content is lost: calls
 * that use it return UNAVAILABLE. Free it, and allocate another.
 */

/**
 * Where a buffer begins, for tensors. It stays there until vaccel_buffer_free(). Of a buffer that is not on a device, the
 * same as vaccel_buffer_map().
 * @param address  out.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_buffer_device_address(const vaccel_buffer* buffer,
                                                                       void** address);

/** The backend on whose device a buffer lies, the only one that can use it; "": none, every backend can use it. Lives as
 * long as the buffer. */
VACCEL_API const char* vaccel_buffer_device(const vaccel_buffer* buffer);

/**
 * Copies from this process into a buffer of any kind.
 * @param session  That the buffer belongs to.
 * @param offset   Of the first byte in the buffer.
 * @param options  NULL: the defaults. Its deadline is for all of it; outputs must be empty.
 * @return VACCEL_OK: all of it is there, and calls made after this see it. INVALID_ARGUMENT: it reaches beyond the
 * buffer's end. UNAVAILABLE: the buffer is lost. Larger transfers go in pieces of 16 MiB: on failure some may have
 * arrived.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_buffer_upload(vaccel_session* session, vaccel_buffer* buffer,
                                                               size_t offset, const void* data, size_t bytes,
                                                               const vaccel_call_options* options);

/** Copies from a buffer of any kind into this process, likewise. @param data  out. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_buffer_download(vaccel_session* session,
                                                                 const vaccel_buffer* buffer, size_t offset,
                                                                 void* data, size_t bytes,
                                                                 const vaccel_call_options* options);

/** Frees a buffer; a call under way may go on using it until it is done. Takes NULL. */
VACCEL_API void vaccel_buffer_free(vaccel_buffer* buffer);

/* ---- Calls that do not block */

/**
 * As vaccel_classify(), vaccel_infer() and vaccel_call(), but return as soon as the call has been sent.
 * Inputs may be reused when the function returns, except for those in a vaccel_buffer, which are read while the call is
 * under way. The first use of a model waits until it is open, as
 * vaccel_model_load() does, which may be called before. An agent ends a session that leaves results lying for
 * long (30 s by default): poll or wait.
 * @param request  out: free it with vaccel_request_free().
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_submit_classify(vaccel_session* session, const char* model,
                                                                 const void* image, size_t image_size,
                                                                 uint32_t top,
                                                                 const vaccel_call_options* options,
                                                                 vaccel_request** request);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_submit_infer(vaccel_session* session, const char* model,
                                                              const vaccel_tensor* inputs, size_t input_count,
                                                              const vaccel_call_options* options,
                                                              vaccel_request** request);
VACCEL_API VACCEL_NODISCARD vaccel_status
vaccel_submit_call(vaccel_session* session, const char* operator_name, const char* model,
                   const vaccel_attribute* attributes, size_t attribute_count, const vaccel_tensor* inputs,
                   size_t input_count, const vaccel_call_options* options, vaccel_request** request);

/**
 * Any of the five vision operators on one or more images, returning as soon as the call has been sent. It takes the
 * operator's name, as vaccel_submit_call() does, because how a call is made does not depend on what it finds: five
 * functions would differ in nothing but their names. The results do differ, and each kind has a function to take it.
 *
 * @param operator_name  "classify", "detect", "segment", "pose" or "depth".
 * @param wanted         NULL: the defaults. A field that is not the operator's must be 0.
 * @param request        out: free it with vaccel_request_free().
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_submit_vision(vaccel_session* session,
                                                               const char* operator_name, const char* model,
                                                               const vaccel_image* images, size_t image_count,
                                                               const vaccel_vision_options* wanted,
                                                               const vaccel_call_options* options,
                                                               vaccel_request** request);

/**
 * Waits until a request has completed.
 * @param deadline_ns  Of this wait, not of the call: nanoseconds of CLOCK_MONOTONIC; 0: for as long as it
 * takes.
 * @return what became of the call; DEADLINE_EXCEEDED also when the wait's deadline passed, and then
 *   vaccel_request_done() says 0 and the call goes on.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_wait(vaccel_request* request, int64_t deadline_ns);

/**
 * Takes in what has arrived, without blocking, and hands out one submitted request that has completed and was
 * not handed out before (by this function or by vaccel_wait()).
 * @param request  out: the completed request; NULL when there is none. Still the caller's to free.
 * @return VACCEL_OK, whatever became of the request; see vaccel_request_status().
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_poll(vaccel_session* session, vaccel_request** request);

/**
 * A descriptor for poll(), epoll and their kin: readable when vaccel_poll() may have something to do. Call
 * vaccel_poll() until it hands out NULL before waiting on the descriptor again. It lives as long as the
 * session, also across reconnections; never read from it or close it. Deadlines of submitted calls are looked
 * at by vaccel_poll() and vaccel_wait(), so an event loop that uses them also needs a timer.
 * @return the descriptor; -1: none could be made, see vaccel_error_message().
 */
VACCEL_API int vaccel_session_fd(vaccel_session* session);

/** 1 when the request has completed, else 0. */
VACCEL_API int vaccel_request_done(const vaccel_request* request);

/** What became of a completed request (its sentence becomes vaccel_error_message()); UNAVAILABLE while it is
 * not. */
VACCEL_API vaccel_status vaccel_request_status(const vaccel_request* request);

/** The user_data of its options. */
VACCEL_API void* vaccel_request_user_data(const vaccel_request* request);

/** Takes the outputs of a request that completed with VACCEL_OK; they are handed out once. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_request_outputs(vaccel_request* request,
                                                                 vaccel_outputs** outputs);

/**
 * Takes the classes of a request of vaccel_submit_classify(), or of vaccel_submit_vision() with "classify", that completed
 * with VACCEL_OK; handed out once.
 * @param classes  out: as many pointers as the call had images.
 */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_request_classes(vaccel_request* request,
                                                                 vaccel_classes** classes);

/** The same for a request of vaccel_submit_vision() with "detect", "segment", "pose" and "depth". */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_request_detections(vaccel_request* request,
                                                                    vaccel_detections** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_request_segmentations(vaccel_request* request,
                                                                       vaccel_segmentation** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_request_poses(vaccel_request* request,
                                                               vaccel_poses** results);
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_request_depth_maps(vaccel_request* request,
                                                                    vaccel_depth_map** results);

/**
 * Asks the other end to give up a call. It completes as CANCELLED, or as if it had not been cancelled when it
 * was quicker.
 */
VACCEL_API void vaccel_cancel(vaccel_request* request);

/**
 * Frees a request; one that has not completed is cancelled first and its result dropped. (On a "local:" session
 * with options.outputs it waits until nothing writes there any more.) Takes NULL.
 */
VACCEL_API void vaccel_request_free(vaccel_request* request);

/* ---- What there is */

/** A model of the catalogue. */
typedef struct vaccel_model {
  size_t size;
  const char* name;
  const char* task;        /**< "classify", "infer", ... */
  const char* description; /**< For people; may be "". */
  const char* version;
  const char* license;
  const char* backend; /**< The backend that runs it; "" as long as it has not been loaded. */
  const char* problem; /**< Why it cannot be used, as a sentence; "" when it can. */
  /** Inputs and outputs of the model itself; 0 in vaccel_models(), which loads none. */
  size_t input_count;
  const vaccel_tensor_info* inputs;
  size_t output_count;
  const vaccel_tensor_info* outputs;
  /** What the model's file says of itself: its producer, its author's notes. As inputs: only once it is loaded. */
  size_t metadata_count;
  const vaccel_metadata* metadata;
} vaccel_model;

typedef struct vaccel_model_list {
  size_t size;
  size_t count;
  const vaccel_model* const* models;
} vaccel_model_list;

VACCEL_API void vaccel_model_free(vaccel_model* model);
VACCEL_API void vaccel_model_list_free(vaccel_model_list* list);

/** Lists the models that this session may use, by name. Loads none. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_models(vaccel_session* session, vaccel_model_list** list);

/** Describes one model, inputs and outputs included; loads it where it was not. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_model_describe(vaccel_session* session, const char* name,
                                                                vaccel_model** model);

/** Loads a model now, so that the first call does not wait for it. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_model_load(vaccel_session* session, const char* name);

/** A backend of the host's. */
typedef struct vaccel_backend_info {
  const char* name;
  const char* version; /**< Of the framework. */
  const char* devices; /**< What it runs on, for people: "CPU". */
  const char* problem; /**< Why it does not run here; "" when it does. */
} vaccel_backend_info;

/** What is at the other end. */
typedef struct vaccel_agent {
  size_t size;
  const char* endpoint;      /**< As vaccel_session_endpoint(). */
  const char* version;       /**< "vacceld 0.1.0"; "local 0.1.0" for a local session. */
  uint32_t protocol_version; /**< Of the wire; 0 for a local session. */
  uint32_t worker_count;
  uint64_t max_payload_bytes;   /**< Most bytes of tensors or image in one call. */
  uint32_t max_calls_in_flight; /**< Most calls of this session at one time. */
  uint32_t model_count;
  size_t backend_count;
  const vaccel_backend_info* backends;
  /** How this session shares memory with the host, as a sentence: "/dev/dax0.0, 512 MiB", or "none: " and why. */
  const char* window;
  uint64_t window_bytes; /**< Most bytes of buffers that this session may have; 0: there is no window. */
} vaccel_agent;

VACCEL_API void vaccel_agent_free(vaccel_agent* agent);

/** Describes the agent, its limits and its backends. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_agent_describe(vaccel_session* session,
                                                                vaccel_agent** agent);

/** An input, an output or an attribute of an operator, in words. */
typedef struct vaccel_operator_part {
  int32_t kind; /**< A vaccel_operator_part_kind. */
  uint32_t reserved;
  const char* name;        /**< "top"; "..." stands for any number of inputs or outputs, and any name. */
  const char* type;        /**< "integer >= 1, required", "uint8 [n]" */
  const char* description; /**< May be "". */
} vaccel_operator_part;

/** A backend that an operator can run on. */
typedef struct vaccel_operator_backend {
  const char* name;
  int32_t dtype; /**< The vaccel_dtype that this is about; 0: all that the operator takes. */
  int32_t score; /**< How promising it says it is, 1 .. 100: the highest is used; 0: they are not compared. */
} vaccel_operator_backend;

/** An operator: what vaccel_call() takes by name. */
typedef struct vaccel_operator {
  size_t size;
  const char* name;        /**< "classify", "gemm"; "vendor.name" where a backend brings it. */
  const char* description; /**< One line. */
  size_t part_count;
  const vaccel_operator_part* parts; /**< Inputs, then outputs, then attributes. */
  size_t backend_count;
  /** By type of elements, the most promising first; of operators that work on a model all that run models. */
  const vaccel_operator_backend* backends;
} vaccel_operator;

typedef struct vaccel_operator_list {
  size_t size;
  size_t count;
  const vaccel_operator* const* operators;
} vaccel_operator_list;

VACCEL_API void vaccel_operator_list_free(vaccel_operator_list* list);

/** Lists every operator that a call can name here, with its signature and the backends that offer it, by name. */
VACCEL_API VACCEL_NODISCARD vaccel_status vaccel_operators(vaccel_session* session,
                                                           vaccel_operator_list** list);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VACCEL_VACCEL_H */
