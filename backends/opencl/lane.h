// SPDX-License-Identifier: Apache-2.0
//
// A lane: a command queue with memory of its own, which one call at a time uses. There are as many as calls have ever
// run at once.
//
// Where device and host share memory, a kernel works on the caller's memory in place, if its alignment allows; else what
// it needs is written to memory of the lane's, without the gaps between columns, and results are read from there. What
// lies in place may be written to by a guest at any moment: kernels use it as numbers only. What lies on the device
// already (memories.h) is used there: in place if it begins where a buffer may, else copied on the device.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "common/product.h"
#include "device.h"
#include "memories.h"

namespace vaccel::opencl {

using product::HostMatrices;

/// HostMatrices where a kernel finds them. The memory is the lane's.
struct DeviceMatrices {
  cl_mem memory;
  size_t leading;
  size_t stride;
};

/// What a lane keeps memory for.
enum class Slot { kA, kB, kC, kStoredA, kStoredB, kStoredC, kParts, kCount };

class Lanes;

class Lane {
 public:
  /// The references must outlive the lane. `most_bytes`: of one buffer. `others` give back what they keep when the device
  /// has no memory left.
  Lane(const OpenCl& cl, cl_context context, const Device& device, const Memories& memories,
       size_t most_bytes, Lanes& others);

  [[nodiscard]] const OpenCl& cl() const { return cl_; }
  [[nodiscard]] cl_command_queue queue() const { return queue_.get(); }

  /// Memory of unspecified content, at least so large, until the slot is asked for again.
  cl_mem scratch(Slot slot, size_t bytes);
  /// Inputs, in place or copied.
  DeviceMatrices input(Slot slot, const HostMatrices& host, size_t element_size);
  /// Where results go that fetch() brings to `host`, which must be dense; with `load`, what is there is there.
  DeviceMatrices output(Slot slot, const HostMatrices& host, size_t element_size, bool load);
  void fetch(const DeviceMatrices& device, const HostMatrices& host, size_t element_size);
  void fill_with_zeros(cl_mem memory, size_t bytes);
  /// Between two places that do not overlap, each on the device or not.
  void copy(void* to, const void* from, size_t bytes);

  /// Waits for everything; after this the caller's memory is not used any more. Throws what went wrong.
  void finish();
  /// The same, when something went wrong already.
  void abandon();
  /// Gives back large memory, or all of it.
  void trim(size_t kept_bytes);

 private:
  struct Scratch {
    Memory memory;
    size_t bytes = 0;
  };

  // The caller's memory as a buffer; nullptr where it cannot be one.
  cl_mem borrow(const HostMatrices& host, size_t element_size, cl_mem_flags access);
  cl_mem borrow_part(const OnDevice& place, const HostMatrices& host, size_t element_size);
  void write(cl_mem memory, const HostMatrices& host, size_t element_size);
  void copy_on_device(const DeviceMatrices& device, const OnDevice& place, const HostMatrices& host,
                      size_t element_size);
  void gather(cl_mem memory, const OnDevice& place, const HostMatrices& host, size_t element_size);

  const OpenCl& cl_;
  cl_context context_;
  const Device& device_;
  const Memories& memories_;
  size_t most_bytes_;
  Lanes& others_;
  Queue queue_;
  std::array<Scratch, static_cast<size_t>(Slot::kCount)> scratch_;
  std::vector<Memory> borrowed_;
  std::vector<Memory> parts_;  // of the device's own memory
};

/// The lanes that are free. Thread-safe.
class Lanes {
 public:
  Lanes(const OpenCl& cl, cl_context context, const Device& device, const Memories& memories,
        size_t most_bytes)
      : cl_(cl), context_(context), device_(device), memories_(memories), most_bytes_(most_bytes) {}

  /// A free lane, or a new one.
  std::unique_ptr<Lane> take();
  void give_back(std::unique_ptr<Lane> lane);
  /// Gives back the memory that free lanes keep.
  void trim();
  /// Memory of unspecified content; if there is none, what free lanes keep is given back first. Throws.
  Memory allocate(size_t bytes);

 private:
  const OpenCl& cl_;
  cl_context context_;
  const Device& device_;
  const Memories& memories_;
  size_t most_bytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Lane>> free_;
};

/// A kernel with its arguments, in order, and its start.
class Launch {
 public:
  /// `computes_doubles`: whether the kernel's `real` is double.
  Launch(const Lane& lane, const Device& device, Kernel kernel, bool computes_doubles)
      : lane_(lane), device_(device), kernel_(std::move(kernel)), computes_doubles_(computes_doubles) {}

  Launch& memory(cl_mem memory) { return argument(sizeof memory, &memory); }
  Launch& number(cl_ulong number) { return argument(sizeof number, &number); }
  Launch& real(double value);
  /// One item for each of so many; the first dimension is filled up to whole groups.
  void over(size_t first, size_t second = 1, size_t third = 1);

 private:
  Launch& argument(size_t bytes, const void* value);

  const Lane& lane_;
  const Device& device_;
  Kernel kernel_;
  bool computes_doubles_;
  cl_uint next_ = 0;
};

}  // namespace vaccel::opencl
