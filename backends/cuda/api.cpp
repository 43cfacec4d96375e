// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include "common/framework_library.h"

namespace vaccel::cuda {
namespace {

template <typename Function>
void find(void* library, const char* name, Function& function) {
  backends::find_function(library, name, "another one, or older than CUDA 11.2", function);
}

// What a failed call of the driver is to a caller.
vaccel_status status_of(CUresult result) {
  switch (result) {
    case CUDA_ERROR_OUT_OF_MEMORY:
    case CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES:
      return VACCEL_RESOURCE_EXHAUSTED;
    case CUDA_ERROR_NO_DEVICE:
    case CUDA_ERROR_DEVICE_UNAVAILABLE:
    case CUDA_ERROR_DEVICE_NOT_LICENSED:
    case CUDA_ERROR_DEINITIALIZED:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_SYSTEM_NOT_READY:
    case CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
      return VACCEL_UNAVAILABLE;
    default:
      return VACCEL_INTERNAL;
  }
}

const char* name_of(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
    default:
      return "an error without a name";
  }
}

}  // namespace

Driver Driver::load(const std::string& path) {
  std::string reasons;
  void* library = backends::open_first({path.empty() ? "libcuda.so.1" : path}, reasons);
  if (library == nullptr)
    refuse(VACCEL_UNAVAILABLE, "no CUDA device: driver not loaded (%s)", reasons.c_str());
  Driver driver;
  find(library, "cuInit", driver.cuInit);
  find(library, "cuDriverGetVersion", driver.cuDriverGetVersion);
  find(library, "cuGetErrorName", driver.cuGetErrorName);
  find(library, "cuDeviceGetCount", driver.cuDeviceGetCount);
  find(library, "cuDeviceGet", driver.cuDeviceGet);
  find(library, "cuDeviceGetName", driver.cuDeviceGetName);
  find(library, "cuDeviceGetAttribute", driver.cuDeviceGetAttribute);
  find(library, "cuDevicePrimaryCtxRetain", driver.cuDevicePrimaryCtxRetain);
  find(library, "cuDevicePrimaryCtxRelease_v2", driver.cuDevicePrimaryCtxRelease_v2);
  find(library, "cuCtxSetCurrent", driver.cuCtxSetCurrent);
  find(library, "cuStreamCreate", driver.cuStreamCreate);
  find(library, "cuStreamDestroy_v2", driver.cuStreamDestroy_v2);
  find(library, "cuStreamSynchronize", driver.cuStreamSynchronize);
  find(library, "cuDeviceGetDefaultMemPool", driver.cuDeviceGetDefaultMemPool);
  find(library, "cuMemPoolSetAttribute", driver.cuMemPoolSetAttribute);
  find(library, "cuMemPoolTrimTo", driver.cuMemPoolTrimTo);
  find(library, "cuMemAllocAsync", driver.cuMemAllocAsync);
  find(library, "cuMemFreeAsync", driver.cuMemFreeAsync);
  find(library, "cuMemsetD8Async", driver.cuMemsetD8Async);
  find(library, "cuMemcpyAsync", driver.cuMemcpyAsync);
  find(library, "cuMemcpy2DAsync_v2", driver.cuMemcpy2DAsync_v2);
  find(library, "cuMemHostRegister_v2", driver.cuMemHostRegister_v2);
  find(library, "cuMemHostUnregister", driver.cuMemHostUnregister);
  return driver;
}

std::string Driver::error_name(CUresult result) const {
  if (result == CUDA_ERROR_STUB_LIBRARY) return "CUDA_ERROR_STUB_LIBRARY";  // which knows no names either
  const char* name = nullptr;
  if (cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) return "an error without a name";
  return name;
}

void Driver::check(CUresult result, const char* call) const {
  if (result == CUDA_SUCCESS) return;
  refuse(status_of(result), "%s failed: %s (%d)", call, error_name(result).c_str(), static_cast<int>(result));
}

Blas Blas::load(const std::string& path) {
  void* library =
      backends::open_library({"cuBLAS", "cuda", "cublas"}, path,
                             {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"});
  Blas blas;
  find(library, "cublasCreate_v2", blas.cublasCreate_v2);
  find(library, "cublasDestroy_v2", blas.cublasDestroy_v2);
  find(library, "cublasGetVersion_v2", blas.cublasGetVersion_v2);
  find(library, "cublasSetStream_v2", blas.cublasSetStream_v2);
  find(library, "cublasSetMathMode", blas.cublasSetMathMode);
  find(library, "cublasGemmEx", blas.cublasGemmEx);
  find(library, "cublasGemmStridedBatchedEx", blas.cublasGemmStridedBatchedEx);
  find(library, "cublasSgemv_v2", blas.cublasSgemv_v2);
  find(library, "cublasDgemv_v2", blas.cublasDgemv_v2);
  find(library, "cublasAxpyEx", blas.cublasAxpyEx);
  find(library, "cublasScalEx", blas.cublasScalEx);
  find(library, "cublasDotEx", blas.cublasDotEx);
  find(library, "cublasNrm2Ex", blas.cublasNrm2Ex);
  return blas;
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const vaccel_status code =
      status == CUBLAS_STATUS_ALLOC_FAILED ? VACCEL_RESOURCE_EXHAUSTED : VACCEL_INTERNAL;
  refuse(code, "%s failed: %s (%d)", call, name_of(status), static_cast<int>(status));
}

}  // namespace vaccel::cuda
