// SPDX-License-Identifier: Apache-2.0
//
// The memory of results: what vaccel_outputs and the typed results point into, how it is laid out before a payload
// arrives, and how it is freed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "channel/channel.h"
#include "core/status.h"
#include "vaccel/vaccel.h"
#include "wire/messages.h"

namespace vaccel::client {

struct FreeOutputs {
  void operator()(vaccel_outputs* outputs) const;
};
using OutputsPtr = std::unique_ptr<vaccel_outputs, FreeOutputs>;

/// Another owner of results, which FreeOutputs frees when the last one is done with them.
vaccel_outputs* share_outputs(vaccel_outputs& outputs);

struct CallMemory;

/// Makes memory for a result whose payload is about to arrive: one block with everything in it, except for what
/// goes to `places`, the caller's memory, and what lies in the window already. Results in the area of the session's own
/// window stay there, and the block has the area from now on; out of a VM's window, whose memory may become another
/// session's, they are copied. @param destinations  out: where the payload's bytes go, in order.
/// INVALID_ARGUMENT: a place is too small or belongs to no result; RESOURCE_EXHAUSTED: no memory;
/// PROTOCOL_ERROR: tensors that overlap, or lie where nobody told the agent to put them.
Result<OutputsPtr> lay_out(const wire::CallResult& result, uint64_t payload_bytes,
                           std::span<const vaccel_tensor> places, CallMemory& memory,
                           std::vector<channel::Destination>& destinations);

/// How large an area would have taken all results that have no place and are worth it; 0: there are none.
uint64_t area_bytes(const wire::CallResult& result, std::span<const vaccel_tensor> places);

/// Checks what only the bytes themselves show: the offsets of strings. PROTOCOL_ERROR.
Status check_contents(const vaccel_outputs& outputs);

/// Collects results that come one at a time, as a runtime in this process hands them out.
class OutputCollector {
 public:
  explicit OutputCollector(std::span<const vaccel_tensor> places) : places_(places) {}
  OutputCollector(const OutputCollector&) = delete;
  OutputCollector& operator=(const OutputCollector&) = delete;
  ~OutputCollector();

  /// Memory for result `index`; nullptr: see status().
  void* add(size_t index, std::string_view name, int dtype, std::span<const int64_t> shape, size_t bytes);
  /// INVALID_ARGUMENT: a place was too small; RESOURCE_EXHAUSTED: no memory.
  [[nodiscard]] const Status& status() const { return status_; }
  /// All results. INVALID_ARGUMENT: a place that belongs to no result.
  Result<OutputsPtr> finish();

 private:
  struct Item {
    size_t index;
    std::string name;
    int dtype;
    std::vector<int64_t> shape;
    void* data;
    size_t bytes;
  };
  std::span<const vaccel_tensor> places_;
  std::vector<Item> items_;
  void* pieces_ = nullptr;  // memory that was handed out, chained
  Status status_;
};

}  // namespace vaccel::client
