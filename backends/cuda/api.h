// SPDX-License-Identifier: Apache-2.0
//
// CUDA's driver and cuBLAS, opened when the backend is made, as tables of the functions that are called here; and their
// numbers made into sentences. The driver's interface alone: it is the same in all versions, unlike the runtime's.
// Exceptions stay within this backend; guarded() in cuda.cpp ends them.
#pragma once

#include <cublas_v2.h>
#include <cuda.h>

#include <string>

#include "common/failure.h"
#include "vaccel/backend.h"

namespace vaccel::cuda {

using backends::Failure;
using backends::refuse;

/// The functions of libcuda.so.1 that this backend calls, under the names that it exports.
struct Driver {
  decltype(&::cuInit) cuInit = nullptr;
  decltype(&::cuDriverGetVersion) cuDriverGetVersion = nullptr;
  decltype(&::cuGetErrorName) cuGetErrorName = nullptr;
  decltype(&::cuDeviceGetCount) cuDeviceGetCount = nullptr;
  decltype(&::cuDeviceGet) cuDeviceGet = nullptr;
  decltype(&::cuDeviceGetName) cuDeviceGetName = nullptr;
  decltype(&::cuDeviceGetAttribute) cuDeviceGetAttribute = nullptr;
  decltype(&::cuDevicePrimaryCtxRetain) cuDevicePrimaryCtxRetain = nullptr;
  decltype(&::cuDevicePrimaryCtxRelease_v2) cuDevicePrimaryCtxRelease_v2 = nullptr;
  decltype(&::cuCtxSetCurrent) cuCtxSetCurrent = nullptr;
  decltype(&::cuStreamCreate) cuStreamCreate = nullptr;
  decltype(&::cuStreamDestroy_v2) cuStreamDestroy_v2 = nullptr;
  decltype(&::cuStreamSynchronize) cuStreamSynchronize = nullptr;
  decltype(&::cuDeviceGetDefaultMemPool) cuDeviceGetDefaultMemPool = nullptr;
  decltype(&::cuMemPoolSetAttribute) cuMemPoolSetAttribute = nullptr;
  decltype(&::cuMemPoolTrimTo) cuMemPoolTrimTo = nullptr;
  decltype(&::cuMemAllocAsync) cuMemAllocAsync = nullptr;
  decltype(&::cuMemFreeAsync) cuMemFreeAsync = nullptr;
  decltype(&::cuMemsetD8Async) cuMemsetD8Async = nullptr;
  decltype(&::cuMemcpyAsync) cuMemcpyAsync = nullptr;
  decltype(&::cuMemcpy2DAsync_v2) cuMemcpy2DAsync_v2 = nullptr;
  decltype(&::cuMemHostRegister_v2) cuMemHostRegister_v2 = nullptr;
  decltype(&::cuMemHostUnregister) cuMemHostUnregister = nullptr;

  /// `path` empty: libcuda.so.1, where the loader finds it. UNAVAILABLE when it is not there.
  static Driver load(const std::string& path);

  /// Throws unless `result` is CUDA_SUCCESS: "CALL failed: CUDA_ERROR_OUT_OF_MEMORY (2)".
  void check(CUresult result, const char* call) const;
  /// "CUDA_ERROR_OUT_OF_MEMORY"
  [[nodiscard]] std::string error_name(CUresult result) const;
};

/// The functions of cuBLAS. The types are written out where the header has overloads for C++.
struct Blas {
  using GemmEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                                    const void*, const void*, cudaDataType, int, const void*, cudaDataType,
                                    int, const void*, void*, cudaDataType, int, cublasComputeType_t,
                                    cublasGemmAlgo_t);
  using GemmStridedBatchedEx = cublasStatus_t (*)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int,
                                                  int, int, const void*, const void*, cudaDataType, int,
                                                  long long int, const void*, cudaDataType, int,
                                                  long long int, const void*, void*, cudaDataType, int,
                                                  long long int, int, cublasComputeType_t, cublasGemmAlgo_t);

  decltype(&::cublasCreate_v2) cublasCreate_v2 = nullptr;
  decltype(&::cublasDestroy_v2) cublasDestroy_v2 = nullptr;
  decltype(&::cublasGetVersion_v2) cublasGetVersion_v2 = nullptr;
  decltype(&::cublasSetStream_v2) cublasSetStream_v2 = nullptr;
  decltype(&::cublasSetMathMode) cublasSetMathMode = nullptr;
  GemmEx cublasGemmEx = nullptr;
  GemmStridedBatchedEx cublasGemmStridedBatchedEx = nullptr;
  decltype(&::cublasSgemv_v2) cublasSgemv_v2 = nullptr;
  decltype(&::cublasDgemv_v2) cublasDgemv_v2 = nullptr;
  decltype(&::cublasAxpyEx) cublasAxpyEx = nullptr;
  decltype(&::cublasScalEx) cublasScalEx = nullptr;
  decltype(&::cublasDotEx) cublasDotEx = nullptr;
  decltype(&::cublasNrm2Ex) cublasNrm2Ex = nullptr;

  /// `path` empty: libcublas.so of the newest version that the loader finds. UNAVAILABLE when there is none.
  static Blas load(const std::string& path);
};

/// Throws unless `status` is CUBLAS_STATUS_SUCCESS: "CALL failed: CUBLAS_STATUS_ALLOC_FAILED (3)".
void check(cublasStatus_t status, const char* call);

}  // namespace vaccel::cuda
