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
#include "client/condition.h"
#include "client/outputs.h"
#include "core/status.h"
#include "wire/messages.h"

namespace vaccel::client {

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

/// A call and its result.
class CallExchange : public Exchange {
 public:
  /// @param wants_outputs  Whether results are kept at all.
  /// @param places         The caller's memory for them.
  CallExchange(bool wants_outputs, std::span<const vaccel_tensor> places, int64_t started_ns,
               int64_t expires_ns = 0)
      : Exchange(expires_ns), wants_outputs_(wants_outputs), places_(places), started_ns_(started_ns) {}

  [[nodiscard]] OutputsPtr& outputs() { return outputs_; }

 protected:
  ~CallExchange() = default;

 private:
  [[nodiscard]] wire::Kind answer_kind() const override { return wire::Kind::kResult; }
  Status take_body(std::span<const std::byte> body, uint64_t payload_bytes,
                   std::vector<channel::Destination>& destinations) override;
  Status finish() override;

  bool wants_outputs_;
  std::span<const vaccel_tensor> places_;
  int64_t started_ns_;
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
