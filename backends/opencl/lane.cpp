// SPDX-License-Identifier: Apache-2.0
#include "lane.h"

#include <cstdint>
#include <cstring>

namespace vaccel::opencl {
namespace {

// The widest vector that a kernel loads at once: CLBlast's are up to eight doubles.
constexpr size_t kAlignment = 64;
// CLBlast's kernels count in int, and so does what is computed with an index here.
constexpr size_t kMostSpan = size_t{1} << 30;
// What a lane keeps of each slot between calls; allocating less than this is not worth saving memory.
constexpr size_t kKeptBytes = size_t{64} << 20;

}  // namespace

Lane::Lane(const OpenCl& cl, cl_context context, const Device& device, const Memories& memories,
           size_t most_bytes, Lanes& others)
    : cl_(cl),
      context_(context),
      device_(device),
      memories_(memories),
      most_bytes_(most_bytes),
      others_(others) {
  int error = CL_SUCCESS;
  queue_ = Queue(cl.clCreateCommandQueue(context, device.id, 0, &error), {cl.clReleaseCommandQueue});
  check(error, "clCreateCommandQueue");
}

cl_mem Lane::scratch(Slot slot, size_t bytes) {
  Scratch& scratch = scratch_.at(static_cast<size_t>(slot));
  if (scratch.bytes < bytes) {
    // What is queued keeps the old memory alive for itself.
    scratch = {};
    scratch.memory = others_.allocate(bytes);
    scratch.bytes = bytes;
  }
  return scratch.memory.get();
}

DeviceMatrices Lane::input(Slot slot, const HostMatrices& host, size_t element_size) {
  if (cl_mem memory = borrow(host, element_size, CL_MEM_READ_ONLY))
    return {memory, host.leading, host.stride};
  cl_mem memory = scratch(slot, host.elements() * element_size);
  write(memory, host, element_size);
  return {memory, host.rows, host.rows * host.columns};
}

DeviceMatrices Lane::output(Slot slot, const HostMatrices& host, size_t element_size, bool load) {
  // In place only without gaps: a driver may copy the whole span behind the scenes, and the gaps are not ours to write.
  cl_mem memory = host.dense() ? borrow(host, element_size, CL_MEM_READ_WRITE) : nullptr;
  if (memory == nullptr) {
    memory = scratch(slot, host.elements() * element_size);
    if (load) write(memory, host, element_size);
  }
  return {memory, host.rows, host.rows * host.columns};
}

void Lane::fetch(const DeviceMatrices& device, const HostMatrices& host, size_t element_size) {
  const size_t bytes = host.elements() * element_size;
  if (const auto place = memories_.find(host.data)) return copy_on_device(device, *place, host, element_size);
  for (const Memory& borrowed : borrowed_) {
    if (borrowed.get() != device.memory) continue;
    // Mapping is what makes the host see it.
    int error = CL_SUCCESS;
    void* mapped = cl_.clEnqueueMapBuffer(queue(), device.memory, CL_TRUE, CL_MAP_READ, 0, bytes, 0, nullptr,
                                          nullptr, &error);
    check(error, "clEnqueueMapBuffer");
    check(cl_.clEnqueueUnmapMemObject(queue(), device.memory, mapped, 0, nullptr, nullptr),
          "clEnqueueUnmapMemObject");
    return;
  }
  if (host.dense()) {
    check(cl_.clEnqueueReadBuffer(queue(), device.memory, CL_FALSE, 0, bytes, host.data, 0, nullptr, nullptr),
          "clEnqueueReadBuffer");
    return;
  }
  const size_t row_bytes = host.rows * element_size;
  const size_t region[] = {row_bytes, host.columns, 1};
  const size_t host_origin[] = {0, 0, 0};
  for (size_t matrix = 0; matrix < host.count; ++matrix) {
    const size_t origin[] = {matrix * host.columns * row_bytes, 0, 0};
    check(cl_.clEnqueueReadBufferRect(queue(), device.memory, CL_FALSE, origin, host_origin, region,
                                      row_bytes, 0, host.leading * element_size, 0,
                                      host.data + matrix * host.stride * element_size, 0, nullptr, nullptr),
          "clEnqueueReadBufferRect");
  }
}

void Lane::fill_with_zeros(cl_mem memory, size_t bytes) {
  const cl_uchar zero = 0;
  check(cl_.clEnqueueFillBuffer(queue(), memory, &zero, sizeof zero, 0, bytes, 0, nullptr, nullptr),
        "clEnqueueFillBuffer");
}

void Lane::finish() {
  const int error = cl_.clFinish(queue());
  borrowed_.clear();
  parts_.clear();
  check(error, "clFinish");
}

void Lane::abandon() {
  cl_.clFinish(queue());
  borrowed_.clear();
  parts_.clear();
}

void Lane::trim(size_t kept_bytes) {
  for (Scratch& scratch : scratch_) {
    if (scratch.bytes > kept_bytes) scratch = {};
  }
}

void Lane::copy(void* to, const void* from, size_t bytes) {
  const auto target = memories_.find(to);
  const auto source = memories_.find(from);
  if (target && source) {
    check(cl_.clEnqueueCopyBuffer(queue(), source->memory, target->memory, source->offset, target->offset,
                                  bytes, 0, nullptr, nullptr),
          "clEnqueueCopyBuffer");
  } else if (target) {
    check(cl_.clEnqueueWriteBuffer(queue(), target->memory, CL_FALSE, target->offset, bytes, from, 0, nullptr,
                                   nullptr),
          "clEnqueueWriteBuffer");
  } else if (source) {
    check(cl_.clEnqueueReadBuffer(queue(), source->memory, CL_FALSE, source->offset, bytes, to, 0, nullptr,
                                  nullptr),
          "clEnqueueReadBuffer");
  } else {
    std::memmove(to, from, bytes);
  }
}

// A part of the device's memory as a buffer of its own; nullptr where it does not begin at such a place.
cl_mem Lane::borrow_part(const OnDevice& place, const HostMatrices& host, size_t element_size) {
  if (place.offset % device_.part_alignment != 0 || host.span() > kMostSpan) return nullptr;
  const cl_buffer_region region{place.offset, host.span() * element_size};
  int error = CL_SUCCESS;
  Memory part(cl_.clCreateSubBuffer(place.memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &error),
              {cl_.clReleaseMemObject});
  check(error, "clCreateSubBuffer");
  parts_.push_back(std::move(part));
  return parts_.back().get();
}

// Results that a kernel did not put where they belong on the device; they are dense there.
void Lane::copy_on_device(const DeviceMatrices& device, const OnDevice& place, const HostMatrices& host,
                          size_t element_size) {
  for (const Memory& part : parts_) {
    if (part.get() == device.memory) return;
  }
  const size_t row_bytes = host.rows * element_size;
  const size_t region[] = {row_bytes, host.columns, 1};
  for (size_t matrix = 0; matrix < host.count; ++matrix) {
    const size_t from[] = {matrix * host.columns * row_bytes, 0, 0};
    const size_t to[] = {place.offset + matrix * host.stride * element_size, 0, 0};
    check(cl_.clEnqueueCopyBufferRect(queue(), device.memory, place.memory, from, to, region, row_bytes, 0,
                                      host.leading * element_size, 0, 0, nullptr, nullptr),
          "clEnqueueCopyBufferRect");
  }
}

// The other way round: to memory of the lane's, without the gaps.
void Lane::gather(cl_mem memory, const OnDevice& place, const HostMatrices& host, size_t element_size) {
  const size_t row_bytes = host.rows * element_size;
  const size_t region[] = {row_bytes, host.columns, 1};
  for (size_t matrix = 0; matrix < host.count; ++matrix) {
    const size_t from[] = {place.offset + matrix * host.stride * element_size, 0, 0};
    const size_t to[] = {matrix * host.columns * row_bytes, 0, 0};
    check(cl_.clEnqueueCopyBufferRect(queue(), place.memory, memory, from, to, region,
                                      host.leading * element_size, 0, row_bytes, 0, 0, nullptr, nullptr),
          "clEnqueueCopyBufferRect");
  }
}

cl_mem Lane::borrow(const HostMatrices& host, size_t element_size, cl_mem_flags access) {
  const size_t bytes = host.span() * element_size;
  if (const auto place = memories_.find(host.data)) return borrow_part(*place, host, element_size);
  if (!device_.shares_memory || reinterpret_cast<uintptr_t>(host.data) % kAlignment != 0 ||
      host.span() > kMostSpan || bytes > most_bytes_) {
    return nullptr;
  }
  int error = CL_SUCCESS;
  Memory memory(cl_.clCreateBuffer(context_, access | CL_MEM_USE_HOST_PTR, bytes,
                                   static_cast<void*>(host.data), &error),
                {cl_.clReleaseMemObject});
  // Some drivers cannot take memory that this process may only read, or that is a device's: then it is copied.
  if (error != CL_SUCCESS) return nullptr;
  borrowed_.push_back(std::move(memory));
  return borrowed_.back().get();
}

void Lane::write(cl_mem memory, const HostMatrices& host, size_t element_size) {
  if (const auto place = memories_.find(host.data)) return gather(memory, *place, host, element_size);
  if (host.dense()) {
    check(cl_.clEnqueueWriteBuffer(queue(), memory, CL_FALSE, 0, host.elements() * element_size, host.data, 0,
                                   nullptr, nullptr),
          "clEnqueueWriteBuffer");
    return;
  }
  const size_t row_bytes = host.rows * element_size;
  const size_t region[] = {row_bytes, host.columns, 1};
  const size_t host_origin[] = {0, 0, 0};
  for (size_t matrix = 0; matrix < host.count; ++matrix) {
    const size_t origin[] = {matrix * host.columns * row_bytes, 0, 0};
    check(cl_.clEnqueueWriteBufferRect(queue(), memory, CL_FALSE, origin, host_origin, region, row_bytes, 0,
                                       host.leading * element_size, 0,
                                       host.data + matrix * host.stride * element_size, 0, nullptr, nullptr),
          "clEnqueueWriteBufferRect");
  }
}

std::unique_ptr<Lane> Lanes::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Lane> lane = std::move(free_.back());
      free_.pop_back();
      return lane;
    }
  }
  return std::make_unique<Lane>(cl_, context_, device_, memories_, most_bytes_, *this);
}

void Lanes::give_back(std::unique_ptr<Lane> lane) {
  lane->trim(kKeptBytes);
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(lane));
}

void Lanes::trim() {
  const std::lock_guard lock(mutex_);
  for (const std::unique_ptr<Lane>& lane : free_)
    lane->trim(0);
}

Memory Lanes::allocate(size_t bytes) {
  const auto create = [&](int& error) {
    return Memory(cl_.clCreateBuffer(context_, CL_MEM_READ_WRITE, bytes, nullptr, &error),
                  {cl_.clReleaseMemObject});
  };
  int error = CL_SUCCESS;
  Memory memory = create(error);
  if (status_of(error) == VACCEL_RESOURCE_EXHAUSTED) {
    trim();
    memory = create(error);
  }
  if (error != CL_SUCCESS) {
    refuse(status_of(error), "no memory for %zu bytes on %s: clCreateBuffer failed: %s (%d)", bytes,
           device_.name.c_str(), error_name(error), error);
  }
  return memory;
}

Launch& Launch::real(double value) {
  if (computes_doubles_) return argument(sizeof value, &value);
  const auto single = static_cast<float>(value);
  return argument(sizeof single, &single);
}

void Launch::over(size_t first, size_t second, size_t third) {
  const size_t group = device_.group_size;
  const size_t items[] = {(first + group - 1) / group * group, second, third};
  const size_t group_items[] = {group, 1, 1};
  check(lane_.cl().clEnqueueNDRangeKernel(lane_.queue(), kernel_.get(), 3, nullptr, items, group_items, 0,
                                          nullptr, nullptr),
        "clEnqueueNDRangeKernel");
}

Launch& Launch::argument(size_t bytes, const void* value) {
  check(lane_.cl().clSetKernelArg(kernel_.get(), next_++, bytes, value), "clSetKernelArg");
  return *this;
}

}  // namespace vaccel::opencl
