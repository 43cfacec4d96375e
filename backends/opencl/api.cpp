// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <CL/cl_ext.h>
#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "common/framework_library.h"

namespace vaccel::opencl {
namespace {

void* open_library(const std::string& path, const char* usual, const char* option) {
  std::string reason;
  if (void* library = backends::open_first({path.empty() ? usual : path}, reason)) return library;
  refuse(VACCEL_UNAVAILABLE, "cannot load %s; [backend.opencl] %s = \"PATH\" says where it is",
         reason.c_str(), option);
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  backends::find_function(library, name, "another one, or too old", function);
}

// libclblast.so.1.5.3 -> "1.5.3". CLBlast has no function that says it.
std::string version_of_file(const void* function) {
  Dl_info info{};
  if (::dladdr(function, &info) == 0 || info.dli_fname == nullptr) return "";
  std::error_code error;
  const std::string file = std::filesystem::canonical(info.dli_fname, error).filename().string();
  constexpr const char* kBefore = ".so.";
  const size_t at = file.find(kBefore);
  return error || at == std::string::npos ? "" : file.substr(at + std::string(kBefore).size());
}

struct NamedError {
  int number;
  const char* name;
};

constexpr NamedError kErrors[] = {
    {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"},
    {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
    {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE"},
    {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
    {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"},
    {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
    {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"},
    {CL_MAP_FAILURE, "CL_MAP_FAILURE"},
    {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
    {CL_INVALID_PLATFORM, "CL_INVALID_PLATFORM"},
    {CL_INVALID_DEVICE, "CL_INVALID_DEVICE"},
    {CL_INVALID_CONTEXT, "CL_INVALID_CONTEXT"},
    {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE"},
    {CL_INVALID_HOST_PTR, "CL_INVALID_HOST_PTR"},
    {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT"},
    {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
    {CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS"},
    {CL_INVALID_PROGRAM, "CL_INVALID_PROGRAM"},
    {CL_INVALID_PROGRAM_EXECUTABLE, "CL_INVALID_PROGRAM_EXECUTABLE"},
    {CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME"},
    {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
    {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE"},
    {CL_INVALID_WORK_ITEM_SIZE, "CL_INVALID_WORK_ITEM_SIZE"},
    {CL_INVALID_OPERATION, "CL_INVALID_OPERATION"},
    {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
    {CL_INVALID_GLOBAL_WORK_SIZE, "CL_INVALID_GLOBAL_WORK_SIZE"},
    {CL_PLATFORM_NOT_FOUND_KHR, "CL_PLATFORM_NOT_FOUND_KHR"},
    {CLBlastNotImplemented, "CLBlastNotImplemented"},
    {CLBlastInvalidDimension, "CLBlastInvalidDimension"},
    {CLBlastInvalidLeadDimA, "CLBlastInvalidLeadDimA"},
    {CLBlastInvalidLeadDimB, "CLBlastInvalidLeadDimB"},
    {CLBlastInvalidLeadDimC, "CLBlastInvalidLeadDimC"},
    {CLBlastInsufficientMemoryA, "CLBlastInsufficientMemoryA"},
    {CLBlastInsufficientMemoryB, "CLBlastInsufficientMemoryB"},
    {CLBlastInsufficientMemoryC, "CLBlastInsufficientMemoryC"},
    {CLBlastInsufficientMemoryX, "CLBlastInsufficientMemoryX"},
    {CLBlastInsufficientMemoryY, "CLBlastInsufficientMemoryY"},
    {CLBlastInvalidBatchCount, "CLBlastInvalidBatchCount"},
    {CLBlastInvalidLocalMemUsage, "CLBlastInvalidLocalMemUsage"},
    {CLBlastNoHalfPrecision, "CLBlastNoHalfPrecision"},
    {CLBlastNoDoublePrecision, "CLBlastNoDoublePrecision"},
    {CLBlastDatabaseError, "CLBlastDatabaseError"},
    {CLBlastUnknownError, "CLBlastUnknownError"},
    {CLBlastUnexpectedError, "CLBlastUnexpectedError"},
};

}  // namespace

OpenCl OpenCl::load(const std::string& path) {
  void* library = open_library(path, "libOpenCL.so.1", "library");
  OpenCl cl;
  find(library, "clGetPlatformIDs", cl.clGetPlatformIDs);
  find(library, "clGetPlatformInfo", cl.clGetPlatformInfo);
  find(library, "clGetDeviceIDs", cl.clGetDeviceIDs);
  find(library, "clGetDeviceInfo", cl.clGetDeviceInfo);
  find(library, "clCreateContext", cl.clCreateContext);
  find(library, "clReleaseContext", cl.clReleaseContext);
  find(library, "clCreateCommandQueue", cl.clCreateCommandQueue);
  find(library, "clReleaseCommandQueue", cl.clReleaseCommandQueue);
  find(library, "clCreateBuffer", cl.clCreateBuffer);
  find(library, "clReleaseMemObject", cl.clReleaseMemObject);
  find(library, "clCreateProgramWithSource", cl.clCreateProgramWithSource);
  find(library, "clCreateProgramWithBinary", cl.clCreateProgramWithBinary);
  find(library, "clBuildProgram", cl.clBuildProgram);
  find(library, "clGetProgramInfo", cl.clGetProgramInfo);
  find(library, "clGetProgramBuildInfo", cl.clGetProgramBuildInfo);
  find(library, "clReleaseProgram", cl.clReleaseProgram);
  find(library, "clCreateKernel", cl.clCreateKernel);
  find(library, "clSetKernelArg", cl.clSetKernelArg);
  find(library, "clReleaseKernel", cl.clReleaseKernel);
  find(library, "clEnqueueNDRangeKernel", cl.clEnqueueNDRangeKernel);
  find(library, "clEnqueueWriteBuffer", cl.clEnqueueWriteBuffer);
  find(library, "clEnqueueReadBuffer", cl.clEnqueueReadBuffer);
  find(library, "clEnqueueWriteBufferRect", cl.clEnqueueWriteBufferRect);
  find(library, "clEnqueueReadBufferRect", cl.clEnqueueReadBufferRect);
  find(library, "clCreateSubBuffer", cl.clCreateSubBuffer);
  find(library, "clEnqueueCopyBuffer", cl.clEnqueueCopyBuffer);
  find(library, "clEnqueueCopyBufferRect", cl.clEnqueueCopyBufferRect);
  find(library, "clEnqueueFillBuffer", cl.clEnqueueFillBuffer);
  find(library, "clEnqueueMapBuffer", cl.clEnqueueMapBuffer);
  find(library, "clEnqueueUnmapMemObject", cl.clEnqueueUnmapMemObject);
  find(library, "clFinish", cl.clFinish);
  return cl;
}

ClBlast ClBlast::load(const std::string& path) {
  void* library = open_library(path, "libclblast.so.1", "clblast");
  ClBlast blast;
  find(library, "CLBlastSgemm", blast.CLBlastSgemm);
  find(library, "CLBlastDgemm", blast.CLBlastDgemm);
  find(library, "CLBlastSgemmStridedBatched", blast.CLBlastSgemmStridedBatched);
  find(library, "CLBlastDgemmStridedBatched", blast.CLBlastDgemmStridedBatched);
  find(library, "CLBlastSgemv", blast.CLBlastSgemv);
  find(library, "CLBlastDgemv", blast.CLBlastDgemv);
  find(library, "CLBlastClearCache", blast.CLBlastClearCache);
  blast.version = version_of_file(reinterpret_cast<const void*>(blast.CLBlastSgemm));
  return blast;
}

const char* error_name(int number) {
  for (const NamedError& error : kErrors) {
    if (error.number == number) return error.name;
  }
  return "an error without a name";
}

vaccel_status status_of(int number) {
  switch (number) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE:
      return VACCEL_RESOURCE_EXHAUSTED;
    case CL_DEVICE_NOT_FOUND:
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_COMPILER_NOT_AVAILABLE:
    case CL_INVALID_DEVICE:
    case CL_INVALID_CONTEXT:
    case CL_INVALID_COMMAND_QUEUE:  // what drivers answer once their device is lost
    case CL_PLATFORM_NOT_FOUND_KHR:
      return VACCEL_UNAVAILABLE;
    default:
      return VACCEL_INTERNAL;
  }
}

void check(int number, const char* call) {
  if (number != CL_SUCCESS) {
    refuse(status_of(number), "%s failed: %s (%d)", call, error_name(number), number);
  }
}

}  // namespace vaccel::opencl
