// SPDX-License-Identifier: Apache-2.0
//
// How libvaccel-runtime.so is reached: the guest library loads it for "local:" sessions, and contains no
// runtime itself. A table of functions, versioned, in C types. The two libraries are installed together, but
// a program may find an older one: size and abi_version are looked at first. The worker links the same code
// and uses Runtime (runtime.h) directly; RuntimeCall is the one description of a call for both.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vaccel/vaccel.h"

namespace vaccel::runtime {

class Runtime;
class Model;
class Memory;

inline constexpr uint32_t kRuntimeAbi = 3;
inline constexpr const char* kRuntimeLibrary = "libvaccel-runtime.so.0";
inline constexpr const char* kRuntimeEntry = "vaccel_runtime_entry";

/// Where a failure's sentence goes. `sentence` lives during the call only.
struct ErrorSink {
  void* context;
  void (*set)(void* context, const char* sentence);
};

/// One call, as the caller (worker or local session) describes it. Everything pointed to is the caller's and
/// stays in place until Runtime::call() returns.
struct RuntimeCall {
  size_t size;  ///< sizeof(RuntimeCall)
  const char* operator_name;
  Model* model;         ///< nullptr: the operator needs none.
  const char* backend;  ///< nullptr: the best there is.
  const vaccel_attribute* attributes;
  size_t attribute_count;
  /// Views that passed check_view() and are dense.
  /// Of what is not floating-point nobody changes a byte during the call: it may be parsed and indexed with in place.
  /// Floating-point numbers may change: they lie in memory that a guest can write to.
  const vaccel_tensor* inputs;
  size_t input_count;
  int64_t deadline_ns;
  /// Turns non-zero when the caller gives up; may be nullptr.
  const std::atomic<int>* cancelled;
  /// decode_ns to postprocess_ns are filled in; nullptr: nothing is measured.
  vaccel_timings* timings;
  /// Hands out the memory of result `index`: 64-byte aligned, `bytes` large; nullptr when there is none to be
  /// had. Called at most once for each index. `name` and `shape` live during this call only.
  void* (*output)(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                  const int64_t* shape, size_t bytes);
  void* output_context;
  ErrorSink error;
  /// The device memory (see MemoryPlace) that inputs or results lie in; each once.
  const Memory* const* memories;
  size_t memory_count;
  uint32_t
      batch;  ///< Out: how many calls ran together with this one; 0 or 1: it ran alone, or without a model.
  uint32_t
      calls_wanted;  ///< Out: how many calls the model would like to have at a time; 0: it does not join them.
};

/// Where memory lies that allocate_memory() handed out.
struct MemoryPlace {
  void* address;
  /// The backend on whose device it lies: nothing may be read or written at the address, and calls that use it say so in
  /// RuntimeCall::memories. nullptr: it is ordinary memory. Lives as long as the runtime.
  const char* backend;
};

struct RuntimeTable {
  size_t size;           ///< sizeof(RuntimeTable)
  uint32_t abi_version;  ///< kRuntimeAbi
  uint32_t reserved;
  /// `config_path`: a TOML file as docs/operations.md describes; nullptr: /etc/vaccel/vaccel.toml, and
  /// built-in defaults if there is none.
  vaccel_status (*create)(const char* config_path, const ErrorSink* error, Runtime** runtime);
  void (*destroy)(Runtime* runtime);
  /// Opens a catalogue model, loading it if it was not; the same name gives the same Model as long as it is
  /// open.
  vaccel_status (*open_model)(Runtime* runtime, const char* name, const ErrorSink* error, Model** model);
  void (*close_model)(Runtime* runtime, Model* model);
  vaccel_status (*call)(Runtime* runtime, RuntimeCall* call);
  /// Runs work(argument) on a thread of the runtime's, made at first use.
  vaccel_status (*post)(Runtime* runtime, void (*work)(void* argument), void* argument);
  /// The descriptions live until the calling thread's next call of the same function, or the runtime's end;
  /// the caller copies. describe_model loads a model that never was; one that cannot be loaded is described
  /// with its problem.
  vaccel_status (*describe)(Runtime* runtime, const ErrorSink* error, const vaccel_agent** description);
  vaccel_status (*list_models)(Runtime* runtime, const ErrorSink* error, const vaccel_model_list** list);
  vaccel_status (*describe_model)(Runtime* runtime, const char* name, const ErrorSink* error,
                                  const vaccel_model** description);
  /// Lives as the descriptions do.
  vaccel_status (*list_operators)(Runtime* runtime, const ErrorSink* error,
                                  const vaccel_operator_list** list);
  /// Memory that holds zeros, on the device of a backend (nullptr: the one that is best at products).
  vaccel_status (*allocate_memory)(Runtime* runtime, const char* backend, size_t bytes,
                                   const ErrorSink* error, Memory** memory, MemoryPlace* place);
  /// No call uses it any more.
  void (*free_memory)(Runtime* runtime, Memory* memory);
};

using RuntimeEntry = const RuntimeTable* (*)();

}  // namespace vaccel::runtime
