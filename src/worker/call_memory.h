// SPDX-License-Identifier: Apache-2.0
//
// Where a call's inputs and outputs lie in this process, and what has to be copied.
//
// Inputs in the calls segment are used in place: the agent wrote them and does not touch them again. Inputs in a
// window stay their client's to write to while the call runs. Floating-point numbers are used in place all the same:
// whatever they become, they are numbers, and only that client's result is wrong. Everything else is copied first
// and then checked (an integer used as an index, a string's offset or an image's header that changes after it was
// checked is a memory error), and so is what lies at an address that its type does not allow. The same goes for
// outputs: floating-point ones are written into the window by the framework, others into memory of ours, and then
// copied. Device memory that is ordinary memory of this process is treated like a window; what only a device can reach
// is never read here, whatever its type.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "channel/segment.h"
#include "core/memory_block.h"
#include "core/status.h"
#include "vaccel/types.h"
#include "wire/messages.h"
#include "worker/memories.h"
#include "worker/windows.h"

namespace vaccel::worker {

/// Outputs up to this size travel in the result's own frame: cheaper than a release.
inline constexpr size_t kMaxInlineOutput = 4096;

/// Memory that is kept from call to call for what has to be copied, so that large copies do not allocate.
class Scratch {
 public:
  /// `bytes` of memory, aligned to 64, until rewind(). std::bad_alloc: there is none.
  std::byte* take(size_t bytes);
  /// Everything is free again; memory that only an unusual call needed goes back to the system.
  void rewind();

 private:
  struct Block {
    MemoryBlock memory;
    size_t used = 0;
  };
  std::vector<Block> blocks_;
};

/// The inputs of a call, as views that the runtime takes.
class Inputs {
 public:
  /// Finds and checks them. INTERNAL: they lie nowhere that this worker knows; INVALID_ARGUMENT: they are not what
  /// they say they are.
  Status map(const wire::Call& call, const channel::Segment& calls, const Windows& windows,
             const CallMemories& memories, Scratch& scratch);

  [[nodiscard]] std::span<const vaccel_tensor> views() const { return views_; }
  /// Bytes that were copied.
  [[nodiscard]] uint64_t copied_bytes() const { return copied_bytes_; }

 private:
  std::byte* in_place_or_copied(const wire::Tensor& tensor, std::byte* data, Scratch& scratch);

  std::vector<vaccel_tensor> views_;
  std::vector<channel::WindowMapping> mappings_;  // keep what the views point into
  uint64_t copied_bytes_ = 0;
};

/// Where results go when the caller has not said: the results segment, which several calls allocate from.
class ResultSegment {
 public:
  explicit ResultSegment(channel::Segment segment)
      : segment_(std::move(segment)), allocator_(segment_.size()) {}

  std::optional<uint64_t> allocate(uint64_t bytes);
  void release(std::span<const uint64_t> offsets);
  /// Nobody needs it for a while: pages above what is still in use go back to the system.
  void rest();
  [[nodiscard]] std::byte* at(uint64_t offset, uint64_t bytes) const {
    return segment_.at(offset, bytes)->data();
  }

 private:
  channel::Segment segment_;
  std::mutex mutex_;
  channel::SegmentAllocator allocator_;
  uint64_t warm_end_ = 0;  // up to here it may hold memory
};

/// Where a call's outputs go, as the runtime asks for them.
class OutputSink {
 public:
  /// @param call  Says which places there are; outlives this.
  OutputSink(const wire::Call& call, ResultSegment& results, const Windows& windows,
             const CallMemories& memories, Scratch& scratch)
      : call_(call), results_(results), windows_(windows), memories_(memories), scratch_(scratch) {}
  OutputSink(const OutputSink&) = delete;
  OutputSink& operator=(const OutputSink&) = delete;
  /// Results that the agent was not told of are not the agent's to release.
  ~OutputSink();

  /// For RuntimeCall::output.
  static void* output(void* context, size_t index, const char* name, vaccel_dtype dtype, int32_t rank,
                      const int64_t* shape, size_t bytes);
  /// Why output() had no memory, where that was the caller's doing.
  [[nodiscard]] const Status& status() const { return status_; }

  /// The outputs in order, and the pieces of the payload that small ones travel in. What had to be copied into the
  /// window is, now.
  wire::CallResult take(std::vector<std::span<const std::byte>>& pieces);

 private:
  struct Output {
    size_t index;
    wire::Tensor tensor;
    std::byte* travels = nullptr;  // of an output that travels with the result
    std::byte* private_copy = nullptr;
    std::byte* place = nullptr;  // of the caller's, where the private copy goes
  };

  void* add(size_t index, const char* name, vaccel_dtype dtype, int32_t rank, const int64_t* shape,
            size_t bytes);
  [[nodiscard]] const wire::Place* place_for(size_t index, const std::string& name) const;
  void* put_in_window(Output output, uint64_t offset);
  void* put_in_memory(Output output, const wire::Place& place);
  void* put_at(std::byte* data, Output output);

  const wire::Call& call_;
  ResultSegment& results_;
  const Windows& windows_;
  const CallMemories& memories_;
  Scratch& scratch_;
  std::optional<channel::WindowMapping> window_;
  uint64_t area_used_ = 0;
  std::vector<Output> outputs_;
  Status status_;
  bool told_ = false;
};

}  // namespace vaccel::worker
