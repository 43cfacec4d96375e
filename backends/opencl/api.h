// SPDX-License-Identifier: Apache-2.0
//
// OpenCL's loader and CLBlast, opened when the backend is made, as tables of the functions that are called here; and
// their numbers made into sentences. Exceptions stay within this backend; guarded() in opencl.cpp ends them.
#pragma once

#include <clblast_c.h>

#include <memory>
#include <string>

#include "common/failure.h"
#include "vaccel/backend.h"

namespace vaccel::opencl {

using backends::Failure;
using backends::refuse;

/// The functions of libOpenCL.so.1 that this backend calls, under their own names.
struct OpenCl {
  decltype(&::clGetPlatformIDs) clGetPlatformIDs = nullptr;
  decltype(&::clGetPlatformInfo) clGetPlatformInfo = nullptr;
  decltype(&::clGetDeviceIDs) clGetDeviceIDs = nullptr;
  decltype(&::clGetDeviceInfo) clGetDeviceInfo = nullptr;
  decltype(&::clCreateContext) clCreateContext = nullptr;
  decltype(&::clReleaseContext) clReleaseContext = nullptr;
  decltype(&::clCreateCommandQueue) clCreateCommandQueue = nullptr;
  decltype(&::clReleaseCommandQueue) clReleaseCommandQueue = nullptr;
  decltype(&::clCreateBuffer) clCreateBuffer = nullptr;
  decltype(&::clCreateSubBuffer) clCreateSubBuffer = nullptr;
  decltype(&::clReleaseMemObject) clReleaseMemObject = nullptr;
  decltype(&::clCreateProgramWithSource) clCreateProgramWithSource = nullptr;
  decltype(&::clCreateProgramWithBinary) clCreateProgramWithBinary = nullptr;
  decltype(&::clBuildProgram) clBuildProgram = nullptr;
  decltype(&::clGetProgramInfo) clGetProgramInfo = nullptr;
  decltype(&::clGetProgramBuildInfo) clGetProgramBuildInfo = nullptr;
  decltype(&::clReleaseProgram) clReleaseProgram = nullptr;
  decltype(&::clCreateKernel) clCreateKernel = nullptr;
  decltype(&::clSetKernelArg) clSetKernelArg = nullptr;
  decltype(&::clReleaseKernel) clReleaseKernel = nullptr;
  decltype(&::clEnqueueNDRangeKernel) clEnqueueNDRangeKernel = nullptr;
  decltype(&::clEnqueueWriteBuffer) clEnqueueWriteBuffer = nullptr;
  decltype(&::clEnqueueReadBuffer) clEnqueueReadBuffer = nullptr;
  decltype(&::clEnqueueWriteBufferRect) clEnqueueWriteBufferRect = nullptr;
  decltype(&::clEnqueueReadBufferRect) clEnqueueReadBufferRect = nullptr;
  decltype(&::clEnqueueCopyBuffer) clEnqueueCopyBuffer = nullptr;
  decltype(&::clEnqueueCopyBufferRect) clEnqueueCopyBufferRect = nullptr;
  decltype(&::clEnqueueFillBuffer) clEnqueueFillBuffer = nullptr;
  decltype(&::clEnqueueMapBuffer) clEnqueueMapBuffer = nullptr;
  decltype(&::clEnqueueUnmapMemObject) clEnqueueUnmapMemObject = nullptr;
  decltype(&::clFinish) clFinish = nullptr;

  /// `path` empty: where the loader finds it. UNAVAILABLE when it is not there.
  static OpenCl load(const std::string& path);
};

/// The functions of CLBlast. A matrix, a leading dimension and an index in it are `int` in its kernels: see
/// block_of() in common/product.h.
struct ClBlast {
  decltype(&::CLBlastSgemm) CLBlastSgemm = nullptr;
  decltype(&::CLBlastDgemm) CLBlastDgemm = nullptr;
  decltype(&::CLBlastSgemmStridedBatched) CLBlastSgemmStridedBatched = nullptr;
  decltype(&::CLBlastDgemmStridedBatched) CLBlastDgemmStridedBatched = nullptr;
  decltype(&::CLBlastSgemv) CLBlastSgemv = nullptr;
  decltype(&::CLBlastDgemv) CLBlastDgemv = nullptr;
  decltype(&::CLBlastClearCache) CLBlastClearCache = nullptr;
  std::string version;  ///< "1.5.3", as its file is named; "" where it is not.

  /// As OpenCl::load().
  static ClBlast load(const std::string& path);
};

/// "CL_OUT_OF_RESOURCES"; "an error without a name" for numbers that have none.
const char* error_name(int number);

/// What a failure with that number, of OpenCL or CLBlast, is to a caller: out of memory is RESOURCE_EXHAUSTED, a device
/// that is gone UNAVAILABLE, all else INTERNAL.
vaccel_status status_of(int number);

/// Throws unless `number` is CL_SUCCESS: "CALL failed: CL_OUT_OF_RESOURCES (-5)".
void check(int number, const char* call);

template <typename T>
struct Release {
  cl_int(CL_API_CALL* function)(T*) = nullptr;
  void operator()(T* handle) const { function(handle); }
};
template <typename T>
using Handle = std::unique_ptr<T, Release<T>>;

using Context = Handle<_cl_context>;
using Queue = Handle<_cl_command_queue>;
using Memory = Handle<_cl_mem>;
using Program = Handle<_cl_program>;
using Kernel = Handle<_cl_kernel>;

}  // namespace vaccel::opencl
