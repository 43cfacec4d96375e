// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_slot.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "core/clock.h"
#include "wire/limits.h"
#include "wire/operator_page.h"

namespace vaccel::agent {
namespace {

constexpr int64_t kFirstBackoffMs = 50;
constexpr int64_t kMaxBackoffMs = 5'000;
constexpr int kEndTimeoutMs = 2'000;          // for a worker to exit by itself
constexpr int64_t kStableNs = 5'000'000'000;  // a process that lived this long did not fail to start
constexpr uint32_t kMostOperators = 4096;     // that a worker is asked for
constexpr size_t kMostBytesOfOperators = size_t{1} << 20;
constexpr uint64_t kMaxInlinePayload = uint64_t{1} << 20;
constexpr size_t kMostProblems = 1024;  // of models, that are remembered
constexpr int kFramesAtOnce = 256;      // taken in from a worker before others have their turn
constexpr size_t kMostUnsentBytes = size_t{32} << 20;
/// Warm memory is kept for the next calls. What lies above is given back once nobody has needed it for a while: at once would
/// have those who take turns in it take its pages anew for each call.
constexpr uint64_t kKeepBelow = uint64_t{64} << 20;
constexpr int64_t kTrimMs = 1'000;

WorkerEnd end_of(const WorkerProcess& process, bool broke_protocol) {
  if (broke_protocol) return WorkerEnd::kProtocol;
  return process.end_signal() != 0 ? WorkerEnd::kSignal : WorkerEnd::kExit;
}

}  // namespace

// ---- ResultMemory

ResultMemory::~ResultMemory() {
  if (!offsets_.empty()) slot_.give_back(*process_, offsets_);
}

std::optional<std::span<const std::byte>> ResultMemory::bytes(const wire::Tensor& tensor) const {
  if (tensor.segment == wire::Segment::kPayload) {
    if (tensor.offset > payload_.size() || tensor.bytes > payload_.size() - tensor.offset)
      return std::nullopt;
    return std::span(payload_).subspan(tensor.offset, tensor.bytes);
  }
  if (tensor.segment == wire::Segment::kResults) return process_->results().at(tensor.offset, tensor.bytes);
  // The session checks what lies in these.
  if (wire::is_imported_window(tensor.segment) || wire::is_device_memory(tensor.segment))
    return std::span<const std::byte>{};
  return std::nullopt;
}

// ---- Processes

Result<std::unique_ptr<WorkerSlot>> WorkerSlot::create(Reactor& reactor, Log& log, Options options) {
  auto calls = channel::Segment::create("vaccel-calls", options.segment_bytes);
  if (!calls) return Unexpected{calls.error()};
  return std::unique_ptr<WorkerSlot>(new WorkerSlot(reactor, log, std::move(options), std::move(*calls)));
}

WorkerSlot::WorkerSlot(Reactor& reactor, Log& log, Options options, channel::Segment calls)
    : reactor_(reactor),
      log_(log),
      options_(std::move(options)),
      calls_(std::move(calls)),
      call_allocator_(calls_.size()),
      output_(reactor, log, "worker " + std::to_string(options_.index)) {}

WorkerSlot::~WorkerSlot() {
  reactor_.cancel(restart_timer_);
  reactor_.cancel(trim_timer_);
  reactor_.cancel(watch_timer_);
  reactor_.cancel(idle_timer_);
  forget_process();
}

// The reactor hears nothing of the process any more.
void WorkerSlot::forget_process() {
  reactor_.look_away(*this);
  if (!process_) return;
  reactor_.remove(process_->channel().fd());
  reactor_.remove(process_->channel().wake_fd());
  reactor_.remove(process_->pid_fd());
}

void WorkerSlot::start(std::move_only_function<void(Status)> ready) {
  on_first_ready_ = std::move(ready);
  if (Status status = launch(); !status.ok()) finish_greeting(std::move(status));
}

Status WorkerSlot::launch() {
  launched_ns_ = now_ns();
  std::vector<std::string> arguments = options_.arguments;
  arguments.insert(arguments.end(),
                   {"--threads", std::to_string(options_.threads + kJoinedHands), "--spin-us",
                    std::to_string(options_.spin_us), "--parent", std::to_string(::getpid())});
  if (!options_.cpus.empty()) arguments.insert(arguments.end(), {"--cpus", options_.cpus});
  const jail::Policy& policy = options_.jail.policy();
  if (policy.enabled && jail::Jail::can_limit_system_calls()) {
    arguments.insert(arguments.end(), {"--limit-system-calls", "yes"});
    for (const std::string& call : policy.system_calls)
      arguments.insert(arguments.end(), {"--system-call", call});
  }
  if (!options_.device.empty()) arguments.insert(arguments.end(), {"--device", options_.device});
  auto process = WorkerProcess::start(options_.jail, options_.program, arguments, options_.config, calls_,
                                      options_.segment_bytes);
  if (!process) return process.error();
  process_ = std::move(*process);
  ++process_count_;
  broke_protocol_ = false;
  options_.metrics.worker_started();
  interest_ = EPOLLIN;
  Status status =
      reactor_.add(process_->channel().fd(), interest_, [this](uint32_t events) { on_channel(events); });
  if (status.ok()) status = reactor_.add(process_->pid_fd(), EPOLLIN, [this](uint32_t) { on_exit(); });
  if (status.ok()) {
    status = reactor_.add(process_->channel().wake_fd(), EPOLLIN, [this](uint32_t events) {
      if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        reactor_.remove(process_->channel().wake_fd());  // it is ending
      process_->channel().woken();
      reactor_.look_at(*this);  // until it says that it sleeps again, the worker wakes nobody
      on_channel(0);
    });
  }
  if (status.ok()) status = output_.begin(process_->take_output());
  if (!status.ok()) return status;
  greet();
  return {};
}

void WorkerSlot::greet() {
  const uint64_t id = next_id_++;
  (void)send(id, wire::Hello{.client = "vacceld"});
  start_own(id, wire::OpenModel{}, [this](WorkerReply reply) {
    if (!reply.status.ok()) return finish_greeting(std::move(reply.status));
    log_.info("worker %u runs, pid %d", options_.index, process_->pid());
    finish_greeting({});
  });
}

// Something that the slot itself asks of the worker.
void WorkerSlot::start_own(uint64_t id, decltype(WorkerRequest::message) message,
                           std::move_only_function<void(WorkerReply)> done) {
  Running running;
  running.request.message = std::move(message);
  running.request.done = std::move(done);
  running.started_ns = now_ns();
  running_.emplace(id, std::move(running));
  watch();
}

void WorkerSlot::finish_greeting(Status status) {
  if (!status.ok()) {
    start_error_ = status;
    if (!process_) options_.metrics.worker_ended(WorkerEnd::kStart);
    log_.error("worker %u does not start: %s", options_.index, status.message().c_str());
    // Nothing will come of what waits: say so rather than let it wait for a worker that may never run.
    for (Queue::Entry& entry : queue_.take_all())
      fail_later(std::move(entry.item),
                 failure(VACCEL_UNAVAILABLE, "no worker runs: %s", status.message().c_str()));
    return be_first_ready(std::move(status));
  }
  start_error_ = {};
  ask({}, [this](WorkerReply reply) {
    if (!reply.status.ok()) return be_first_ready(std::move(reply.status));
    backends_ = std::move(reply.description.backends);
    ask_for_operators({});
  });
  ready_ = true;
  last_end_.clear();
  begin_preloads();
  pump();
}

void WorkerSlot::be_first_ready(Status status) {
  if (auto ready = std::exchange(on_first_ready_, nullptr)) ready(std::move(status));
}

// Of the process that has just started, besides what its threads have to do.
void WorkerSlot::ask(wire::Describe what, std::move_only_function<void(WorkerReply)> done) {
  const uint64_t id = next_id_++;
  (void)send(id, what);
  start_own(id, std::move(what), std::move(done));
}

// Page by page. A worker is not believed to stop by itself, nor to describe only what can be kept and passed on.
void WorkerSlot::ask_for_operators(Told told) {
  const wire::Describe what{wire::Subject::kOperators, "", told.received};
  ask(what, [this, told = std::move(told)](WorkerReply reply) mutable {
    if (!reply.status.ok()) return be_first_ready(std::move(reply.status));
    told.received += static_cast<uint32_t>(reply.description.operators.size());
    for (wire::OperatorInfo& one : reply.description.operators) {
      const size_t bytes = wire::most_bytes_of(one);
      if (bytes > wire::kMaxPageBytes || told.bytes + bytes > kMostBytesOfOperators) continue;
      told.bytes += bytes;
      told.operators.push_back(std::move(one));
    }
    const bool goes_on = !reply.description.operators.empty() && told.received < kMostOperators;
    if (reply.description.more && goes_on) return ask_for_operators(std::move(told));
    operators_ = std::move(told.operators);
    be_first_ready({});
  });
}

void WorkerSlot::stop() {
  stop_within(kEndTimeoutMs);
}

void WorkerSlot::stop_at_once() {
  stop_within(0);
}

void WorkerSlot::stop_within(int timeout_ms) {
  stopping_ = true;
  reactor_.cancel(restart_timer_);
  if (!process_) return;
  forget_process();
  ready_ = false;
  process_->end(timeout_ms, [this] { output_.drain(); });
  output_.end();
  process_.reset();
  options_.metrics.worker_ended(WorkerEnd::kStopped);
}

void WorkerSlot::on_exit() {
  drain_channel(/*ring_only=*/false, Frames::kAll);  // what it said before it died
  ready_ = false;                                    // also if that was its greeting
  forget_process();
  windows_.clear();
  const pid_t pid = process_->pid();
  const std::string how = process_->collect();
  output_.end();
  // No fault of a process's own ends it so.
  const bool from_outside =
      process_->end_signal() == SIGKILL && !process_->ran_out_of_memory() && end_reason_.empty();
  last_end_ = "the worker " + how;
  options_.metrics.worker_ended(resting_              ? WorkerEnd::kStopped
                                : end_reason_.empty() ? end_of(*process_, broke_protocol_)
                                                      : WorkerEnd::kHang);
  process_.reset();
  releases_.clear();
  const bool rested = std::exchange(resting_, false);
  if (rested) last_end_ = "nobody needed the worker";
  const std::string why = end_reason_.empty() ? how : "was ended, for " + std::exchange(end_reason_, {});
  if (!stopping_ && !rested) log_.error("worker %u, pid %d, %s", options_.index, pid, why.c_str());
  if (!stopping_ && !from_outside && !rested) note_suspects();
  lose_what_ran(why);
  if (rested) {
    trim_all();
    return run_if_wanted();  // something may have come meanwhile
  }
  if (!stopping_ && (!runs_on_demand() || !queue_.empty())) launch_again();
}

// Calls that it had are over. So are those that wait for a model which was just being loaded: that may well kill the next
// worker, too.
void WorkerSlot::lose_what_ran(const std::string& why) {
  advance_service();
  reactor_.cancel(watch_timer_);
  ping_ = 0;
  for (const auto& [name, model] : std::exchange(models_, {})) {
    if (model.state == LoadedModel::State::kLoading) lose_load(name, why);
  }
  const uint64_t culprit = std::exchange(culprit_, 0);
  for (auto& [id, running] : std::exchange(running_, {})) {
    settle(running, false);
    WorkerReply reply;
    reply.queue_ns = running.queue_ns;
    if (running.counted) {
      const char* whose =
          culprit == 0 || culprit == id ? " during this call" : ", which another call had led to";
      reply.status = failure(VACCEL_UNAVAILABLE, "the worker %s%s; it was not run again", why.c_str(), whose);
    } else {
      reply.status = failure(VACCEL_UNAVAILABLE, "the worker %s", why.c_str());
    }
    if (running.loading.empty() && running.request.done) running.request.done(std::move(reply));
  }
}

// Told before those that wait hear of it: they may ask why.
void WorkerSlot::lose_load(const std::string& name, const std::string& why) {
  const Status status = failure(VACCEL_UNAVAILABLE, "the worker %s while it loaded the model", why.c_str());
  if (load_problems_.size() < kMostProblems) load_problems_[name] = status.message();
  fail_lane(name, status);
}

void WorkerSlot::launch_again() {
  failures_ = now_ns() - launched_ns_ > kStableNs ? 0 : failures_ + 1;
  // The first restart is at once: most deaths are a single call's fault.
  const int64_t delay_ms =
      failures_ <= 1 ? 0 : std::min(kMaxBackoffMs, kFirstBackoffMs << std::min(failures_ - 2, 10u));
  if (delay_ms > 0)
    log_.warning("worker %u is started again in %lld ms", options_.index, static_cast<long long>(delay_ms));
  restart_timer_ = reactor_.after_ms(delay_ms, [this] {
    restart_timer_ = {};
    if (Status status = launch(); !status.ok()) {
      process_.reset();
      finish_greeting(std::move(status));
      if (!runs_on_demand() || !queue_.empty()) launch_again();
    }
  });
}

// ---- The channel

// A broken channel also shows as the process's end, which is where the calls that it had are failed.
Status WorkerSlot::send_body(wire::Kind kind, uint64_t id, std::span<const std::byte> body) {
  if (body.size() > wire::kMaxBodyBytes) {
    // A client's encoder may have let names and texts share their bytes.
    return failure(VACCEL_INVALID_ARGUMENT, "the %s takes %zu bytes without its payload; the limit is %u",
                   wire::kind_name(kind), body.size(), wire::kMaxBodyBytes);
  }
  Status status = process_->channel().send(kind, id, body, {}, nullptr);
  // A worker reads whatever it computes: one of its threads always does.
  if (process_->channel().unsent_bytes() > kMostUnsentBytes && end_reason_.empty())
    end_process("it does not read what it is sent");
  reactor_.look_at(*this);  // an answer may be here soon
  update_interest();
  return status;
}

void WorkerSlot::update_interest() {
  const uint32_t wanted = EPOLLIN | (process_->channel().sending() ? EPOLLOUT : 0u);
  if (wanted == interest_) return;
  interest_ = wanted;
  reactor_.change(process_->channel().fd(), wanted);
}

void WorkerSlot::on_channel(uint32_t events) {
  reactor_.look_at(*this);  // until it is quiet: then it is armed again
  if ((events & EPOLLOUT) != 0) {
    (void)process_->channel().flush();
    update_interest();
  }
  take_in(/*ring_only=*/false);
}

void WorkerSlot::take_in(bool ring_only) {
  if (!drain_channel(ring_only, Frames::kSome)) {
    // Wait for the process's end without being woken by the closed channel; one that closed it without ending
    // is ended.
    reactor_.look_away(*this);
    reactor_.remove(process_->channel().fd());
    reactor_.remove(process_->channel().wake_fd());
    process_->kill();
    return;
  }
  pump();
}

// Takes in what has arrived; false: the channel is of no more use.
bool WorkerSlot::drain_channel(bool ring_only, Frames frames) {
  // One that has been taken over may talk without end, and others wait for the loop.
  for (int turn = 0; frames == Frames::kAll || turn < kFramesAtOnce; ++turn) {
    const auto event =
        ring_only ? process_->channel().receive_from_ring() : process_->channel().receive(false);
    if (!event || *event == channel::Event::kClosed) {
      if (!event && event.error().code() == VACCEL_PROTOCOL_ERROR) {
        broke_protocol_ = true;
        log_.error("worker %u broke the protocol: %s", options_.index, event.error().message().c_str());
      }
      return false;
    }
    if (*event == channel::Event::kBlocked) return true;
    if (*event == channel::Event::kPartial) continue;
    Status status;
    if (*event == channel::Event::kFrame) {
      status = handle_frame();
    } else {
      finish_result();
    }
    if (!status.ok()) {
      broke_protocol_ = true;
      log_.error("worker %u broke the protocol: %s", options_.index, status.message().c_str());
      return false;
    }
  }
  reactor_.defer([this, of = process_count_] {
    if (process_ && of == process_count_) on_channel(0);
  });
  return true;
}

Status WorkerSlot::handle_frame() {
  const auto& channel = process_->channel();
  const wire::Header header = channel.header();
  WorkerReply reply;
  switch (header.kind) {
    case wire::Kind::kDone:
      break;
    case wire::Kind::kWelcome: {
      const auto welcome = wire::decode_welcome(channel.body());
      if (!welcome) return welcome.error();
      break;
    }
    case wire::Kind::kModelOpened: {
      const auto opened = wire::decode_model_opened(channel.body());
      if (!opened) return opened.error();
      reply.model = opened->model;
      reply.backend = opened->backend;
      reply.bytes = opened->bytes;
      reply.calls_wanted = opened->calls_wanted;
      break;
    }
    case wire::Kind::kMemoryAllocated: {
      const auto allocated = wire::decode_memory_allocated(channel.body());
      if (!allocated) return allocated.error();
      reply.backend = allocated->backend;
      break;
    }
    case wire::Kind::kDescription: {
      auto description = wire::decode_description(channel.body());
      if (description) {
        reply.description = std::move(*description);
      } else if (description.error().code() == VACCEL_PROTOCOL_ERROR) {
        return description.error();
      } else {
        reply.status =
            description.error();  // a model that the protocol cannot describe is no reason to end a worker
      }
      break;
    }
    case wire::Kind::kResult:
      return handle_result(header);
    case wire::Kind::kFailure: {
      const auto failed = wire::decode_failure(channel.body());
      if (!failed) return failed.error();
      reply.status = failed->status();
      break;
    }
    default:
      return failure(VACCEL_PROTOCOL_ERROR, "a worker does not send %s frames", wire::kind_name(header.kind));
  }
  complete(header.request_id, std::move(reply));
  return {};
}

Status WorkerSlot::handle_result(const wire::Header& header) {
  if (header.payload_bytes > kMaxInlinePayload) {
    return failure(VACCEL_PROTOCOL_ERROR, "a result has a payload of %llu bytes; at most %llu come so",
                   static_cast<unsigned long long>(header.payload_bytes),
                   static_cast<unsigned long long>(kMaxInlinePayload));
  }
  auto result =
      result_decoder_.decode(process_->channel().body(), {header.payload_bytes, /*other_segments=*/true});
  if (!result) return result.error();
  incoming_.id = header.request_id;
  incoming_.result = std::move(*result);
  incoming_.payload.resize(header.payload_bytes);
  if (header.payload_bytes > 0) {
    const channel::Destination destination{incoming_.payload.data(), incoming_.payload.size()};
    process_->channel().accept_payload({&destination, 1});
    return {};
  }
  finish_result();
  return {};
}

// A result is whole: its outputs' places are checked, and whoever waits for it gets it.
void WorkerSlot::finish_result() {
  WorkerReply reply;
  reply.result = std::move(incoming_.result);
  reply.memory = std::make_unique<ResultMemory>(*this, process_, std::exchange(incoming_.payload, {}));
  for (const wire::Tensor& tensor : reply.result.outputs) {
    if (!reply.memory->bytes(tensor)) {
      reply.status = failure(VACCEL_INTERNAL, "the worker placed an output outside of its results segment");
    } else if (tensor.segment == wire::Segment::kResults) {
      reply.memory->own(tensor.offset);
    }
  }
  complete(incoming_.id, std::move(reply));
}

void WorkerSlot::complete(uint64_t id, WorkerReply reply) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;  // a request that was given up at the worker's last end
  advance_service();
  Running running = std::move(found->second);
  if (running.counted && reply.status.ok()) want(running.lane, reply.result.calls_wanted);
  running_.erase(found);
  settle(running, reply.status.ok());
  reply.queue_ns = running.queue_ns;
  if (!running.loading.empty()) {
    finish_loading(running.loading, reply);
  } else {
    running.request.done(std::move(reply));
  }
  rest_when_idle();
}

// ---- Requests

std::optional<uint64_t> WorkerSlot::allocate(uint64_t bytes) {
  const auto offset = call_allocator_.allocate(bytes);
  if (offset) {
    peak_end_ = std::max(peak_end_, call_allocator_.used_end());
    warm_end_ = std::max(warm_end_, peak_end_);
  }
  return offset;
}

void WorkerSlot::release(uint64_t offset) {
  (void)call_allocator_.release(offset);
  if (warm_end_ > kKeepBelow && !trim_timer_.set())
    trim_timer_ = reactor_.after_ms(kTrimMs, [this] { trim(); });
}

// Gives back what nobody has used since the last time.
void WorkerSlot::trim() {
  trim_timer_ = {};
  const uint64_t keep = std::max(kKeepBelow, peak_end_);
  if (warm_end_ > keep) {
    calls_.forget(keep, warm_end_ - keep);
    warm_end_ = keep;
  }
  peak_end_ = call_allocator_.used_end();
  if (warm_end_ > kKeepBelow) trim_timer_ = reactor_.after_ms(kTrimMs, [this] { trim(); });
}

// Of one that rests: all but what calls that wait have there.
void WorkerSlot::trim_all() {
  const uint64_t used = call_allocator_.used_end();
  if (warm_end_ > used) calls_.forget(used, warm_end_ - used);
  warm_end_ = used;
  peak_end_ = used;
}

void WorkerSlot::give_back(const WorkerProcess& process, const std::vector<uint64_t>& offsets) {
  if (&process != process_.get() || stopping_) return;  // that worker's segment has gone with it
  if (releases_.empty()) {
    reactor_.defer([this] {
      while (!releases_.empty() && process_) {
        const size_t count = std::min(releases_.size(), wire::kMaxReleases);
        wire::Release release;
        release.offsets.assign(releases_.end() - static_cast<std::ptrdiff_t>(count), releases_.end());
        releases_.resize(releases_.size() - count);
        (void)send(0, release);
      }
    });
  }
  releases_.insert(releases_.end(), offsets.begin(), offsets.end());
}

void WorkerSlot::fail_later(Queued queued, Status status) {
  reactor_.defer([lost = std::move(queued), failed = std::move(status)]() mutable {
    WorkerReply reply;
    reply.status = std::move(failed);
    reply.queue_ns = static_cast<uint64_t>(now_ns() - lost.since_ns);
    lost.request.done(std::move(reply));
  });
}

WorkerNow WorkerSlot::now() const {
  WorkerNow now{.index = options_.index,
                .pid = pid(),
                .ready = ready_,
                .threads = options_.threads,
                .starts = process_count_};
  if (!ready_) now.problem = start_error_.ok() ? last_end_ : start_error_.message();
  for (const auto& [name, model] : models_)
    now.models += model.state == LoadedModel::State::kLoaded ? 1 : 0;
  visit_calls(
      [&](const WorkerRequest&, bool running) { ++(running ? now.calls.running : now.calls.queued); });
  return now;
}

void WorkerSlot::visit_calls(const std::function<void(const WorkerRequest&, bool running)>& visit) const {
  const auto visit_call = [&](const WorkerRequest& request, bool running) {
    if (request.figures != nullptr) visit(request, running);
  };
  queue_.visit([&](const Queue::Entry& entry) { visit_call(entry.item.request, false); });
  for (const auto& [ticket, running] : running_)
    visit_call(running.request, true);
}

// Lets the process map a window, once. It may get the first call before the window, and waits for it then.
Status WorkerSlot::import_window(const Window& window) {
  if (windows_.contains(window.number())) return {};
  const int descriptor = window.fd();
  Status status = process_->channel().stream().send_with_descriptors(
      wire::Kind::kImportWindow, next_id_++,
      encoder_.encode(wire::ImportWindow{window.number(), window.start(), window.bytes()}), {&descriptor, 1});
  update_interest();
  if (status.ok()) windows_.insert(window.number());
  return status;
}

void WorkerSlot::drop_window(uint32_t number) {
  if (windows_.erase(number) > 0 && process_) (void)send(0, wire::DropWindow{number});
}

void WorkerSlot::free_memory(uint32_t number) {
  if (process_ && !stopping_) (void)send(0, wire::FreeMemory{number});
}

}  // namespace vaccel::agent
