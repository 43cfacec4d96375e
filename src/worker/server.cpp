// SPDX-License-Identifier: Apache-2.0
#include "worker/server.h"

#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <deque>
#include <new>
#include <thread>

#include "core/clock.h"
#include "core/tensor.h"
#include "runtime/operators/vision_operator.h"
#include "runtime/warm_up.h"
#include "wire/limits.h"
#include "wire/operator_page.h"
#include "worker/say.h"

namespace vaccel::worker {
namespace {

const char* text_or_empty(const char* text) {
  return text != nullptr ? text : "";
}

std::vector<wire::TensorInfo> infos(const vaccel_tensor_info* infos, size_t count) {
  std::vector<wire::TensorInfo> result;
  for (size_t index = 0; index < count; ++index) {
    wire::TensorInfo info{
        .name = text_or_empty(infos[index].name), .dtype = infos[index].dtype, .rank = infos[index].rank};
    for (int32_t axis = 0; axis < info.rank; ++axis)
      info.shape[static_cast<size_t>(axis)] = infos[index].shape[axis];
    result.push_back(std::move(info));
  }
  return result;
}

wire::ModelInfo model_info(const vaccel_model& model) {
  wire::ModelInfo info{.name = text_or_empty(model.name),
                       .task = text_or_empty(model.task),
                       .description = text_or_empty(model.description),
                       .version = text_or_empty(model.version),
                       .license = text_or_empty(model.license),
                       .backend = text_or_empty(model.backend),
                       .problem = text_or_empty(model.problem),
                       .inputs = infos(model.inputs, model.input_count),
                       .outputs = infos(model.outputs, model.output_count),
                       .metadata = {}};
  for (const vaccel_metadata& pair : std::span(model.metadata, model.metadata_count))
    info.metadata.push_back({pair.key, pair.value});
  return info;
}

wire::OperatorInfo operator_info(const vaccel_operator& source) {
  wire::OperatorInfo info{source.name, source.description, {}, {}};
  for (const vaccel_operator_part& part : std::span(source.parts, source.part_count))
    info.parts.push_back({part.kind, part.name, part.type, part.description});
  for (const vaccel_operator_backend& backend : std::span(source.backends, source.backend_count))
    info.backends.push_back({backend.name, backend.dtype, backend.score});
  return info;
}

std::vector<wire::OperatorInfo> operator_infos(const vaccel_operator_list& list) {
  std::vector<wire::OperatorInfo> infos;
  for (const vaccel_operator* one : std::span(list.operators, list.count))
    infos.push_back(operator_info(*one));
  return infos;
}

vaccel_attribute attribute_view(const wire::Attribute& attribute) {
  vaccel_attribute view{};
  view.name = attribute.name.c_str();
  if (const auto* integer = std::get_if<int64_t>(&attribute.value)) {
    view.type = VACCEL_ATTRIBUTE_INT;
    view.value.integer = *integer;
  } else if (const auto* real = std::get_if<double>(&attribute.value)) {
    view.type = VACCEL_ATTRIBUTE_FLOAT;
    view.value.real = *real;
  } else {
    view.type = VACCEL_ATTRIBUTE_STRING;
    view.value.string = std::get<std::string>(attribute.value).c_str();
  }
  return view;
}

// What this process alone has of memory. Several models that are loaded at a time are told together, each with the others' part.
uint64_t private_bytes() {
  uint64_t total = 0;
  uint64_t resident = 0;
  uint64_t shared = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int read = std::fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &total, &resident, &shared);
  std::fclose(file);
  return read == 3 && resident > shared ? (resident - shared) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))
                                        : 0;
}

// What only an unusual call needed goes back when its answer has been sent.
struct Rewinds {
  Scratch& scratch;
  ~Rewinds() { scratch.rewind(); }
};

}  // namespace

Server::Server(runtime::Runtime& runtime, channel::RingChannel& channel, channel::Segment calls,
               channel::Segment results)
    : runtime_(runtime),
      calls_(std::move(calls)),
      results_(std::move(results)),
      windows_(runtime),
      idle_trim_([this] {
        scratches_.clear();
        results_.rest();
        runtime::forget_vision_scratch();
        ::malloc_trim(0);
      }),
      channel_(channel) {}

Status Server::serve(uint32_t threads) {
  std::deque<Turn> turns(threads + 1);
  std::vector<std::jthread> others;
  for (uint32_t index = 0; index < threads; ++index)
    others.emplace_back([this, &turn = turns[index]] { work(turn); });
  work(turns.back());
  others.clear();  // joins
  for (runtime::Model* model : models_)
    runtime_.close_model(model);
  return end_status_;
}

bool Server::take_turn(Turn& turn) {
  std::unique_lock lock(turn_mutex_);
  if (led_) {
    idle_.push_back(&turn);
    turn.given.wait(lock, [&] { return turn.mine; });
    turn.mine = false;
  }
  led_ = true;
  return !ended_;
}

void Server::pass_turn(bool ended) {
  Turn* next = nullptr;
  {
    const std::lock_guard lock(turn_mutex_);
    ended_ = ended_ || ended;
    led_ = !idle_.empty();
    if (led_) {
      next = idle_.back();
      idle_.pop_back();
      next->mine = true;
    }
  }
  if (next != nullptr) next->given.notify_one();  // turns outlive their threads, see serve()
}

// A call that asks for more memory than there is fails alone.
void Server::handle_guarded(Frame& frame) {
  try {
    handle(frame);
  } catch (const std::bad_alloc&) {
    {
      const std::lock_guard lock(state_mutex_);
      running_.erase(frame.header.request_id);
    }
    reply_failure(frame.header.request_id, failure(VACCEL_RESOURCE_EXHAUSTED, "the worker is out of memory"));
  }
}

void Server::work(Turn& turn) {
  while (take_turn(turn)) {
    Frame frame;
    const auto received = receive(frame);
    const bool ended = !received || !*received;
    if (!received) end_status_ = received.error();
    pass_turn(ended);
    if (ended) return;
    handle_guarded(frame);
  }
  pass_turn(true);
}

Result<bool> Server::receive(Frame& frame) {
  for (;;) {
    const auto event = channel_.receive(true);
    if (!event) return Unexpected{event.error()};
    if (*event == channel::Event::kClosed) return false;
    if (*event != channel::Event::kFrame) continue;
    if (channel_.header().payload_bytes > 0) {
      return fail(VACCEL_PROTOCOL_ERROR,
                  "the agent sent a payload of %llu bytes; payloads lie in the calls segment",
                  static_cast<unsigned long long>(channel_.header().payload_bytes));
    }
    if (channel_.header().kind == wire::Kind::kImportWindow) {
      import_window();  // its descriptor belongs to the receiving half
      continue;
    }
    frame.header = channel_.header();
    frame.body.assign(channel_.body().begin(), channel_.body().end());
    if (frame.header.kind == wire::Kind::kCall) {
      // Before the next leader can read that it is cancelled.
      frame.cancelled = std::make_shared<std::atomic<int>>(0);
      const std::lock_guard lock(state_mutex_);
      running_[frame.header.request_id] = frame.cancelled;
    }
    return true;
  }
}

// Nobody waits for an answer: a window that could not be mapped shows in the first call that uses it.
void Server::import_window() {
  const auto import = wire::decode_import_window(channel_.body());
  const auto memory = channel_.stream().take_descriptors(1);
  Status status;
  if (!import) {
    status = import.error();
  } else if (memory.empty()) {
    status = failure(VACCEL_PROTOCOL_ERROR, "a window came without its descriptor");
  } else {
    status = windows_.import(*import, memory.front());
  }
  if (!status.ok()) say(2, "cannot use a window: " + status.message());
}

void Server::handle(Frame& frame) {
  switch (frame.header.kind) {
    case wire::Kind::kHello:
      return handle_hello(frame);
    case wire::Kind::kOpenModel:
      return handle_open_model(frame);
    case wire::Kind::kCloseModel:
      return handle_close_model(frame);
    case wire::Kind::kPing:
      return reply(frame.header.request_id, wire::Done{});
    case wire::Kind::kDescribe:
      return handle_describe(frame);
    case wire::Kind::kReload:
      return handle_reload(frame);
    case wire::Kind::kCall:
      return handle_call(frame);
    case wire::Kind::kCancel:
      return handle_cancel(frame);
    case wire::Kind::kRelease:
      return handle_release(frame);
    case wire::Kind::kDropWindow:
      if (const auto drop = wire::decode_drop_window(frame.body)) windows_.drop(drop->window);
      return;
    case wire::Kind::kAllocateMemory:
      return handle_allocate_memory(frame);
    case wire::Kind::kFreeMemory:
      if (const auto free = wire::decode_free_memory(frame.body)) memories_.free(free->memory);
      return;
    default:
      return reply_failure(frame.header.request_id,
                           failure(VACCEL_PROTOCOL_ERROR, "a worker does not take %s frames",
                                   wire::kind_name(frame.header.kind)));
  }
}

template <typename Message>
void Server::reply(uint64_t request_id, const Message& message,
                   std::span<const std::span<const std::byte>> payload) {
  std::unique_lock lock(send_mutex_);
  const auto body = encoder_.encode(message);
  if (body.size() > wire::kMaxBodyBytes) {
    lock.unlock();
    return reply_failure(
        request_id, failure(VACCEL_INTERNAL, "the answer, %zu bytes, does not fit a frame", body.size()));
  }
  Status status = channel_.send(Message::kKind, request_id, body, payload, nullptr);
  while (status.ok() && channel_.sending()) {
    pollfd waiting{channel_.fd(), POLLOUT, 0};
    ::poll(&waiting, 1, -1);
    status = channel_.flush();
  }
  // A broken channel is the leader's to notice: the agent has gone.
}

void Server::reply_failure(uint64_t request_id, const Status& status) {
  reply(request_id, wire::Failure::from(status));
}

void Server::handle_hello(const Frame& frame) {
  const auto hello = wire::decode_hello(frame.body);
  if (!hello) return reply_failure(frame.header.request_id, hello.error());
  const auto version = wire::negotiate_version(*hello);
  if (!version) return reply_failure(frame.header.request_id, version.error());
  reply(frame.header.request_id,
        wire::Welcome{*version, "vaccel-worker " VACCEL_VERSION_TEXT, wire::kMaxPayloadBytes, 0});
}

void Server::handle_reload(const Frame& frame) {
  if (const Status status = runtime_.read_catalogue_again(); !status.ok())
    return reply_failure(frame.header.request_id, status);
  reply(frame.header.request_id, wire::Done{});
}

void Server::handle_open_model(const Frame& frame) {
  const auto open = wire::decode_open_model(frame.body);
  if (!open) return reply_failure(frame.header.request_id, open.error());
  const IdleTrim::Call running(idle_trim_);
  ::malloc_trim(0);  // what calls have left there would hide what it takes
  const uint64_t before = private_bytes();
  auto model = runtime_.open_model(open->name);
  if (!model) return reply_failure(frame.header.request_id, model.error());
  if (open->warm_up) {
    if (const Status status = runtime::warm_up(runtime_, **model); !status.ok())
      say(2, "model '" + open->name + "' was not warmed up: " + status.message());
  }
  const uint64_t after = private_bytes();
  const uint32_t calls_wanted = runtime::Runtime::calls_wanted(**model);
  uint32_t handle = 0;
  bool had_it = true;
  {
    const std::lock_guard lock(state_mutex_);
    if (const auto known = handles_.find(open->name); known != handles_.end()) {
      handle = known->second;
    } else {
      models_.push_back(*model);
      handle = static_cast<uint32_t>(models_.size());
      handles_.emplace(open->name, handle);
      had_it = false;
    }
  }
  if (had_it) runtime_.close_model(*model);  // one reference a model is enough
  const auto description = runtime_.describe_model(open->name);
  reply(frame.header.request_id,
        wire::ModelOpened{handle, description ? text_or_empty((*description)->backend) : "",
                          after > before ? after - before : 0, calls_wanted});
}

// The agent does this when no call uses the model.
void Server::handle_close_model(const Frame& frame) {
  const auto close = wire::decode_close_model(frame.body);
  if (!close) return reply_failure(frame.header.request_id, close.error());
  runtime::Model* model = nullptr;
  {
    const std::lock_guard lock(state_mutex_);
    if (close->model >= 1 && close->model <= models_.size())
      model = std::exchange(models_[close->model - 1], nullptr);
    std::erase_if(handles_, [&](const auto& entry) { return entry.second == close->model; });
  }
  runtime_.close_model(model);
  ::malloc_trim(0);  // what it had is the system's again
  reply(frame.header.request_id, wire::Done{});
}

void Server::handle_describe(const Frame& frame) {
  const auto describe = wire::decode_describe(frame.body);
  if (!describe) return reply_failure(frame.header.request_id, describe.error());
  const std::lock_guard lock(describe_mutex_);
  wire::Description description;
  if (describe->subject == wire::Subject::kModel) {
    const auto model = runtime_.describe_model(describe->model);
    if (!model) return reply_failure(frame.header.request_id, model.error());
    description.models.push_back(model_info(**model));
  } else if (describe->subject == wire::Subject::kOperators) {
    wire::put_page(operator_infos(runtime_.list_operators()), describe->start, description);
  } else {
    const vaccel_agent& server = runtime_.describe();
    description.server = "vaccel-worker " VACCEL_VERSION_TEXT;
    description.model_count = server.model_count;
    for (size_t index = 0; index < server.backend_count; ++index) {
      const vaccel_backend_info& backend = server.backends[index];
      description.backends.push_back({text_or_empty(backend.name), text_or_empty(backend.version),
                                      text_or_empty(backend.devices), text_or_empty(backend.problem)});
    }
  }
  reply(frame.header.request_id, description);
}

void Server::handle_cancel(const Frame& frame) {
  const auto cancel = wire::decode_cancel(frame.body);
  if (!cancel) return;
  const std::lock_guard lock(state_mutex_);
  if (const auto call = running_.find(cancel->request); call != running_.end()) call->second->store(1);
}

void Server::handle_release(const Frame& frame) {
  if (const auto release = wire::decode_release(frame.body)) results_.release(release->offsets);
}

void Server::handle_allocate_memory(const Frame& frame) {
  const auto wanted = wire::decode_allocate_memory(frame.body);
  if (!wanted) return reply_failure(frame.header.request_id, wanted.error());
  auto memory = runtime_.allocate_memory(wanted->backend, wanted->bytes);
  if (!memory) return reply_failure(frame.header.request_id, memory.error());
  const auto* backend = (*memory)->backend();
  const wire::MemoryAllocated allocated{wanted->memory, backend != nullptr ? backend->name() : ""};
  memories_.add(wanted->memory, std::move(*memory));
  reply(frame.header.request_id, allocated);
}

void Server::handle_call(const Frame& frame) {
  const IdleTrim::Call running(idle_trim_);
  const Stopwatch stopwatch;
  const uint64_t id = frame.header.request_id;
  const auto scratch = scratches_.take();
  const Rewinds rewinds{*scratch};
  const auto call = wire::decode_call(frame.body, {.payload_bytes = 0, .other_segments = true});
  const wire::Call none;
  CallMemories memories;
  OutputSink sink(call ? *call : none, results_, windows_, memories, *scratch);
  Inputs inputs;
  vaccel_timings timings{};
  runtime::RuntimeCall run{};
  Status status = call ? memories.find(*call, memories_) : call.error();
  if (status.ok()) status = inputs.map(*call, calls_, windows_, memories, *scratch);
  if (status.ok()) status = run_call(*call, frame, inputs.views(), memories, sink, timings, run);
  if (!status.ok() && !sink.status().ok()) status = sink.status();
  {
    const std::lock_guard lock(state_mutex_);
    running_.erase(id);
  }
  if (!status.ok()) return reply_failure(id, status);
  std::vector<std::span<const std::byte>> pieces;
  wire::CallResult result = sink.take(pieces);
  result.copied_bytes += inputs.copied_bytes();
  timings.worker_ns = stopwatch.elapsed_ns();
  result.timings = timings;
  result.batch = run.batch;
  result.calls_wanted = run.calls_wanted;
  reply(id, result, pieces);
}

Status Server::run_call(const wire::Call& call, const Frame& frame, std::span<const vaccel_tensor> inputs,
                        const CallMemories& memories, OutputSink& sink, vaccel_timings& timings,
                        runtime::RuntimeCall& run) {
  std::vector<vaccel_attribute> attributes;
  attributes.reserve(call.attributes.size());
  for (const wire::Attribute& attribute : call.attributes)
    attributes.push_back(attribute_view(attribute));

  run.size = sizeof run;
  run.operator_name = call.operator_name.c_str();
  if (call.model != 0) {
    const std::lock_guard lock(state_mutex_);
    run.model = call.model <= models_.size() ? models_[call.model - 1] : nullptr;
    if (run.model == nullptr) return failure(VACCEL_INTERNAL, "the worker has no model %u", call.model);
  }
  run.backend = call.backend.empty() ? nullptr : call.backend.c_str();
  run.attributes = attributes.data();
  run.attribute_count = attributes.size();
  run.inputs = inputs.data();
  run.input_count = inputs.size();
  run.deadline_ns =
      call.timeout_us == 0
          ? 0
          : now_ns() + static_cast<int64_t>(std::min<uint64_t>(call.timeout_us, uint64_t{1} << 50)) * 1000;
  run.cancelled = frame.cancelled.get();
  run.timings = call.timings ? &timings : nullptr;
  run.output = &OutputSink::output;
  run.output_context = &sink;
  run.error = {nullptr, [](void*, const char*) {}};
  run.memories = memories.on_devices().data();
  run.memory_count = memories.on_devices().size();
  return runtime_.call(run);
}

}  // namespace vaccel::worker
