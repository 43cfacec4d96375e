// SPDX-License-Identifier: Apache-2.0
//
// One client's connection, as the agent sees it: a state machine that reads frames nobody vouches for, checks
// them against the session's own handles and limits, and passes calls to workers. It looks at no tensor's
// contents.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/config.h"
#include "agent/log.h"
#include "agent/reactor.h"
#include "agent/session_memory.h"
#include "agent/session_metrics.h"
#include "agent/session_window.h"
#include "agent/traffic.h"
#include "agent/upload_store.h"
#include "agent/vm.h"
#include "agent/worker_slot.h"
#include "channel/ring_channel.h"
#include "runtime/catalogue.h"
#include "wire/last_body.h"
#include "wire/messages.h"

namespace vaccel::agent {

/// The agent's own operators, of which no worker knows the second; see handle_own_operator().
inline constexpr const char* kEcho = "vaccel.echo";
inline constexpr const char* kDiscard = "vaccel.discard";
/// Of models of a tenant's own; session_uploads.cpp.
inline constexpr const char* kUpload = "vaccel.upload";
inline constexpr const char* kPutModel = "vaccel.put_model";
inline constexpr const char* kDeleteModel = "vaccel.delete_model";

/// What a session needs of the agent around it.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual Reactor& reactor() = 0;
  virtual Log& log() = 0;
  virtual const Limits& limits() const = 0;
  virtual Traffic& traffic() = 0;
  virtual Metrics& metrics() = 0;
  virtual const runtime::Catalogue& catalogue() const = 0;
  /// The worker for a model; for "" the least busy one.
  virtual WorkerSlot& worker_for(const std::string& model) = 0;
  virtual const std::vector<std::unique_ptr<WorkerSlot>>& workers() const = 0;
  /// Models of tenants' own, and the worker of one tenant for them.
  virtual const UploadStore& uploads() const = 0;
  virtual Result<WorkerSlot*> own_worker(const std::string& tenant) = 0;
  /// A window has gone: no worker needs it any more.
  virtual void window_ended(uint32_t number) = 0;
  /// The session is over: to be destroyed once the present event is done.
  virtual void session_ended(uint64_t id) = 0;
};

class Session final : public Polled {
 public:
  /// @param origin  Who connected where. @param taken  What it is of its tenant's sessions.
  Session(SessionHost& host, uint64_t id, UniqueFd socket, Origin origin, Taken taken);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Status start();
  /// Sends a failure and closes: for a client that cannot be served.
  void refuse(const Status& status);
  /// Takes no further calls, and ends when those under way are answered.
  void drain();

  [[nodiscard]] uint64_t id() const { return id_; }
  [[nodiscard]] const Origin& origin() const { return origin_; }
  /// What a line of the log about it, or about one of its requests, begins with. Holds views of this session.
  [[nodiscard]] LogSubject log_subject(uint64_t request_id = 0) const;

  // ---- Polled: the session's ring
  [[nodiscard]] bool ready() const override { return reads() && channel_.ready(); }
  void serve() override { receive(/*ring_only=*/true); }
  [[nodiscard]] bool arm() override { return !reads() || channel_.arm(); }

 private:
  struct InFlight;
  enum class State { kGreeting, kOpen, kClosing, kEnded };

  [[nodiscard]] bool reads() const;
  void on_ready(uint32_t events);
  void on_wake(uint32_t events);
  /// @param ring_only  Leave the stream to its descriptor.
  void receive(bool ring_only = false);
  void take_in(bool ring_only);
  void receive_later();
  Status handle_frame();
  void count_refusal(const Status& status);
  Status handle_greeting();
  Status handle_call();
  Status handle_open_model();
  Status handle_close_model();
  Status handle_describe();
  Status handle_cancel();
  Status handle_open_window();
  Status open_own_window(uint64_t request_id);
  Status open_vm_window(uint64_t request_id);
  Status begin_rings(wire::WindowOpened& opened, UniqueFd wake);
  Status handle_lease();
  Status handle_release();
  Status handle_allocate_memory();
  Status permit_memory(wire::AllocateMemory& wanted, const WorkerSlot& worker) const;
  Status handle_free_memory();
  [[nodiscard]] bool may_use(const std::string& model) const;
  [[nodiscard]] uint32_t model_count() const;
  [[nodiscard]] std::vector<std::string> own_models() const;
  void describe_server(uint64_t request_id);
  void describe_models(uint64_t request_id, uint32_t start);
  void describe_operators(uint64_t request_id, uint32_t start);
  void describe_model(uint64_t request_id, const std::string& name);

  Result<std::string> model_of(const wire::Call& call) const;
  Status admit(const wire::Call& call, uint64_t request_id, uint64_t payload_bytes);
  Status take_of_tenant(InFlight& call) const;
  Status permit_backend_of(const std::string& model, const Permission& permission) const;
  Status permit_backend(wire::Call& call, const std::string& model, const WorkerSlot& worker) const;
  Status admit_bytes(uint64_t payload_bytes) const;
  Status resolve_memory(InFlight& call, uint64_t payload_bytes) const;
  Status handle_own_operator(wire::Call call, bool echoes);
  static bool is_upload_operator(const std::string& name);
  Status handle_upload_operator(wire::Call call);
  Status handle_upload(wire::Call call);
  void finish_upload();
  void forget_upload();
  [[nodiscard]] UploadStore::Quota upload_quota() const;
  Status handle_put_model(const wire::Call& call);
  Status handle_delete_model(const wire::Call& call);
  Result<WorkerSlot*> worker_of(const std::string& model);
  [[nodiscard]] Status find_model(const std::string& model) const;
  void answer_own_operator();
  void payload_arrived();
  void count_call(uint64_t payload_bytes, uint64_t window_bytes);
  void count_window(int change);
  void submit(const std::shared_ptr<InFlight>& call);
  void call_done(const std::shared_ptr<InFlight>& call, WorkerReply reply);
  void answer(InFlight& call, WorkerReply reply);
  void fail_call(const InFlight& call, const vaccel_timings& timings, const Status& status);
  void give_up(InFlight& call, Status status);
  void log_broken_protocol(uint64_t request_id, const Status& status) const;
  void log_refusal(uint64_t request_id, wire::Kind kind, const Status& status) const;
  void log_call(uint64_t request_id, const CallMetrics& figures, const WorkerSlot& worker,
                const Status& status, const vaccel_timings& timings) const;

  template <typename Message>
  void send(uint64_t request_id, const Message& message,
            std::span<const std::span<const std::byte>> payload = {},
            std::unique_ptr<channel::Retained> retained = nullptr) {
    send_frame(Message::kKind, request_id, encoder_.encode(message), payload, std::move(retained));
  }
  void send_frame(wire::Kind kind, uint64_t request_id, std::span<const std::byte> body,
                  std::span<const std::span<const std::byte>> payload,
                  std::unique_ptr<channel::Retained> retained);
  void send_failure(uint64_t request_id, const Status& status);
  void watch_frame_time();
  void update_interest();
  void close_after_sending();
  void end(const char* why);

  SessionHost& host_;
  const uint64_t id_;
  const Origin origin_;
  std::string client_;
  channel::RingChannel channel_;
  State state_ = State::kGreeting;
  bool draining_ = false;
  bool receives_later_ = false;
  uint32_t interest_ = 0;
  uint64_t arriving_bytes_ = 0;  // the payload of the frame that is arriving, once its header has come
  Reactor::TimerId frame_timer_;
  Reactor::TimerId send_timer_;

  wire::Encoder encoder_;
  wire::CallDecoder call_decoder_;
  std::unordered_map<uint64_t, std::shared_ptr<InFlight>>
      calls_;                            // shared with the worker's reply, which may come later
  size_t given_up_ = 0;                  // answered, and still with a worker
  std::shared_ptr<InFlight> receiving_;  // whose payload is arriving
  struct {
    uint64_t request_id = 0;  // 0: none
    CallFigures metrics;
    wire::CallResult result;
    std::vector<std::byte> payload;
    HeldLeases held;
    Taken taken;                              // of its tenant's bytes in flight
    std::optional<UploadStore::Piece> piece;  // of an upload, of which these are the bytes in `payload`
    uint64_t data_offset = 0;
    uint64_t data_bytes = 0;
    std::shared_ptr<InFlight> discarded;  // has the memory of what arrives to be dropped
  } own_;                        // the call of one of the agent's own operators whose payload is arriving
  uint32_t other_requests_ = 0;  // open-model and describe, at workers
  uint64_t bytes_in_flight_ = 0;
  uint32_t next_handle_;
  struct OpenedModel {
    std::string name;
    Taken taken;  // of its tenant's models
  };
  Taken taken_;                                       // of its tenant's sessions
  std::unordered_map<uint32_t, OpenedModel> models_;  // by handle
  std::unique_ptr<SessionWindow> window_;             // once it has been opened
  SessionMemory memory_;
  std::set<uint64_t> allocations_;  // tickets of requests at its worker
  std::shared_ptr<WindowLease> ring_lease_;
  SessionMetrics metrics_;
  std::optional<Refusal> refused_for_;  // where a status tells less than is known
  std::shared_ptr<Session*> self_;      // nulled when this session goes: what a late reply finds
};

}  // namespace vaccel::agent
