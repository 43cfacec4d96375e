// SPDX-License-Identifier: Apache-2.0
//
// What an instance of the backend is: the libraries, one device, its compiled kernels and its lanes. The operations are
// functions on it, in product.cpp and vectors.cpp; the table is in opencl.cpp.
#pragma once

#include <array>
#include <atomic>
#include <mutex>

#include "lane.h"
#include "programs.h"

namespace vaccel::opencl {

/// The routines of CLBlast that are compiled at their first call.
enum class Routine { kGemm, kGemmBatched, kGemv, kCount };

class Engine {
 public:
  Engine(const vaccel_backend_host* host, const Options& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] const ClBlast& blast() const { return blast_; }
  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] Lanes& lanes() { return lanes_; }
  [[nodiscard]] Memories& memories() { return memories_; }
  /// Of one operand on the device.
  [[nodiscard]] size_t most_bytes() const { return most_bytes_; }
  [[nodiscard]] const char* version() const { return version_.c_str(); }
  [[nodiscard]] const char* devices() const { return devices_.c_str(); }

  /// Whether the device computes with elements of a type; halves of both kinds are computed with as float32.
  [[nodiscard]] bool takes(vaccel_dtype dtype) const;

  /// One of this backend's kernels, to be started in `lane`.
  [[nodiscard]] Launch launch(const Lane& lane, vaccel_dtype dtype, const char* kernel);

  /// Calls `call`, which queues that routine; whoever is first compiles it, and the others wait instead of compiling it
  /// as well.
  template <typename Call>
  void queue_routine(Routine routine, bool doubles, Call call) {
    FirstCall& first = first_calls_.at(static_cast<size_t>(routine) * 2 + (doubles ? 1 : 0));
    if (first.done.load(std::memory_order_acquire)) return call();
    const std::lock_guard lock(first.mutex);
    call();
    first.done.store(true, std::memory_order_release);
  }

 private:
  struct FirstCall {
    std::atomic<bool> done{false};
    std::mutex mutex;
  };

  OpenCl cl_;
  ClBlast blast_;
  Device device_;
  size_t most_bytes_;
  std::string version_;
  std::string devices_;
  Context context_;
  Programs programs_;
  Memories memories_;
  Lanes lanes_;
  std::array<FirstCall, static_cast<size_t>(Routine::kCount) * 2> first_calls_;
};

/// Runs `body` on a lane. If it fails, what it has queued has ended before the failure goes on, since it may use the
/// caller's memory, and the lane is not used again.
template <typename Body>
void with_lane(Engine& engine, Body body) {
  std::unique_ptr<Lane> lane = engine.lanes().take();
  try {
    body(*lane);
  } catch (...) {
    lane->abandon();
    throw;
  }
  engine.lanes().give_back(std::move(lane));
}

/// Throws CANCELLED or DEADLINE_EXCEEDED once nobody waits for the result any more. What the device has begun is not
/// stopped: this is asked between blocks.
void stop_if_cancelled(const vaccel_backend_run& run);

using product::element_size;

// ---- Operations

void gemm(Engine& engine, const vaccel_backend_gemm& problem, const vaccel_backend_run& run);
void gemv(Engine& engine, const vaccel_backend_gemv& problem, const vaccel_backend_run& run);
void vectors(Engine& engine, vaccel_linalg_operation operation, const vaccel_backend_vectors& problem,
             const vaccel_backend_run& run);

/// Compiles what operations on a type need.
void warm_up(Engine& engine, vaccel_dtype dtype);

}  // namespace vaccel::opencl
