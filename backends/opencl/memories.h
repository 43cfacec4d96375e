// SPDX-License-Identifier: Apache-2.0
//
// Device memory that sessions keep (vaccel_backend_memory): buffers of OpenCL's, each with a range of addresses of this
// process that stands for it and that nobody can read or write.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "device.h"

namespace vaccel::opencl {

class Lanes;

/// Where an address lies.
struct OnDevice {
  cl_mem memory;
  size_t offset;  ///< In bytes.
};

/// Thread-safe.
class Memories {
 public:
  /// `device` must outlive it.
  explicit Memories(const Device& device) : device_(device) {}
  ~Memories();
  Memories(const Memories&) = delete;
  Memories& operator=(const Memories&) = delete;

  /// Of zeros. Throws RESOURCE_EXHAUSTED: the device has no such memory left.
  void* allocate(size_t bytes, Lanes& lanes);
  void release(void* address);
  /// Nothing: it is memory of this process.
  [[nodiscard]] std::optional<OnDevice> find(const void* address) const;

 private:
  struct Entry {
    Memory memory;
    size_t bytes = 0;
  };

  const Device& device_;
  mutable std::mutex mutex_;
  std::map<const std::byte*, Entry> entries_;
};

}  // namespace vaccel::opencl
