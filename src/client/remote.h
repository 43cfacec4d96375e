// SPDX-License-Identifier: Apache-2.0
//
// Sessions with an agent. The session outlives its connection: when that is lost, the next call makes a new one,
// and models are opened anew as they are used. A call is sent once; only one of which the old connection took
// not a byte goes out on the new one.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "channel/endpoint.h"
#include "client/completion_queue.h"
#include "client/condition.h"
#include "client/connection.h"
#include "client/transport.h"

namespace vaccel::client {

class RemoteTransport final : public Transport {
 public:
  struct Settings {
    channel::Endpoint endpoint;
    std::string client_name;
    int64_t connect_timeout_ns = 0;
    Sharing sharing = {};
  };
  /// Connects and greets. @param completions  Outlives the transport.
  static Result<std::unique_ptr<Transport>> open(Settings settings, CompletionQueue& completions);

  Status call(const CallSpec& spec, OutputsPtr* outputs) override;
  Result<std::unique_ptr<vaccel_request>> submit(const CallSpec& spec, const RequestTraits& traits) override;
  void take_in() override;
  Result<std::unique_ptr<vaccel_buffer>> allocate_buffer(size_t bytes, uint64_t alignment,
                                                         bool must_be_shared) override;
  Result<std::unique_ptr<vaccel_buffer>> allocate_on_device(const char* backend, size_t bytes) override;
  [[nodiscard]] const Buffers& buffers() const override { return *buffers_; }
  Result<bool> is_in_place(const void* data, size_t bytes) override;
  Status ping(int64_t deadline_ns) override;
  Status load_model(const char* name) override;
  Result<std::unique_ptr<ModelList>> list_models() override;
  Result<std::unique_ptr<Model>> describe_model(const char* name) override;
  Result<std::unique_ptr<Agent>> describe_agent() override;
  Result<std::unique_ptr<OperatorList>> list_operators() override;

 private:
  using ConnectionPtr = std::shared_ptr<Connection>;

  RemoteTransport(Settings settings, CompletionQueue& completions);

  /// The connection, made anew if it was lost. One thread connects, others wait for it.
  [[gnu::noinline]] Result<ConnectionPtr> connection(int64_t deadline_ns);
  Result<ConnectionPtr> connect(int64_t deadline_ns) const;

  /// Runs `send(connection, unsent)`, and again on a new connection if the old one turned out to be lost before
  /// it had taken anything. @return the connection that took it.
  template <typename Send>
  Result<ConnectionPtr> send_once(int64_t deadline_ns, Send send);
  static Status send_call(Connection& connection, const CallSpec& spec, CallExchange& exchange, bool& unsent);
  Result<wire::Description> describe(const wire::Describe& what, AgentLimits* limits);
  /// All of a list that comes in several bodies.
  template <typename Item>
  Result<std::vector<Item>> read_pages(wire::Subject subject, const char* what,
                                       std::vector<Item> wire::Description::*items);

  const Settings settings_;
  const std::string endpoint_;
  CompletionQueue& completions_;
  const std::shared_ptr<Buffers> buffers_{new Buffers};  // shared with buffers that are freed late

  std::mutex mutex_;
  ConnectionPtr connection_;
  bool connecting_ = false;
  uint64_t attempts_ = 0;  // to connect, finished
  Status last_attempt_;
  Condition connected_;
};

}  // namespace vaccel::client
