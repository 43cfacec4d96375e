// SPDX-License-Identifier: Apache-2.0
//
// A place for a worker: keeps one worker process running, queues what is to be done there (fair_queue.h), and gives it out
// as the worker has hands free. When the process dies, what it had under way fails, what is queued waits for the next process.
// A process that does not answer any more, or has a call that runs beyond its limit, is ended.
//
// A slot knows models by name, loads them on first use, and unloads the one that was used longest ago when they take more memory
// than they may. It knows nothing of sessions.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "agent/agent_state.h"
#include "agent/config.h"
#include "agent/fair_queue.h"
#include "agent/log.h"
#include "agent/metrics.h"
#include "agent/quarantine.h"
#include "agent/reactor.h"
#include "agent/window.h"
#include "agent/worker_output.h"
#include "agent/worker_process.h"
#include "channel/segment.h"
#include "jail/jail.h"
#include "wire/last_body.h"
#include "wire/messages.h"

namespace vaccel::agent {

class WorkerSlot;

/// The memory of a call's results while they are being sent: what travelled in the worker's frame, and pieces
/// of the worker's results segment. Given back when destroyed.
class ResultMemory final : public channel::Retained {
 public:
  ResultMemory(WorkerSlot& slot, std::shared_ptr<WorkerProcess> process, std::vector<std::byte> payload)
      : slot_(slot), process_(std::move(process)), payload_(std::move(payload)) {}
  ~ResultMemory() override;
  ResultMemory(const ResultMemory&) = delete;
  ResultMemory& operator=(const ResultMemory&) = delete;

  /// The bytes of an output; nothing when the worker placed it outside of what it has.
  [[nodiscard]] std::optional<std::span<const std::byte>> bytes(const wire::Tensor& tensor) const;
  void own(uint64_t offset) { offsets_.push_back(offset); }
  /// What it is of its tenant's bytes in flight, for as long as it is there.
  void count(Taken taken) { taken_ = std::move(taken); }

 private:
  WorkerSlot& slot_;
  std::shared_ptr<WorkerProcess>
      process_;  // shared: the segment must outlive the process while results are sent
  std::vector<std::byte> payload_;
  std::vector<uint64_t> offsets_;
  Taken taken_;
};

/// What became of a request.
struct WorkerReply {
  Status status;
  uint32_t model = 0;             ///< Of OpenModel: the worker's handle, and the backend that runs the model.
  std::string backend;            ///< And of AllocateMemory: the one on whose device it lies.
  wire::Description description;  ///< Of Describe.
  uint64_t bytes = 0;             ///< Of OpenModel: the memory that loading it took.
  uint32_t calls_wanted =
      0;                    ///< Of OpenModel: how many of its calls the worker would like to have at a time.
  wire::CallResult result;  ///< Of Call, with its outputs in `memory`.
  std::unique_ptr<ResultMemory> memory;
  uint64_t queue_ns = 0;  ///< From submit() until the worker got it.
};

struct WorkerRequest {
  std::variant<wire::OpenModel, wire::Describe, wire::AllocateMemory, wire::Call> message;
  std::shared_ptr<Window> window;          ///< Of a call: what its tensors refer to; shared with the session.
  std::string model;                       ///< Of a call: the name of the model to load first; "" for none.
  int64_t deadline_ns = 0;                 ///< Not given to the worker after this; 0: none.
  std::shared_ptr<Tenant> tenant;          ///< Whose it is; shared with its sessions.
  const TenantMetrics* figures = nullptr;  ///< Of a call: where it counts.
  int32_t priority = 0;                    ///< Among the tenant's: greater ones first.
  std::move_only_function<void(WorkerReply)> done;  ///< Called exactly once, never within submit().
};

class WorkerSlot final : public Polled {
 public:
  /// Threads of a worker besides those that it is configured with: for calls that it joins, of which few compute at a time.
  static constexpr uint32_t kJoinedHands = 64;

  struct Options {
    jail::Jail& jail;  ///< Outlives the slot.
    std::filesystem::path program;
    std::vector<std::string> arguments;
    std::filesystem::path config;  ///< Which it inherits open; empty: none.
    uint32_t threads = 8;
    uint64_t segment_bytes = 0;
    uint32_t index = 0;
    std::string label;         ///< What stands for its models' names in metrics; "": they do themselves.
    uint32_t spin_us = 50;     ///< The longest that the worker spins before it sleeps.
    std::string cpus;          ///< Those it runs on, "0-3,8"; "": all.
    std::string device;        ///< GPUs that it sees, as CUDA_VISIBLE_DEVICES has it; "": all.
    uint64_t model_bytes = 0;  ///< Of models that are loaded; 0: no limit.
    /// What the configuration says of a model; asked anew each time, for it can be read again.
    std::function<ModelSettings(const std::string& model)> settings_of;
    Supervision supervision;
    bool ends_late_calls = false;  ///< A call that runs beyond its deadline is ended with its worker.
    int64_t idle_ms =
        0;  ///< It runs when something asks for it, until it has had nothing to do for so long; 0: always.
    Quarantine* quarantine = nullptr;  ///< Outlives the slot.
    Metrics& metrics;                  ///< Outlives the slot.
  };
  static Result<std::unique_ptr<WorkerSlot>> create(Reactor& reactor, Log& log, Options options);
  ~WorkerSlot();
  WorkerSlot(const WorkerSlot&) = delete;
  WorkerSlot& operator=(const WorkerSlot&) = delete;

  /// Starts the first process; `ready` is called once: when it has greeted, or with why it has not.
  void start(std::move_only_function<void(Status)> ready);
  /// Lets the process end; nothing is restarted any more.
  void stop();
  /// The same, and does not wait for the process: for one that may not mean to end.
  void stop_at_once();
  /// Has the process read its catalogue again; `done` is called when it has, or when there is no process: the next one reads it anyway.
  void read_catalogue_again(std::move_only_function<void(Status)> done);
  /// A model has changed, or gone: it is unloaded as soon as nobody uses it.
  void retire_model(const std::string& name);
  /// A model has gone: it is unloaded, and if somebody uses it at present the process ends.
  void forget_model(const std::string& name);

  // ---- Memory that the worker maps: where a call's payload goes

  std::optional<uint64_t> allocate(uint64_t bytes);
  [[nodiscard]] std::span<std::byte> memory(uint64_t offset, uint64_t bytes) const {
    return *calls_.at(offset, bytes);
  }
  void release(uint64_t offset);

  // ---- Requests

  /// @return a ticket for cancel().
  uint64_t submit(WorkerRequest request);
  /// One that is queued ends as CANCELLED; one that runs is told so, and ends as it will.
  void cancel(uint64_t ticket);

  // ---- Device memory: asked for with a request, under a number from here

  uint32_t next_memory_number() { return last_memory_++ | wire::kFirstMemoryNumber; }
  /// No call refers to it any more. Only for memory of the present process.
  void free_memory(uint32_t number);
  /// How many processes there have been: device memory goes with its process.
  [[nodiscard]] uint64_t process_count() const { return process_count_; }

  /// No call refers to a window any more.
  void drop_window(uint32_t number);

  // ---- Polled: the worker's ring
  [[nodiscard]] bool ready() const override { return process_ && process_->channel().ready(); }
  void serve() override { take_in(/*ring_only=*/true); }
  [[nodiscard]] bool arm() override { return !process_ || process_->channel().arm(); }

  /// What loading a model has come to: the backend that runs it here, or why it could not be loaded; both "" before.
  struct ModelState {
    std::string backend;
    std::string problem;
    bool loading = false;
  };
  [[nodiscard]] ModelState state_of(const std::string& model) const;
  /// The backend that runs a model here, or did when it was last loaded; "": it never was.
  [[nodiscard]] std::string backend_of(const std::string& model) const;
  [[nodiscard]] size_t load() const { return queue_.size() + running_.size(); }
  [[nodiscard]] uint32_t index() const { return options_.index; }
  /// Loads a model before the first call asks for it, and again when a process starts anew.
  void preload(const std::string& model);
  [[nodiscard]] const std::vector<wire::BackendInfo>& backends() const { return backends_; }
  /// What a call can name there; nothing before the first process has told.
  [[nodiscard]] const std::vector<wire::OperatorInfo>& operators() const { return operators_; }
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : 0; }

  // ---- For whoever tells how things stand

  [[nodiscard]] WorkerNow now() const;
  /// Each call that waits here or is with the worker: `visit(request, whether it is)`.
  void visit_calls(const std::function<void(const WorkerRequest&, bool running)>& visit) const;

 private:
  friend class ResultMemory;
  struct Queued {
    int64_t since_ns;
    WorkerRequest request;
  };
  using Queue = FairQueue<Queued>;
  struct Running {
    WorkerRequest request;
    uint64_t queue_ns = 0;
    std::string loading;     // the model that this request loads for others
    std::string lane;        // of a call: its model, or "" for operators without one
    bool counted = false;    // it came through the queue, and takes one of the worker's hands
    double expected_ns = 0;  // what it was charged with
    double began_at = 0;     // by service_ns_
    int64_t started_ns = 0;
    bool cancelled = false;
  };
  struct LoadedModel {
    enum class State { kLoading, kLoaded, kUnloading };
    State state = State::kLoading;
    uint32_t handle = 0;
    std::string backend;
    uint64_t bytes = 0;
    int64_t used_ns = 0;   // last
    bool retired = false;  // to be unloaded when it is idle
  };
  // What calls of one operator on one model have come to.
  struct Experience {
    double cost_ns = 0;        // of the worker's time, a moving average
    double least_cost_ns = 0;  // and the least that one ever cost
    double least_ns = 0;       // that one ever took from when the worker got it
    uint32_t calls = 0;
  };
  struct Lane {
    size_t running = 0;
    uint32_t wanted =
        0;  // calls that the worker would like to have at a time, for it joins them; 0, 1: it does not
    std::map<std::string, Experience, std::less<>> experience;  // by operator
  };

  struct Told {  // of operators, until all have been
    std::vector<wire::OperatorInfo> operators;
    uint32_t received = 0;
    size_t bytes = 0;
  };

  WorkerSlot(Reactor& reactor, Log& log, Options options, channel::Segment calls);
  Status launch();
  void launch_again();
  void stop_within(int timeout_ms);
  void on_channel(uint32_t events);
  void take_in(bool ring_only);
  enum class Frames { kSome, kAll };
  bool drain_channel(bool ring_only, Frames frames);
  void on_exit();
  Status handle_frame();
  Status handle_result(const wire::Header& header);
  void finish_result();
  void greet();
  void finish_greeting(Status status);
  void ask(wire::Describe what, std::move_only_function<void(WorkerReply)> done);
  void ask_for_operators(Told told);
  void be_first_ready(Status status);
  void pump();
  void start_own(uint64_t id, decltype(WorkerRequest::message) message,
                 std::move_only_function<void(WorkerReply)> done);
  void lose_what_ran(const std::string& why);
  void lose_load(const std::string& name, const std::string& why);
  [[nodiscard]] Status check(Queue::Entry& entry, int64_t now) const;
  [[nodiscard]] Status check_deadline(const Queue::Entry& entry, const Experience& known, int64_t now) const;
  void dispatch(Queue::Entry entry, int64_t now);
  void begin(Queue::Entry entry, int64_t now);
  void want(const std::string& lane_name, uint32_t calls);
  static void learn(Lane& lane, const std::string& operator_name, double cost_ns, double latency_ns);
  void settle(const Running& running, bool done);
  void begin_loading(const std::string& name);
  void begin_wanted_loads();
  [[nodiscard]] bool runs_on_demand() const { return options_.idle_ms > 0; }
  void run_if_wanted();
  void rest_when_idle();
  void begin_preloads();
  void finish_loading(const std::string& name, const WorkerReply& reply);
  void fail_lane(const std::string& name, const Status& status);
  void make_room_for_models(const std::string& newest, uint64_t wanted_bytes);
  void unload(const std::string& name);
  [[nodiscard]] bool is_idle(const std::string& model) const;
  void unload_if_retired(const std::string& name);
  [[nodiscard]] uint64_t loaded_bytes() const;
  [[nodiscard]] bool lane_has_room(const std::string& lane) const;
  [[nodiscard]] bool may_run(const Queue::Entry& entry, int64_t now) const;
  void advance_service();
  void supervise();
  void watch();
  void end_process(std::string why);
  void note_suspects();
  static std::string subject_of(const WorkerRequest& request);
  static std::string what_of(const Running& running);
  [[nodiscard]] int64_t time_limit_of(const Running& running) const;
  void complete(uint64_t id, WorkerReply reply);
  template <typename Message>
  Status send(uint64_t id, const Message& message) {
    return send_body(Message::kKind, id, encoder_.encode(message));
  }
  Status send_body(wire::Kind kind, uint64_t id, std::span<const std::byte> body);
  void fail_later(Queued queued, Status status);
  Status import_window(const Window& window);
  void forget_process();
  void trim();
  void trim_all();
  void give_back(const WorkerProcess& process, const std::vector<uint64_t>& offsets);
  void update_interest();

  Reactor& reactor_;
  Log& log_;
  Options options_;
  channel::Segment calls_;
  channel::SegmentAllocator call_allocator_;
  uint64_t warm_end_ = 0;  // up to here calls_ may hold memory
  uint64_t peak_end_ = 0;  // up to here it was used since the last trim()
  Reactor::TimerId trim_timer_;

  std::shared_ptr<WorkerProcess> process_;
  WorkerOutput output_;
  uint64_t process_count_ = 0;
  uint32_t last_memory_ = 0;
  bool ready_ = false;
  bool stopping_ = false;
  int64_t launched_ns_ = 0;
  uint32_t failures_ = 0;        // starts in a row that did not last
  Status start_error_;           // why the last start failed
  bool broke_protocol_ = false;  // the present process: why it is being killed
  std::string last_end_;         // how the last process ended, while none is ready
  Reactor::TimerId restart_timer_;
  std::move_only_function<void(Status)> on_first_ready_;
  std::vector<wire::BackendInfo> backends_;
  std::vector<wire::OperatorInfo> operators_;

  wire::Encoder encoder_;
  wire::ResultDecoder result_decoder_;
  uint64_t next_id_ = 1;
  Queue queue_;
  std::unordered_map<uint64_t, Running> running_;
  std::map<std::string, LoadedModel, std::less<>> models_;
  std::set<std::string> preloaded_;
  std::map<std::string, std::string, std::less<>> load_problems_;  // of models whose last loading failed
  struct KnownModel {
    std::string backend;
    uint64_t bytes = 0;
  };
  std::map<std::string, KnownModel, std::less<>> known_models_;  // what loading one came to the last time
  std::map<std::string, Lane, std::less<>> lanes_;
  size_t hands_taken_ = 0;     // of options_.threads
  size_t counted_ = 0;         // of running_: what came through the queue
  double service_ns_ = 0;      // the worker's time, divided among those that ran
  int64_t service_at_ns_ = 0;  // when that was brought up to date
  Reactor::TimerId watch_timer_;
  Reactor::TimerId idle_timer_;
  bool resting_ = false;  // the process was ended because nobody needs it
  uint64_t ping_ = 0;     // the request that the worker has to answer to show that it lives; 0: none
  int64_t pinged_ns_ = 0;
  int64_t watched_ns_ = 0;          // when the process was looked at last
  std::string end_reason_;          // why the slot has ended the process
  uint64_t culprit_ = 0;            // the call that it was ended for
  std::set<uint32_t> windows_;      // that the process has been given
  std::vector<uint64_t> releases_;  // to be told to the worker, together
  struct {
    uint64_t id = 0;
    wire::CallResult result;
    std::vector<std::byte> payload;
  } incoming_;  // a result whose payload is arriving
  uint32_t interest_ = 0;
};

}  // namespace vaccel::agent
