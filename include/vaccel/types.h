/* SPDX-License-Identifier: Apache-2.0
 *
 * The vocabulary that callers (vaccel.h) and backends (backend.h) share: status codes, element types,
 * tensors, attributes, stages. Plain C, no functions, no behaviour. Nothing that only one of the two needs
 * belongs here.
 *
 * Every struct here is laid out the same on all 64-bit targets that vAccel supports. Reserved fields must be
 * zero, so that they can be given a meaning later.
 */
#ifndef VACCEL_TYPES_H
#define VACCEL_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What became of a call. The numbers are part of the ABI and of the wire protocol; they never change. */
typedef enum vaccel_status {
  VACCEL_OK = 0,
  VACCEL_INVALID_ARGUMENT = 1,   /**< The caller's arguments cannot be right, whatever the state. */
  VACCEL_NOT_FOUND = 2,          /**< No such model, operator, backend, tensor or endpoint. */
  VACCEL_PERMISSION_DENIED = 3,  /**< It exists, but not for this caller. */
  VACCEL_RESOURCE_EXHAUSTED = 4, /**< A limit was reached; the sentence says which, and its value. */
  VACCEL_DEADLINE_EXCEEDED = 5,  /**< The call's deadline passed before its result was here. */
  VACCEL_CANCELLED = 6,          /**< The caller, or its end, cancelled the call. */
  VACCEL_UNAVAILABLE = 7,        /**< Agent or worker is not there, or went away; trying again may help. */
  VACCEL_UNIMPLEMENTED = 8,      /**< Understood, but nothing here can do it. */
  VACCEL_PROTOCOL_ERROR = 9,     /**< The other end broke the wire protocol; the connection is closed. */
  VACCEL_INTERNAL = 10           /**< A fault of vAccel or of a framework, not of the caller. */
} vaccel_status;

/** Element types. The numbers are part of the ABI and of the wire protocol. */
typedef enum vaccel_dtype {
  VACCEL_FLOAT32 = 1,
  VACCEL_FLOAT64 = 2,
  VACCEL_FLOAT16 = 3,  /**< IEEE 754 binary16. */
  VACCEL_BFLOAT16 = 4, /**< The upper half of a binary32. */
  VACCEL_INT8 = 5,
  VACCEL_INT16 = 6,
  VACCEL_INT32 = 7,
  VACCEL_INT64 = 8,
  VACCEL_UINT8 = 9,
  VACCEL_UINT16 = 10,
  VACCEL_UINT32 = 11,
  VACCEL_UINT64 = 12,
  VACCEL_BOOL = 13, /**< One byte: 0 or 1. */
  /**
   * UTF-8 strings, one per element. The data are n + 1 little-endian uint32 offsets from the start of the
   * data, then the bytes: string i occupies [offset[i], offset[i + 1]), and its last byte is a NUL.
   */
  VACCEL_STRING = 14
} vaccel_dtype;

/** Most dimensions that a tensor may have. */
#define VACCEL_MAX_RANK 8

/**
 * A view of an n-dimensional array. It owns nothing: name, shape, strides and data stay the property of
 * whoever made the view, and must live as long as the function that takes it says.
 */
typedef struct vaccel_tensor {
  const char* name;       /**< Name of the model's input or output; NULL: by position. */
  void* data;             /**< First element; may be NULL only when bytes is 0. */
  size_t bytes;           /**< Size of the memory at data, in bytes; at least what shape and dtype need. */
  const int64_t* shape;   /**< rank numbers, each >= 0. NULL only when rank is 0 (a scalar). */
  const int64_t* strides; /**< rank numbers, in elements, as DLPack has them; NULL: dense and row-major. */
  int32_t rank;           /**< 0 .. VACCEL_MAX_RANK. */
  int32_t dtype;          /**< A vaccel_dtype. */
  uint64_t reserved[2];   /**< Zero. */
} vaccel_tensor;

/** What an attribute's value is. */
typedef enum vaccel_attribute_type {
  VACCEL_ATTRIBUTE_INT = 1,   /**< value.integer */
  VACCEL_ATTRIBUTE_FLOAT = 2, /**< value.real */
  VACCEL_ATTRIBUTE_STRING = 3 /**< value.string */
} vaccel_attribute_type;

/** A named argument of an operator that is not a tensor ("top" = 5). A view, as vaccel_tensor is. */
typedef struct vaccel_attribute {
  const char* name;
  int32_t type;      /**< A vaccel_attribute_type. */
  uint32_t reserved; /**< Zero. */
  union {
    int64_t integer;
    double real;
    const char* string;
  } value;
} vaccel_attribute;

/**
 * Where a call's time went, in nanoseconds; 0 for what did not happen. The stages from queue_ns on lie within
 * agent_ns, and agent_ns lies within total_ns: total_ns - agent_ns is what library and transport took.
 */
typedef struct vaccel_timings {
  uint64_t total_ns;       /**< In the caller: from the call to its result. */
  uint64_t agent_ns;       /**< In the agent: from the whole call having arrived to its result being sent. */
  uint64_t queue_ns;       /**< In the agent: waiting for a worker or for a model to load. */
  uint64_t worker_ns;      /**< In the worker, all of what follows included. */
  uint64_t decode_ns;      /**< Decoding an image. */
  uint64_t prepare_ns;     /**< Resizing and normalising; copying and converting tensors. */
  uint64_t infer_ns;       /**< In the framework: the model or operator itself. */
  uint64_t postprocess_ns; /**< From the model's outputs to the operator's result. */
} vaccel_timings;

/** A model's input or output, or an operator's: what describes a tensor without its data. */
typedef struct vaccel_tensor_info {
  const char* name;
  const int64_t* shape; /**< rank numbers; -1: any size. */
  int32_t rank;         /**< -1: any rank. */
  int32_t dtype;        /**< A vaccel_dtype. */
} vaccel_tensor_info;

/** Something that a model's file says of itself, under a name of its author's or of the format's. */
typedef struct vaccel_metadata {
  const char* key;
  const char* value;
} vaccel_metadata;

/** What a part of an operator's description is about. */
typedef enum vaccel_operator_part_kind {
  VACCEL_OPERATOR_INPUT = 1,
  VACCEL_OPERATOR_OUTPUT = 2,
  VACCEL_OPERATOR_ATTRIBUTE = 3
} vaccel_operator_part_kind;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* VACCEL_TYPES_H */
