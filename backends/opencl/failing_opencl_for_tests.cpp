// SPDX-License-Identifier: Apache-2.0
//
// The machine's own OpenCL, of which some calls can be made to fail: a device whose memory is full or that is gone, which
// nobody can do to a real one from a test. All but these calls are those of libOpenCL.so.1, which this library is linked
// to: looking a function up here finds it there.
#include <CL/cl.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

std::atomic<int> memory_error;
std::atomic<int> memory_failures;
std::atomic<int> finish_error;
std::atomic<int> finish_failures;
std::atomic<size_t> largest;

template <typename Function>
Function* real(const char* name) {
  static void* const library = ::dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

// Whether this call is one of those that are to fail.
bool fails(std::atomic<int>& failures) {
  int left = failures;
  while (left > 0 && !failures.compare_exchange_weak(left, left - 1)) {
  }
  return left > 0;
}

}  // namespace

/// The next so many calls of "clCreateBuffer" or "clFinish" fail with `error`; those that borrow the host's memory are not
/// counted and do not fail.
EXPORTED void fail_next(const char* call, int times, int error) {
  const bool memory = std::strcmp(call, "clCreateBuffer") == 0;
  (memory ? memory_error : finish_error) = error;
  (memory ? memory_failures : finish_failures) = times;
}

/// The bytes of the largest buffer that was asked for.
EXPORTED size_t largest_buffer() {
  return largest;
}

EXPORTED cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void* host,
                               cl_int* error) {
  if ((flags & CL_MEM_USE_HOST_PTR) == 0) {
    if (fails(memory_failures)) {
      if (error != nullptr) *error = memory_error;
      return nullptr;
    }
    largest = std::max<size_t>(largest, size);
  }
  return real<decltype(clCreateBuffer)>("clCreateBuffer")(context, flags, size, host, error);
}

EXPORTED cl_int clFinish(cl_command_queue queue) {
  const cl_int result = real<decltype(clFinish)>("clFinish")(queue);
  return fails(finish_failures) ? finish_error.load() : result;
}
