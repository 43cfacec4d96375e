// SPDX-License-Identifier: Apache-2.0
//
// What an instance of the backend is: the libraries, one device and its context, and lanes: a stream and a handle of
// cuBLAS each, which one call at a time uses. Device memory comes from the driver's pool, in the order of the stream.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "common/product.h"
#include "options.h"

namespace vaccel::cuda {

using product::HostMatrices;

/// The device that the options ask for, as the driver knows it.
struct Device {
  CUdevice id = 0;
  std::string name;
  int driver_version = 0;  ///< 12040 for 12.4
  int capability_major = 0;
  int capability_minor = 0;
};

/// UNAVAILABLE where there is none.
Device choose_device(const Driver& driver, const std::string& wanted);

/// The device's primary context, which cuBLAS shares.
class Context {
 public:
  /// `driver` must outlive it.
  Context(const Driver& driver, CUdevice device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  /// Of the calling thread, until another one is.
  void make_current() const;

 private:
  const Driver& driver_;
  CUdevice device_;
  CUcontext context_ = nullptr;
};

class Lane;

/// Device memory that sessions keep (vaccel_backend_memory), by its addresses, which the driver gives to nothing else in
/// this process. Thread-safe.
class Memories {
 public:
  void add(CUdeviceptr address, size_t bytes);
  /// Whether it was there.
  bool remove(CUdeviceptr address);
  [[nodiscard]] bool have(const void* address) const;

 private:
  mutable std::mutex mutex_;
  std::map<CUdeviceptr, size_t> sizes_;
};

/// Device memory, given back in the order of its lane's stream; or a session's, which is not.
class DeviceMemory {
 public:
  /// A session's.
  explicit DeviceMemory(const void* address)
      : lane_(nullptr), address_(reinterpret_cast<CUdeviceptr>(address)) {}
  DeviceMemory(const Lane& lane, CUdeviceptr address) : lane_(&lane), address_(address) {}
  DeviceMemory(DeviceMemory&& other) noexcept
      : lane_(other.lane_), address_(std::exchange(other.address_, 0)) {}
  DeviceMemory& operator=(DeviceMemory&&) = delete;
  ~DeviceMemory();

  [[nodiscard]] CUdeviceptr address() const { return address_; }
  /// Nobody gives it back any more.
  void* keep() { return reinterpret_cast<void*>(std::exchange(address_, 0)); }
  /// As cuBLAS takes it.
  template <typename T = void>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(address_);
  }

 private:
  const Lane* lane_;
  CUdeviceptr address_;
};

class Lane {
 public:
  /// The references must outlive the lane. The context is current.
  Lane(const Driver& driver, const Blas& blas, CUmemoryPool pool, const Memories& memories);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] const Driver& driver() const { return driver_; }
  [[nodiscard]] const Blas& blas() const { return blas_; }
  [[nodiscard]] cublasHandle_t handle() const { return handle_; }
  [[nodiscard]] CUstream stream() const { return stream_; }

  [[nodiscard]] DeviceMemory allocate(size_t bytes) const;
  /// Whether they lie on the device, where they can be used.
  [[nodiscard]] bool has(const HostMatrices& host) const { return memories_.have(host.data); }
  /// Copies matrices, wherever they lie, to dense ones on the device, and back.
  [[nodiscard]] DeviceMemory copy_in(const HostMatrices& host, size_t element_size) const;
  void copy_out(const DeviceMemory& device, const HostMatrices& host, size_t element_size) const;
  /// Between any two places.
  void copy(void* to, const void* from, size_t bytes) const;
  void fill_with_zeros(const DeviceMemory& memory, size_t bytes) const;

  /// Waits for everything; after this the caller's memory is not used any more.
  void finish() const;
  /// The same, when something went wrong already.
  void abandon() const { driver_.cuStreamSynchronize(stream_); }

 private:
  // Between the columns of one matrix on the host and a dense one on the device.
  void copy_columns(const HostMatrices& host, size_t matrix, CUdeviceptr device, size_t element_size,
                    bool to_device) const;

  const Driver& driver_;
  const Blas& blas_;
  CUmemoryPool pool_;
  const Memories& memories_;
  CUstream stream_ = nullptr;
  cublasHandle_t handle_ = nullptr;
};

class Engine {
 public:
  explicit Engine(const Options& options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  [[nodiscard]] const char* version() const { return version_.c_str(); }
  [[nodiscard]] const char* devices() const { return devices_.c_str(); }
  [[nodiscard]] size_t most_bytes() const { return most_bytes_; }
  /// Whether the device computes with elements of a type.
  [[nodiscard]] bool takes(vaccel_dtype dtype) const;

  /// Pins memory, so that the device reads and writes it by itself. RESOURCE_EXHAUSTED, mostly, when it cannot be.
  void pin(void* memory, size_t bytes) const;
  void unpin(void* memory) const;

  /// Memory of zeros that stays until release().
  void* allocate(size_t bytes);
  void release(void* address);

  /// A lane that is free, or a new one; the context is the calling thread's from here on.
  std::unique_ptr<Lane> take_lane();
  void give_back(std::unique_ptr<Lane> lane);

 private:
  Driver driver_;
  Device device_;
  Blas blas_;
  Context context_;
  CUmemoryPool pool_ = nullptr;
  size_t most_bytes_;
  std::string version_;
  std::string devices_;
  Memories memories_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Lane>> free_;
};

/// Runs `body` on a lane. If it fails, what it has queued has ended before the failure goes on, since it may use the
/// caller's memory, and the lane is not used again.
template <typename Body>
void with_lane(Engine& engine, Body body) {
  std::unique_ptr<Lane> lane = engine.take_lane();
  try {
    body(*lane);
  } catch (...) {
    lane->abandon();
    throw;
  }
  engine.give_back(std::move(lane));
}

/// Throws CANCELLED or DEADLINE_EXCEEDED once nobody waits for the result any more. What the device has begun is not
/// stopped: this is asked between blocks.
void stop_if_cancelled(const vaccel_backend_run& run);

/// As cuBLAS names the type.
cudaDataType data_type(vaccel_dtype dtype);

/// A factor in the type that cuBLAS computes in: double for float64, else float.
class Factor {
 public:
  Factor(vaccel_dtype dtype, double value)
      : is_double_(dtype == VACCEL_FLOAT64), double_(value), float_(static_cast<float>(value)) {}
  [[nodiscard]] const void* get() const {
    return is_double_ ? static_cast<const void*>(&double_) : static_cast<const void*>(&float_);
  }
  [[nodiscard]] cudaDataType type() const { return is_double_ ? CUDA_R_64F : CUDA_R_32F; }

 private:
  bool is_double_;
  double double_;
  float float_;
};

// ---- Operations

void multiply(Engine& engine, const product::Product& product, const vaccel_backend_run& run);
void vectors(Engine& engine, vaccel_linalg_operation operation, const vaccel_backend_vectors& problem,
             const vaccel_backend_run& run);

}  // namespace vaccel::cuda
