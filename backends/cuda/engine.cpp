// SPDX-License-Identifier: Apache-2.0
#include "engine.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string_view>
#include <utility>

namespace vaccel::cuda {
namespace {

// The largest pitch that the driver takes; more is copied column by column.
constexpr size_t kMostPitch = (size_t{1} << 31) - 1;
constexpr int kFirstBfloat16Capability = 8;

// "driver 12.4", of 12040
std::string driver_words(int version) {
  if (version == 0) return "driver of unknown version";
  return "driver " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string lower_case(std::string_view words) {
  std::string lower(words);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return lower;
}

// `wanted` is the index, or a part of the name in any case.
bool fits(const std::string& wanted, int index, const std::string& name) {
  int number = -1;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  if (error == std::errc() && end == wanted.data() + wanted.size()) return number == index;
  return lower_case(name).find(lower_case(wanted)) != std::string::npos;
}

int attribute(const Driver& driver, CUdevice device, CUdevice_attribute what) {
  int value = 0;
  driver.check(driver.cuDeviceGetAttribute(&value, what, device), "cuDeviceGetAttribute");
  return value;
}

Device look_at(const Driver& driver, int index) {
  Device device;
  driver.check(driver.cuDeviceGet(&device.id, index), "cuDeviceGet");
  char name[256] = "";
  driver.check(driver.cuDeviceGetName(name, sizeof name - 1, device.id), "cuDeviceGetName");
  device.name = name;
  device.capability_major = attribute(driver, device.id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  device.capability_minor = attribute(driver, device.id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  return device;
}

// Keeps up to `bytes` of what was given back, instead of none: mapping memory anew costs more than most calls.
CUmemoryPool make_pool(const Driver& driver, const Device& device, uint64_t bytes) {
  if (attribute(driver, device.id, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 0) {
    refuse(VACCEL_UNAVAILABLE, "%s with %s has no memory pools", device.name.c_str(),
           driver_words(device.driver_version).c_str());
  }
  CUmemoryPool pool = nullptr;
  driver.check(driver.cuDeviceGetDefaultMemPool(&pool, device.id), "cuDeviceGetDefaultMemPool");
  driver.check(driver.cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &bytes),
               "cuMemPoolSetAttribute");
  return pool;
}

}  // namespace

Device choose_device(const Driver& driver, const std::string& wanted) {
  int version = 0;
  driver.cuDriverGetVersion(&version);
  const CUresult begun = driver.cuInit(0);
  if (begun != CUDA_SUCCESS) {
    refuse(VACCEL_UNAVAILABLE, "no CUDA device: %s says %s (%d)", driver_words(version).c_str(),
           driver.error_name(begun).c_str(), static_cast<int>(begun));
  }
  int count = 0;
  driver.check(driver.cuDeviceGetCount(&count), "cuDeviceGetCount");
  std::string all;
  for (int index = 0; index < count; ++index) {
    Device device = look_at(driver, index);
    device.driver_version = version;
    if (fits(wanted, index, device.name)) return device;
    all += (all.empty() ? "" : ", ") + device.name;
  }
  if (count == 0) refuse(VACCEL_UNAVAILABLE, "no CUDA device: %s finds none", driver_words(version).c_str());
  refuse(VACCEL_UNAVAILABLE, "no CUDA device is '%s'; there are, from 0 on: %s", wanted.c_str(), all.c_str());
}

Context::Context(const Driver& driver, CUdevice device) : driver_(driver), device_(device) {
  driver_.check(driver_.cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
}

Context::~Context() {
  driver_.cuDevicePrimaryCtxRelease_v2(device_);
}

void Context::make_current() const {
  driver_.check(driver_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
}

void Memories::add(CUdeviceptr address, size_t bytes) {
  const std::lock_guard lock(mutex_);
  sizes_.emplace(address, bytes);
}

bool Memories::remove(CUdeviceptr address) {
  const std::lock_guard lock(mutex_);
  return sizes_.erase(address) > 0;
}

bool Memories::have(const void* address) const {
  const auto at = reinterpret_cast<CUdeviceptr>(address);
  const std::lock_guard lock(mutex_);
  auto memory = sizes_.upper_bound(at);
  return memory != sizes_.begin() && (--memory, at - memory->first < memory->second);
}

DeviceMemory::~DeviceMemory() {
  if (address_ != 0 && lane_ != nullptr) lane_->driver().cuMemFreeAsync(address_, lane_->stream());
}

Lane::Lane(const Driver& driver, const Blas& blas, CUmemoryPool pool, const Memories& memories)
    : driver_(driver), blas_(blas), pool_(pool), memories_(memories) {
  driver_.check(driver_.cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  try {
    check(blas_.cublasCreate_v2(&handle_), "cublasCreate");
    check(blas_.cublasSetStream_v2(handle_, stream_), "cublasSetStream");
    // Halves are added up in float32 to the end, also where a sum is split among blocks of threads.
    check(blas_.cublasSetMathMode(
              handle_, static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH |
                                                 CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
          "cublasSetMathMode");
  } catch (...) {
    if (handle_ != nullptr) blas_.cublasDestroy_v2(handle_);
    driver_.cuStreamDestroy_v2(stream_);
    throw;
  }
}

Lane::~Lane() {
  blas_.cublasDestroy_v2(handle_);
  driver_.cuStreamDestroy_v2(stream_);
}

DeviceMemory Lane::allocate(size_t bytes) const {
  CUdeviceptr address = 0;
  CUresult result = driver_.cuMemAllocAsync(&address, bytes, stream_);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    // What the pool keeps for later is better used now.
    driver_.cuStreamSynchronize(stream_);
    driver_.cuMemPoolTrimTo(pool_, 0);
    result = driver_.cuMemAllocAsync(&address, bytes, stream_);
  }
  if (result != CUDA_SUCCESS) {
    const std::string call = "cuMemAllocAsync of " + std::to_string(bytes) + " bytes";
    driver_.check(result, call.c_str());
  }
  return {*this, address};
}

DeviceMemory Lane::copy_in(const HostMatrices& host, size_t element_size) const {
  const size_t bytes = host.elements() * element_size;
  DeviceMemory memory = allocate(bytes);
  if (host.dense()) {
    copy(memory.as(), host.data, bytes);
  } else {
    for (size_t matrix = 0; matrix < host.count; ++matrix)
      copy_columns(host, matrix, memory.address(), element_size, true);
  }
  return memory;
}

void Lane::copy_out(const DeviceMemory& device, const HostMatrices& host, size_t element_size) const {
  if (device.as() == host.data) return;  // it is there
  if (host.dense()) {
    return copy(host.data, device.as(), host.elements() * element_size);
  }
  for (size_t matrix = 0; matrix < host.count; ++matrix)
    copy_columns(host, matrix, device.address(), element_size, false);
}

void Lane::copy_columns(const HostMatrices& host, size_t matrix, CUdeviceptr device, size_t element_size,
                        bool to_device) const {
  const size_t column_bytes = host.rows * element_size;
  const size_t pitch = host.leading * element_size;
  std::byte* from = host.data + matrix * host.stride * element_size;
  device += matrix * host.columns * column_bytes;
  // Beyond the driver's largest pitch, each column is a copy of its own.
  const size_t at_once = pitch <= kMostPitch ? host.columns : 1;
  for (size_t column = 0; column < host.columns; column += at_once) {
    CUDA_MEMCPY2D copy{};
    copy.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
    copy.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
    const size_t host_pitch = at_once == 1 ? column_bytes : pitch;
    const auto host_data = reinterpret_cast<CUdeviceptr>(from + column * pitch);
    const CUdeviceptr device_data = device + column * column_bytes;
    copy.srcDevice = to_device ? host_data : device_data;
    copy.dstDevice = to_device ? device_data : host_data;
    copy.srcPitch = to_device ? host_pitch : column_bytes;
    copy.dstPitch = to_device ? column_bytes : host_pitch;
    copy.WidthInBytes = column_bytes;
    copy.Height = at_once;
    driver_.check(driver_.cuMemcpy2DAsync_v2(&copy, stream_), "cuMemcpy2DAsync");
  }
}

// All addresses are of one space, so the driver sees from each where it lies.
void Lane::copy(void* to, const void* from, size_t bytes) const {
  driver_.check(driver_.cuMemcpyAsync(reinterpret_cast<CUdeviceptr>(to), reinterpret_cast<CUdeviceptr>(from),
                                      bytes, stream_),
                "cuMemcpyAsync");
}

void Lane::fill_with_zeros(const DeviceMemory& memory, size_t bytes) const {
  driver_.check(driver_.cuMemsetD8Async(memory.address(), 0, bytes, stream_), "cuMemsetD8Async");
}

void Lane::finish() const {
  driver_.check(driver_.cuStreamSynchronize(stream_), "cuStreamSynchronize");
}

Engine::Engine(const Options& options)
    : driver_(Driver::load(options.driver)),
      device_(choose_device(driver_, options.device)),
      blas_(Blas::load(options.cublas)),
      context_(driver_, device_.id),
      pool_(make_pool(driver_, device_, options.pool_limit)),
      most_bytes_(options.buffer_limit),
      devices_(device_.name + " (compute capability " + std::to_string(device_.capability_major) + "." +
               std::to_string(device_.capability_minor) + ", " + driver_words(device_.driver_version) + ")") {
  // The first lane shows whether cuBLAS and the driver get along.
  std::unique_ptr<Lane> lane = take_lane();
  int version = 0;
  check(blas_.cublasGetVersion_v2(lane->handle(), &version), "cublasGetVersion");
  version_ = "cuBLAS " + std::to_string(version / 10000) + "." + std::to_string(version % 10000 / 100);
  give_back(std::move(lane));
}

Engine::~Engine() {
  try {
    context_.make_current();
  } catch (const Failure&) {
    return;  // the device is gone, and what was on it
  }
  free_.clear();
}

bool Engine::takes(vaccel_dtype dtype) const {
  if (dtype == VACCEL_BFLOAT16) return device_.capability_major >= kFirstBfloat16Capability;
  return dtype == VACCEL_FLOAT32 || dtype == VACCEL_FLOAT64 || dtype == VACCEL_FLOAT16;
}

void Engine::pin(void* memory, size_t bytes) const {
  context_.make_current();
  driver_.check(driver_.cuMemHostRegister_v2(memory, bytes, CU_MEMHOSTREGISTER_PORTABLE),
                "cuMemHostRegister");
}

void Engine::unpin(void* memory) const {
  context_.make_current();
  driver_.check(driver_.cuMemHostUnregister(memory), "cuMemHostUnregister");
}

void* Engine::allocate(size_t bytes) {
  void* address = nullptr;
  with_lane(*this, [&](const Lane& lane) {
    DeviceMemory memory = lane.allocate(bytes);
    lane.fill_with_zeros(memory, bytes);
    lane.finish();
    memories_.add(memory.address(), bytes);
    address = memory.keep();
  });
  return address;
}

void Engine::release(void* address) {
  if (!memories_.remove(reinterpret_cast<CUdeviceptr>(address))) return;
  with_lane(*this, [&](const Lane& lane) {
    driver_.check(driver_.cuMemFreeAsync(reinterpret_cast<CUdeviceptr>(address), lane.stream()),
                  "cuMemFreeAsync");
    lane.finish();
  });
}

std::unique_ptr<Lane> Engine::take_lane() {
  context_.make_current();
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Lane> lane = std::move(free_.back());
      free_.pop_back();
      return lane;
    }
  }
  return std::make_unique<Lane>(driver_, blas_, pool_, memories_);
}

void Engine::give_back(std::unique_ptr<Lane> lane) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(lane));
}

void stop_if_cancelled(const vaccel_backend_run& run) {
  if (run.cancelled(run.context) == 0) return;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t now_ns = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  const bool late = run.deadline_ns != 0 && now_ns >= run.deadline_ns;
  refuse(late ? VACCEL_DEADLINE_EXCEEDED : VACCEL_CANCELLED, "the call was ended early");
}

cudaDataType data_type(vaccel_dtype dtype) {
  switch (dtype) {
    case VACCEL_FLOAT64:
      return CUDA_R_64F;
    case VACCEL_FLOAT16:
      return CUDA_R_16F;
    case VACCEL_BFLOAT16:
      return CUDA_R_16BF;
    default:
      return CUDA_R_32F;
  }
}

}  // namespace vaccel::cuda
