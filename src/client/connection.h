// SPDX-License-Identifier: Apache-2.0
//
// One connection to an agent, shared by all threads of a session: it sends requests and gives each answer to the
// exchange that it belongs to. It has no thread. Of those that wait for an answer one reads, for all; the others
// sleep until their answer is there or it is their turn to read. Likewise one thread writes at a time.
//
// When the connection is lost, every exchange under way ends with the reason. Nothing is sent again from here:
// remote.h decides what may be.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "channel/channel.h"
#include "client/buffers.h"
#include "client/call.h"
#include "client/call_layout.h"
#include "client/completion_queue.h"
#include "client/condition.h"
#include "client/exchange.h"
#include "client/greeting.h"
#include "core/unique_fd.h"

namespace vaccel::client {

/// Thread-safe. Shared by the session and its submitted requests, which may outlast it being the current one.
class Connection final : public DeviceHome, public std::enable_shared_from_this<Connection> {
 public:
  /// @param completions  Watches the socket; outlives the connection.
  /// @param buffers  Those of the session; outlive the connection.
  Connection(Greeted greeted, std::string endpoint, CompletionQueue& completions, const Buffers& buffers);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  [[nodiscard]] const wire::Welcome& welcome() const { return welcome_; }
  /// The memory shared with the agent; null: none, see no_window().
  [[nodiscard]] const std::shared_ptr<Window>& window() const { return window_; }
  [[nodiscard]] const std::string& no_window() const { return no_window_; }
  /// Whether it is of no use for further requests.
  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_acquire); }

  // ---- Sending. On success the exchange is under way: it must not be destroyed before it is done or abandoned.
  // `unsent` tells of a failure whether the other end has seen nothing of the request, because the connection
  // had been lost before: then it may be sent on another one.

  /// @param model  Handle of the model; 0: none.
  Status send_call(const CallSpec& spec, uint32_t model, CallExchange& exchange, bool& unsent);
  Status send_describe(const wire::Describe& describe, Exchange& exchange, bool& unsent);
  /// The handle of a model on this connection. Opens it at its first use; whoever asks meanwhile waits with.
  /// (Cold, as nothing here counts beside what a model takes.)
  [[gnu::cold]] Result<uint32_t> open_model(const char* name, int64_t deadline_ns, bool& unsent);
  /// A slab of the window: one that was used before, or a new lease. RESOURCE_EXHAUSTED: the agent has no more.
  /// @param alignment  A power of two.
  Result<Slab> slab(uint64_t bytes, uint64_t alignment, int64_t deadline_ns, bool& unsent);

  /// Memory on a device of the other end's. @param backend  "": the best there is.
  [[gnu::cold]] Result<BufferMemoryPtr> allocate_memory(const std::string& backend, size_t bytes,
                                                        bool& unsent);
  [[gnu::cold]] void free_memory(uint32_t number) override;

  // ---- Receiving

  /// Waits until an exchange is done. @return false: the deadline passed (0: there is none).
  bool wait(Exchange& exchange, int64_t deadline_ns);
  /// Takes in what is there, without blocking.
  void take_in();
  /// Sees to it that the completion queue's descriptor tells of results to come, if somebody may be waiting on it.
  void watch_for_results();
  /// Ends those exchanges that have a deadline of their own (see Exchange) which has passed.
  void end_expired();
  /// What an exchange ends with whose deadline has passed.
  static Status expired();
  /// Ends an exchange that is not done, with `status`; a call is cancelled at the other end. An answer that comes
  /// yet goes nowhere. When it returns, nothing uses the exchange any more.
  void abandon(Exchange& exchange, const Status& status);
  /// Asks the other end to give up a call, and goes on waiting for its answer.
  void cancel(Exchange& exchange);

 private:
  using Lock = std::unique_lock<std::mutex>;
  enum class Step { kBlocked, kMoved, kEnded };

  /// A model being opened, or open; waiters share it.
  struct OpenModel {
    std::string name;
    bool done = false;
    uint32_t handle = 0;
    Status status;
  };

  // Writing. Between begin and end this thread alone sends, and encoder_ and call_ are its own.
  Status begin_writing(Lock& lock, int64_t deadline_ns, bool& unsent);
  void end_writing(Lock& lock);
  void enlist(Exchange& exchange);
  Status transmit(Lock& lock, wire::Kind kind, std::span<const std::byte> body,
                  std::span<const std::span<const std::byte>> payload, int64_t deadline_ns,
                  Exchange& exchange, bool& unsent);
  Status write_on(int64_t deadline_ns);
  void send_leftover(Lock& lock);
  bool closed_meanwhile() const;
  void fill_call(const CallSpec& spec, uint32_t model);
  Result<Slab> lease(uint64_t slab_size, uint64_t alignment, int64_t deadline_ns, bool& unsent);
  [[gnu::cold]] void send_released(Lock& lock);
  template <typename Message>
  [[gnu::cold]] Status send_request(const Message& message, Exchange& exchange, int64_t deadline_ns,
                                    bool& unsent);
  bool await(short events, int64_t deadline_ns);
  void let_descriptor_tell();

  // Reading. Only the thread that has set reading_ calls these, with the lock, which step() lets go of.
  void read_for(Lock& lock, const Exchange& exchange, int64_t deadline_ns);
  Step step(Lock& lock, bool block);
  Step take_frame(Lock& lock);
  Step take_payload(Lock& lock);
  Step end(Status status);
  void stop_reading(bool drained);
  void hand_on();

  // With the lock.
  [[nodiscard]] Exchange* find(uint64_t id) const;
  void complete(Exchange& exchange, Status status);
  void forget(const Exchange& exchange);
  void settle(Exchange& exchange, Status status);
  void send_left_over(Lock& lock);
  void abandon(Lock& lock, Exchange& exchange, const Status& status);
  void lose(Lock& lock, Status status);

  const std::string endpoint_;
  const wire::Welcome welcome_;
  CompletionQueue& completions_;
  const Buffers& buffers_;
  const std::shared_ptr<Window> window_;  // shared with slabs, which may outlive the connection
  const std::string no_window_;
  const std::unique_ptr<channel::Channel> channel_;
  const bool may_die_silently_;  // vsock and tcp: a send may succeed though the other end has long been gone
  int64_t last_sent_ns_ = 0;     // for channels with rings, which take frames though the other end has gone

  std::mutex mutex_;
  std::atomic<bool> lost_ = false;  // no new requests
  bool ended_ = false;              // and every exchange has been told
  Status loss_;

  uint64_t next_id_;
  std::vector<Exchange*> under_way_;  // by ascending id
  std::vector<std::shared_ptr<OpenModel>> models_;
  Condition models_changed_;

  bool writing_ = false;
  Condition writer_turn_;
  std::vector<uint64_t> cancels_;  // calls to cancel, by whoever writes next
  std::vector<uint32_t> freed_;    // device memory to free, likewise
  bool leftover_ =
      false;  // the channel keeps bytes that the socket did not take; nobody waits for them to go
  bool writer_wants_to_read_ = false;
  UniqueFd writer_wake_;  // an eventfd, made when first needed
  wire::Encoder encoder_;
  wire::Call call_;
  ResultSizes result_sizes_;

  std::atomic<bool> reading_ = false;  // written with the lock
  std::vector<Exchange*> followers_;   // sleep until their answer is here or nobody reads
  Exchange* receiver_ = nullptr;       // whose answer is coming in
  wire::ResultDecoder result_decoder_;
  bool discard_ = false;  // that exchange was abandoned: the rest of its payload goes nowhere
  std::vector<channel::Destination> destinations_;
};

}  // namespace vaccel::client
