// SPDX-License-Identifier: Apache-2.0
//
// An exchange: one request that goes out on a connection, and the answer to it. Connection moves the bytes and
// knows which answer belongs to which exchange; the kinds of exchange here know what an answer means.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "channel/channel.h"
#include "client/buffers.h"
#include "client/condition.h"
#include "client/outputs.h"
#include "client/window.h"
#include "core/status.h"
#include "wire/last_body.h"
#include "wire/messages.h"

namespace vaccel::client {

class CallExchange;

/// Lives in its caller's frame, or in a submitted request. The connection holds a pointer to it from
/// Connection::send() until it is done or has been abandoned.
class Exchange {
 public:
  /// @param expires_ns  When Connection::end_expired() gives it up; 0: never.
  explicit Exchange(int64_t expires_ns = 0) : expires_ns_(expires_ns) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Whether the answer is here, or known not to come.
  [[nodiscard]] bool done() const { return done_.load(std::memory_order_acquire); }
  /// What became of it, once done.
  [[nodiscard]] const Status& status() const { return status_; }

 protected:
  ~Exchange() = default;

  /// The kind of frame that answers it; a failure does too.
  [[nodiscard]] virtual wire::Kind answer_kind() const = 0;
  /// Reads the answer's body, and says where its payload goes (nothing: nowhere). A failure is this exchange's;
  /// PROTOCOL_ERROR ends the connection as well.
  virtual Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                           std::vector<channel::Destination>& destinations) = 0;
  /// The payload, if any, is whole. Failures as for take_body().
  virtual Status finish() { return {}; }
  virtual CallExchange* as_call() { return nullptr; }
  /// It is done and was sent whole. Called under the connection's lock, before anyone who waits for it is woken.
  virtual void completed() {}

 private:
  friend class Connection;
  uint64_t id_ = 0;
  int64_t expires_ns_ = 0;
  bool sent_ = false;
  bool busy_ = false;  // a thread that reads uses it right now, without the connection's lock
  bool abandoned_ = false;
  std::atomic<bool> done_ = false;
  Status status_;
  Condition wake_;
};

/// What a call uses of the window and of devices, until it is done.
struct CallMemory {
  std::shared_ptr<Window> window;        ///< That the call was sent with; null: none. Shared with its slabs.
  Slab inputs;                           ///< Copies of inputs that did not lie in the window.
  Slab area;                             ///< For results without a place.
  std::vector<BufferMemoryPtr> buffers;  ///< Of the program's, with inputs or places. Shared with these.
  wire::ResultDecoder* decoder = nullptr;  ///< Of the connection that it was sent on.
  uint64_t copied_bytes = 0;               ///< By this library.
  uint64_t result_key = 0;                 ///< For ResultSizes; 0: its size is not to be remembered.
  bool finished = false;  ///< The result is here, so nobody at the other end writes any more.

  /// What of the call's lies on a device.
  [[nodiscard]] const BufferMemory* on_device(const void* data) const {
    for (const BufferMemoryPtr& buffer : buffers) {
      if (buffer->device && buffer->has(data)) return buffer.get();
    }
    return nullptr;
  }

  CallMemory() = default;
  CallMemory(CallMemory&&) = default;
  CallMemory& operator=(CallMemory&&) = default;
  ~CallMemory() {
    if (finished) return;
    area.discard();
    for (const BufferMemoryPtr& buffer : buffers)
      buffer->given_up.store(true, std::memory_order_relaxed);
  }
};

/// A call and its result.
class CallExchange : public Exchange {
 public:
  /// @param wants_outputs  Whether results are kept at all.
  /// @param places         The caller's memory for them.
  CallExchange(bool wants_outputs, std::span<const vaccel_tensor> places, int64_t started_ns,
               int64_t expires_ns = 0)
      : Exchange(expires_ns), wants_outputs_(wants_outputs), places_(places), started_ns_(started_ns) {}

  [[nodiscard]] OutputsPtr& outputs() { return outputs_; }
  [[nodiscard]] bool wants_outputs() const { return wants_outputs_; }
  /// Filled in when the call is sent.
  [[nodiscard]] CallMemory& memory() { return memory_; }
  [[nodiscard]] int64_t started_ns() const { return started_ns_; }
  /// Bytes that an area for results would have had to have.
  [[nodiscard]] uint64_t area_wanted() const { return area_wanted_; }

 protected:
  ~CallExchange() = default;

 private:
  [[nodiscard]] wire::Kind answer_kind() const override { return wire::Kind::kResult; }
  CallExchange* as_call() override { return this; }
  Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                   std::vector<channel::Destination>& destinations) override;
  Status finish() override;

  bool wants_outputs_;
  std::span<const vaccel_tensor> places_;
  int64_t started_ns_;
  CallMemory memory_;
  uint64_t area_wanted_ = 0;
  uint64_t copied_elsewhere_ = 0;
  OutputsPtr outputs_;
};

/// A call that its caller waits for at once.
class BlockingCall final : public CallExchange {
 public:
  using CallExchange::CallExchange;
};

/// The opening of a model.
class OpenModelExchange final : public Exchange {
 public:
  [[nodiscard]] uint32_t handle() const { return handle_; }

 private:
  [[nodiscard]] wire::Kind answer_kind() const override { return wire::Kind::kModelOpened; }
  Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                   std::vector<channel::Destination>& destinations) override;
  uint32_t handle_ = 0;
};

/// The lease of a piece of the window.
class LeaseExchange final : public Exchange {
 public:
  [[nodiscard]] const wire::Leased& leased() const { return leased_; }

 private:
  [[nodiscard]] wire::Kind answer_kind() const override { return wire::Kind::kLeased; }
  Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                   std::vector<channel::Destination>& destinations) override;
  wire::Leased leased_;
};

/// The allocation of device memory.
class AllocateExchange final : public Exchange {
 public:
  [[nodiscard]] const wire::MemoryAllocated& allocated() const { return allocated_; }

 private:
  [[nodiscard]] wire::Kind answer_kind() const override { return wire::Kind::kMemoryAllocated; }
  Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                   std::vector<channel::Destination>& destinations) override;
  wire::MemoryAllocated allocated_;
};

class DescribeExchange final : public Exchange {
 public:
  [[nodiscard]] wire::Description& description() { return description_; }

 private:
  [[nodiscard]] wire::Kind answer_kind() const override { return wire::Kind::kDescription; }
  Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                   std::vector<channel::Destination>& destinations) override;
  wire::Description description_;
};

}  // namespace vaccel::client
