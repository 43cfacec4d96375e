// SPDX-License-Identifier: Apache-2.0
//
// One client's connection, as the agent sees it: a state machine that reads frames nobody vouches for, checks
// them against the session's own handles and limits, and passes calls to workers. It looks at no tensor's
// contents.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/config.h"
#include "agent/log.h"
#include "agent/reactor.h"
#include "agent/worker_slot.h"
#include "channel/stream.h"
#include "runtime/catalogue.h"
#include "wire/messages.h"

namespace vaccel::agent {

/// What a session needs of the agent around it.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual Reactor& reactor() = 0;
  virtual Log& log() = 0;
  virtual const Limits& limits() const = 0;
  virtual const runtime::Catalogue& catalogue() const = 0;
  /// The worker for a model; for "" the least busy one.
  virtual WorkerSlot& worker_for(const std::string& model) = 0;
  virtual const std::vector<std::unique_ptr<WorkerSlot>>& workers() const = 0;
  /// The session is over: to be destroyed once the present event is done.
  virtual void session_ended(uint64_t id) = 0;
};

class Session {
 public:
  /// @param peer  Who connected where, for the log.
  Session(SessionHost& host, uint64_t id, UniqueFd socket, std::string peer);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Status start();
  /// Sends a failure and closes: for a client that cannot be served.
  void refuse(const Status& status);
  /// Takes no further calls, and ends when those under way are answered.
  void drain();

  [[nodiscard]] uint64_t id() const { return id_; }

 private:
  struct InFlight;
  enum class State { kGreeting, kOpen, kClosing, kEnded };

  void on_ready(uint32_t events);
  void receive();
  void receive_later();
  Status handle_frame();
  Status handle_greeting();
  Status handle_call();
  Status handle_open_model();
  Status handle_close_model();
  Status handle_describe();
  Status handle_cancel();
  void describe_server(uint64_t request_id);
  void describe_models(uint64_t request_id, uint32_t start);
  void describe_model(uint64_t request_id, const std::string& name);

  Result<std::string> model_of(const wire::Call& call) const;
  Status admit(const wire::Call& call, uint64_t request_id, uint64_t payload_bytes) const;
  void echo(wire::Call call);
  void payload_arrived();
  void submit(const std::shared_ptr<InFlight>& call);
  void call_done(const std::shared_ptr<InFlight>& call, WorkerReply reply);
  void answer(InFlight& call, WorkerReply reply);
  void give_up(InFlight& call, Status status);

  template <typename Message>
  void send(uint64_t request_id, const Message& message,
            std::span<const std::span<const std::byte>> payload = {},
            std::unique_ptr<channel::Retained> retained = nullptr);
  void send_failure(uint64_t request_id, const Status& status);
  void watch_frame_time();
  void update_interest();
  void close_after_sending();
  void end(const char* why);

  SessionHost& host_;
  const uint64_t id_;
  const std::string peer_;
  std::string client_;
  channel::StreamChannel channel_;
  State state_ = State::kGreeting;
  bool draining_ = false;
  bool receives_later_ = false;
  uint32_t interest_ = 0;
  uint64_t arriving_bytes_ = 0;  // the payload of the frame that is arriving, once its header has come
  Reactor::TimerId frame_timer_;
  Reactor::TimerId send_timer_;

  wire::Encoder encoder_;
  std::unordered_map<uint64_t, std::shared_ptr<InFlight>>
      calls_;                            // shared with the worker's reply, which may come later
  size_t given_up_ = 0;                  // answered, and still with a worker
  std::shared_ptr<InFlight> receiving_;  // whose payload is arriving
  struct {
    wire::Call call;
    std::vector<std::byte> payload;
  } echo_;  // of the agent's own operator, while its payload is arriving
  uint64_t echo_id_ = 0;
  uint32_t other_requests_ = 0;  // open-model and describe, at workers
  uint64_t bytes_in_flight_ = 0;
  uint32_t next_handle_;
  std::unordered_map<uint32_t, std::string> models_;  // handle -> name
  std::shared_ptr<Session*> self_;  // nulled when this session goes: what a late reply finds
};

}  // namespace vaccel::agent
